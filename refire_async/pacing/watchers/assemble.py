"""Assemble and run the watchers of an attempt: timetable, operator, headroom for live traffic, consumers."""

import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import anyio

from refire_async.aws.other_services import Services
from refire_async.errors import RefireError
from refire_async.events import BudgetChanged, Emit, Paused, Resumed, fan_out
from refire_async.model.stop import StopRequest
from refire_async.pacing.governor import Governor, RateLimits
from refire_async.pacing.overrides import Overrides, apply_to
from refire_async.pacing.timetable import Timetable, find_zone, parse_timetable
from refire_async.pacing.watchers.consumer import ConsumerWatch
from refire_async.pacing.watchers.functions import Function
from refire_async.pacing.watchers.headroom import Headroom
from refire_async.pacing.watchers.operator import answer_operator, follow_timetable, rate_verb
from refire_async.settings import PacingSettings

T = TypeVar("T")

Watcher: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""A task that updates the Governor until it is cancelled. Its failures must not end the run."""


def read_timetable(pacing: PacingSettings) -> Timetable | None:
    """The timetable of `--rate`; None without one. Raises UsageError."""
    return None if pacing.rate is None else parse_timetable(pacing.rate, find_zone(pacing.timezone))


def start_overrides(governor: Governor, timetable: Timetable | None) -> Overrides:
    """Overrides that set the budget of `governor`, beginning with the current entry of `timetable`."""
    overrides = Overrides(governor.budget, apply_to(governor))
    if timetable is not None:
        overrides.timetable(timetable.at(time.time()))
    return overrides


def watch_operator(
    overrides: Overrides,
    timetable: Timetable | None,
    governor: Governor,
    *,
    run_id: str,
    checkpoint: str,
    emit: Emit,
) -> list[Watcher]:
    """Watchers for the timetable and the control socket. A dry run has no `checkpoint` (""), so it has no socket."""
    watchers: list[Watcher] = []
    if timetable is not None:
        watchers.append(partial(follow_timetable, timetable, overrides))
    if checkpoint:
        verbs = {"rate": rate_verb(run_id, overrides, governor)}
        watchers.append(partial(answer_operator, Path(checkpoint), verbs, emit))
    return watchers


def watch_headroom(
    percent: float | None,
    governor: Governor,
    services: Services,
    emit: Emit,
    clock: Callable[[], float] = time.time,
) -> tuple[Emit, list[Watcher]]:
    """The headroom watcher (if enabled) and an `emit` that also feeds it."""
    if percent is None:
        return emit, []
    headroom = Headroom(percent / 100.0, governor, services, emit, clock=clock)
    return fan_out(emit, headroom), [headroom.watch]


def watch_consumers(
    pacing: PacingSettings,
    functions: Sequence[Function],
    governor: Governor,
    services: Services,
    *,
    emit: Emit,
    stop: StopRequest,
    clock: Callable[[], float] = time.time,
) -> tuple[Emit, list[Watcher]]:
    """The watchers of `functions` (none without functions) and an `emit` that also feeds them."""
    if not functions:
        return emit, []
    watch = ConsumerWatch(functions, pacing, governor, services, emit=emit, stop=stop, clock=clock)
    return fan_out(emit, watch), [watch.poll, watch.adjust]


async def in_background(watchers: Sequence[Watcher], work: Callable[[], Awaitable[T]]) -> T:
    """Run `watchers` while `work` runs, cancel them at its end, and return its result. Raises what `work` raises."""
    async with anyio.create_task_group() as tasks:
        for watcher in watchers:
            tasks.start_soon(watcher)
        try:
            return await work()
        except RefireError as failure:
            error = failure  # raised below, because the task group would wrap it
        finally:
            tasks.cancel_scope.cancel()
    raise error


class LimitNotifier:
    """Emits an event for each change of the limits. Subscribe `on_change` to a Governor."""

    def __init__(self, rate_limits: RateLimits, emit: Emit) -> None:
        """`rate_limits` are those at the start of the attempt. They cause an event only if they are a pause."""
        self._emit = emit
        self._paused, self._pause_why = False, ""
        self._last = rate_limits
        if rate_limits.paused:
            self._pause(rate_limits)

    def on_change(self, rate_limits: RateLimits) -> None:
        """Emit an event for changed limits: see `Governor.subscribe`."""
        if rate_limits.paused:
            if not self._paused or rate_limits.why != self._pause_why:
                self._pause(rate_limits)
            return
        if self._paused:
            self._paused = False
            self._emit(Resumed(rate_limits.why))
        before, self._last = self._last, rate_limits
        # Changes of items per second cause no event: to protect consumers they happen every few seconds.
        if (rate_limits.ceilings, rate_limits.share, rate_limits.why) != (
            before.ceilings,
            before.share,
            before.why,
        ):
            self._emit(BudgetChanged(rate_limits.wcu, rate_limits.rcu, rate_limits.why, rate_limits.indexes))

    def _pause(self, rate_limits: RateLimits) -> None:
        self._paused, self._pause_why = True, rate_limits.why
        self._emit(Paused(rate_limits.why))
