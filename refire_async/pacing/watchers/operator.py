"""Apply the timetable and the commands of `refire rate` to a run."""

import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import anyio

from refire_async.errors import RefireError, UsageError
from refire_async.events import AdviceMissing, Emit
from refire_async.model.capacity import TABLE
from refire_async.model.operator_rate import OperatorRate
from refire_async.pacing.control.protocol import RefusedVerbError
from refire_async.pacing.control.server import Verb, open_listener, serve
from refire_async.pacing.governor import Governor
from refire_async.pacing.overrides import Overrides
from refire_async.pacing.rate import PAUSE, parse_rate
from refire_async.pacing.timetable import Timetable

MAX_SLEEP_S = 15.0
"""Longest sleep (s) of the timetable's watcher, because clocks are set and machines are suspended."""


FOLLOW_S = 5.0
"""Seconds between two looks at the rate that an operator has set for all tasks of a run."""

ReadRate: TypeAlias = Callable[[], Awaitable[OperatorRate | None]]
"""Reads that rate. Raises RefireError."""


async def follow_timetable(
    timetable: Timetable,
    overrides: Overrides,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> None:
    """Apply the current entry now and at each change. Returns if the timetable never changes."""
    while True:
        now = clock()
        scheduled = timetable.at(now)
        overrides.timetable(scheduled)
        if scheduled.until is None:
            return
        # If rounding made the sleep too short, the loop repeats it.
        await sleep(min(max(scheduled.until - now, 0.001), MAX_SLEEP_S))


async def answer_operator(checkpoint: Path, verbs: Mapping[str, Verb], emit: Emit) -> None:
    """Serve the control socket of the run until cancelled. The caller holds the lock of `checkpoint`."""
    found = await open_listener(checkpoint)
    if found is None:
        why = "there is no private folder for a control socket"
        emit(AdviceMissing("control", why, "refire rate cannot reach this run"))
        return
    await serve(*found, verbs)


async def follow_rate(read: ReadRate, overrides: Overrides) -> None:
    """Follow the rate that an operator has set for all tasks of a run, until cancelled.

    While it cannot be read, the last one applies.
    """
    seen: OperatorRate | None = None
    while True:
        with contextlib.suppress(RefireError):
            found = await read()
            if found != seen:
                seen = found
                apply_rate(found, overrides)
        await anyio.sleep(FOLLOW_S)


def apply_rate(rate: OperatorRate | None, overrides: Overrides) -> None:
    """Let this rate apply. What is no rate counts as a pause: the operator wanted something else than before."""
    if rate is None or rate.rate is None:
        overrides.automatic()
    else:
        try:
            overrides.set_rate(parse_rate(rate.rate))
        except UsageError:
            overrides.set_rate(PAUSE)
    if rate is not None and rate.paused:
        overrides.set_rate(PAUSE)


def rate_verb(run_id: str, overrides: Overrides, governor: Governor) -> Verb:
    """The verb `rate`: set the rate to its value, if it has one, and return the current state."""

    def answer(members: Mapping[str, Any]) -> Mapping[str, Any]:
        value = members.get("value")
        if value is not None:
            if not isinstance(value, str):
                raise RefusedVerbError("the value is not text")
            _apply_value(overrides, value.strip().lower())
        return describe(run_id, overrides, governor)

    return answer


def _apply_value(overrides: Overrides, value: str) -> None:
    match value:
        case "resume":
            overrides.resume()
        case "auto":
            overrides.automatic()
        case _:
            try:
                overrides.set_rate(parse_rate(value))
            except UsageError as error:
                raise RefusedVerbError(str(error)) from None


def describe(run_id: str, overrides: Overrides, governor: Governor) -> dict[str, Any]:
    """The current state: `by` is the source of the budget, `set` its value, `why` the cause of the current limit.

    `capacity` is the whole capacity of the table in write units per second.
    """
    rate_limits = governor.rate_limits
    return {
        "run_id": run_id,
        "by": overrides.override.by,
        "set": overrides.override.description,
        "paused": rate_limits.paused,
        "wcu": round(rate_limits.wcu, 2),
        "rcu": round(rate_limits.rcu, 2),
        "max_rate": rate_limits.max_rate,
        "capacity": round(rate_limits.ceilings.capacity[TABLE], 2),
        "why": rate_limits.why,
    }
