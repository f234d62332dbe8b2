"""Run watchers in the background for as long as the work lasts."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeAlias, TypeVar

import anyio

from refire_async.errors import RefireError

T = TypeVar("T")

Watcher: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Updates the Governor until it is cancelled. Its failures must not end the run."""


async def in_background(watchers: Sequence[Watcher], work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work`; `watchers` are cancelled when it returns. Raises what `work` raises."""
    async with anyio.create_task_group() as tasks:
        for watcher in watchers:
            tasks.start_soon(watcher)
        try:
            return await work()
        except RefireError as failure:
            error = failure  # raised outside of the group, which would wrap it
        finally:
            tasks.cancel_scope.cancel()
    raise error
