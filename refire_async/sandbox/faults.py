"""Decides which fault affects which request. Pure, reproducible by seed.

Every fault of the file draws from a random generator of its own, seeded by the file's seed and the fault's place in
the list. The n-th request that fits a fault's filters and times therefore meets the same fate in every run,
whatever other faults there are.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections import deque
from collections.abc import Collection
from typing import Any

from refire_async.sandbox import errors
from refire_async.sandbox.capacity.reasons import throttle_for
from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.clock import Clock
from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.fault_specs import (
    CapacityChanged,
    FaultSpec,
    RequestFault,
    RequestKind,
    TableDeleted,
)

_SPOILS_ANSWER = frozenset({RequestKind.TRUNCATE, RequestKind.BAD_CRC, RequestKind.SLOW_DRIP})


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """The faults of one request: ``delay`` seconds pass, then at most one of the three occurs.

    ``before`` ends the request without carrying it out; ``after`` lets it be carried out and then ends it in
    place of its answer; ``answer`` spoils the bytes of its answer.
    """

    delay: float = 0.0
    before: RequestFault | None = None
    after: RequestFault | None = None
    answer: RequestFault | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class CapacityRestored:
    """The throughput that a table or index had before the first ``CapacityChanged`` still active is restored."""

    table: str
    index: str | None


TableEvent = TableDeleted | CapacityChanged | CapacityRestored

NOTHING = Decision()


class Faults:
    """The faults of one file, from the moment of its creation on."""

    def __init__(self, spec: FaultSpec, clock: Clock) -> None:
        self._now = clock.monotonic
        self._began = clock.monotonic()
        self._armed = [_Armed(fault, f"{spec.seed}/{at}") for at, fault in enumerate(spec.requests)]
        self._of_requests = [one for one in self._armed if one.fault.scope == "request"]
        self._of_members = [one for one in self._armed if one.fault.scope == "member"]
        self._timeline = _timeline(spec)
        self._lowered: dict[tuple[str, str | None], CapacityRestored] = {}

    # Requests ----------------------------------------------------------------------------------------------

    def decide(self, operation: str, tables: Collection[str]) -> Decision:
        """The faults of a request that names these tables (none: operations on streams or on all tables).

        Of several faults that would strike in one place the first of the list does; latencies add up.
        """
        if not self._of_requests:
            return NOTHING
        elapsed = self._now() - self._began
        delay = 0.0
        places: dict[str, _Armed] = {}
        for one in self._of_requests:
            if not one.draw(elapsed, operation, tables):
                continue
            fault = one.fault
            if fault.latency is not None:
                one.struck += 1
                delay += fault.latency.sample(one.rng)
            else:
                places.setdefault("answer" if fault.kind in _SPOILS_ANSWER else fault.when, one)
        # A request meets one end: what is refused is not carried out, what is not answered has no bytes to spoil.
        for place in ("before", "after", "answer"):
            striking = places.get(place)
            if striking is not None:
                striking.struck += 1
                return Decision(delay, **{place: striking.fault})
        return Decision(delay) if delay else NOTHING

    def decide_member(self, operation: str, table: str) -> RequestFault | None:
        """The fault of one member of a batch operation, or None."""
        if not self._of_members:
            return None
        elapsed = self._now() - self._began
        striking = [one for one in self._of_members if one.draw(elapsed, operation, (table,))]
        if not striking:
            return None
        striking[0].struck += 1
        return striking[0].fault

    def struck(self) -> list[dict[str, Any]]:
        """``{"kind", "struck"}`` for every fault on requests, in the order of the file."""
        return [{"kind": one.fault.kind.value, "struck": one.struck} for one in self._armed]

    # Tables ------------------------------------------------------------------------------------------------

    def due(self) -> list[TableEvent]:
        """The events that became due since the last call, in chronological order."""
        elapsed = self._now() - self._began
        events: list[TableEvent] = []
        while self._timeline and self._timeline[0][0] <= elapsed:
            event = self._timeline.popleft()[1]
            if isinstance(event, CapacityChanged):
                self._lowered[event.table, event.index] = CapacityRestored(event.table, event.index)
            elif isinstance(event, CapacityRestored):
                self._lowered.pop((event.table, event.index), None)
            events.append(event)
        return events

    @property
    def next_event_at(self) -> float:
        """Monotonic time of the next event; infinity if there is none."""
        return self._began + self._timeline[0][0] if self._timeline else math.inf

    def end(self) -> list[CapacityRestored]:
        """Stop all faults. Returns the throughput to restore."""
        restores = list(self._lowered.values())
        self._lowered.clear()
        self._timeline.clear()
        self._of_requests, self._of_members = [], []
        return restores


_PLAIN_ERRORS = {
    RequestKind.INTERNAL_ERROR: errors.internal_server_error,
    RequestKind.UNAVAILABLE: errors.service_unavailable,
    RequestKind.EXPIRED_TOKEN: errors.expired_token,
    RequestKind.TRANSACTION_CONFLICT: errors.transaction_conflict,
}


def error_of(
    fault: RequestFault,
    operation: str,
    table_arn: str,
    *,
    settings: CapacitySettings,
    on_demand: bool = False,
) -> ServiceError | None:
    """The error of a fault; None for faults without an error response."""
    plain = _PLAIN_ERRORS.get(fault.kind)
    if plain is not None:
        return plain()
    match fault.kind:
        case RequestKind.ACCESS_DENIED:
            return errors.access_denied(
                f"User: arn:aws:iam::000000000000:user/sandbox is not authorized to perform: dynamodb:{operation} "
                f"on resource: {table_arn} because no identity-based policy allows the dynamodb:{operation} action"
            )
        case RequestKind.THROTTLE:
            if fault.reason is None:
                raise ValueError("a throttle fault has a reason")
            throttle = throttle_for(
                fault.reason, table_arn=table_arn, index=fault.index, on_demand=on_demand, settings=settings
            )
            return ServiceError(throttle.error, throttle.message, extra=throttle.extra)
    return None


class _Armed:
    """A fault with its random generator and how often it occurred."""

    __slots__ = ("fault", "rng", "struck")

    def __init__(self, fault: RequestFault, seed: str) -> None:
        self.fault = fault
        self.rng = random.Random(seed)  # noqa: S311  reproducible on purpose
        self.struck = 0

    def draw(self, elapsed: float, operation: str, tables: Collection[str]) -> bool:
        """Whether it affects a request. Each matching request takes one random draw, so that runs are reproducible."""
        fault = self.fault
        if not fault.start <= elapsed < fault.stop or (
            fault.count is not None and self.struck >= fault.count
        ):
            return False
        if fault.operations and operation not in fault.operations:
            return False
        if fault.tables and fault.tables.isdisjoint(tables):
            return False
        return self.rng.random() < fault.probability


def _timeline(spec: FaultSpec) -> deque[tuple[float, TableEvent]]:
    """Every event with its time, in order; at the same time, what ends comes before what begins."""
    timed: list[tuple[float, TableEvent]] = [
        (event.stop, CapacityRestored(event.table, event.index))
        for event in spec.events
        if isinstance(event, CapacityChanged) and event.stop < math.inf
    ]
    timed += [(event.start, event) for event in spec.events]
    return deque(sorted(timed, key=lambda entry: entry[0]))
