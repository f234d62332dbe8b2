"""Retries the reads of a survey: on a busy table it takes longer and does not fail."""

import random
from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeVar

import anyio

from refire_async.aws.errors import AwsError, Disposition
from refire_async.pacing.backoff import throttle_delay

T = TypeVar("T")

ATTEMPTS = 10


async def with_retries(read: Callable[[], Awaitable[T]]) -> T:
    """The result of `read`, which is retried with backoff if it is throttled or fails temporarily.

    Raises:
        AwsError: it failed permanently, or `ATTEMPTS` times.
    """
    draw = random.Random()  # noqa: S311 - delays are no secret
    for attempt in count(1):
        try:
            return await read()
        except AwsError as error:
            if error.disposition not in (Disposition.THROTTLED, Disposition.RETRY) or attempt >= ATTEMPTS:
                raise
            await anyio.sleep(throttle_delay(attempt, draw))
    raise AssertionError("counting has no end")
