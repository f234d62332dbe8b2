"""Makes the target that the options name."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from refire_async.aws.function_names import FunctionName, parse_function
from refire_async.aws.invocations import open_invocations
from refire_async.aws.session import Session
from refire_async.delivery.target import Target
from refire_async.delivery.targets.lambda_function import LambdaFunction
from refire_async.delivery.targets.lines import open_lines
from refire_async.delivery.targets.python_handler import LONGEST_S, PREFIX, load_handler
from refire_async.errors import RefusedError, UsageError
from refire_async.settings import DeliverySettings

DEFAULT_CONCURRENCY = 10
"""Invocations at a time where no option says otherwise."""


class OpenTarget(Protocol):
    """Opens the target of an attempt for at most `concurrency` invocations at a time; `resumed`: not the first one."""

    def __call__(self, *, concurrency: int, resumed: bool) -> AbstractAsyncContextManager[Target]: ...


@asynccontextmanager
async def open_target(
    settings: DeliverySettings,
    session: Session | None,
    *,
    function: FunctionName | None = None,
    timeout_s: float = LONGEST_S,
    concurrency: int = DEFAULT_CONCURRENCY,
    wants_array: bool = False,
    resumed: bool = False,
) -> AsyncIterator[Target]:
    """The target of a delivery: `settings.to`, else the `function`, else `settings.function`.

    `session` is needed for a function, `timeout_s` is that of the function, and at most
    `concurrency` invocations run at a time. `wants_array`: events are bare arrays of
    records, as a Pipe's target gets them. `resumed`: a file is continued.

    Raises:
        UsageError: no target, or one that cannot be used.
        RefusedError: the function is in another region, or Lambda cannot be reached from here.
    """
    if settings.to is not None and settings.to.startswith(PREFIX):
        yield load_handler(settings.to, wants_array=wants_array)
        return
    if settings.to is not None:
        async with open_lines(
            settings.to, whole_events=settings.whole_events, wants_array=wants_array, resumed=resumed
        ) as lines:
            yield lines
        return
    if function is None and settings.function is not None:
        function = parse_function(settings.function)
    if function is None or session is None:
        raise UsageError("no target given", "name a function with --function NAME, or a file with --to FILE")
    if function.region not in (None, session.region):
        raise RefusedError(
            f"function {function} is in {function.region}, and this session is in {session.region}",
            f"give --region {function.region}",
        )
    async with open_invocations(session, concurrency, timeout_s) as invocations:
        yield LambdaFunction(invocations, function.address, function.qualifier, wants_array=wants_array)
