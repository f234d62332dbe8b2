"""Assemble the watchers of an attempt: timetable, operator, headroom for live traffic, consumers."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from refire_async.aws.other_services import Services
from refire_async.events import Emit, fan_out
from refire_async.model.stop import StopRequest
from refire_async.pacing.governor import Governor
from refire_async.pacing.overrides import Overrides, apply_to
from refire_async.pacing.timetable import Timetable, find_zone, parse_timetable
from refire_async.pacing.watchers.background import Watcher
from refire_async.pacing.watchers.consumer import ConsumerWatch
from refire_async.pacing.watchers.functions import Function
from refire_async.pacing.watchers.headroom import Headroom
from refire_async.pacing.watchers.operator import answer_operator, follow_timetable, rate_verb
from refire_async.settings import PacingSettings


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
