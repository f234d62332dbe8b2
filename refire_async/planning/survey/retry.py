"""Reads of a survey that are refused: a look at a busy table takes longer, it does not fail."""

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
    """What `read` gives, after some pauses if it is throttled or fails for the moment.

    Raises:
        WireError: it is refused for good, or was `ATTEMPTS` times.
    """
    draw = random.Random()  # noqa: S311 - how long to wait is no secret
    for attempt in count(1):
        try:
            return await read()
        except AwsError as error:
            if error.disposition not in (Disposition.THROTTLED, Disposition.RETRY) or attempt >= ATTEMPTS:
                raise
            await anyio.sleep(throttle_delay(attempt, draw))
    raise AssertionError("counting has no end")
