"""What the engine tells while it works. Logs, metrics and progress subscribe; the engine knows none of them.

Events are per page, per batch or rarer, never per item. Subscribers must return at once. Those per page and batch are
named tuples, which take a third of the time to make.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from refire_async.model.canary import Canary
from refire_async.model.capacity import Consumed
from refire_async.model.counts import Counts
from refire_async.model.finding import Finding
from refire_async.model.run import RunSpec, Summary
from refire_async.model.table import BillingMode


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The first write is about to be allowed. `expected_items` may be hours old, or None if unknown.

    `budget` says in one line how much may be consumed, and why. `max_items` is how many items this sitting reads at
    most, None without a limit. `indexes` are those of the global indexes
    that a touch writes to, in write units per second by name.
    """

    spec: RunSpec
    resumed: bool
    expected_items: int | None
    max_wcu: float
    max_rcu: float
    bound_by: str
    checkpoint: str
    settled_before: Counts
    budget: str = ""
    billing: BillingMode | None = None
    max_items: int | None = None
    indexes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeysRead:
    """A list of keys is being made, before the run begins: `taken` keys so far.

    At its end `items` are those that differ, and `left_out` counts lines that name no key.
    """

    taken: int
    items: int | None = None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something to know about the table or its consumers, found before the first write; it does not end the run."""

    finding: Finding


class PageRead(NamedTuple):
    """A page came from the source. `latency_s` is that of its last request."""

    segment: int
    items: int
    rcu: float
    latency_s: float


class BatchWritten(NamedTuple):
    """A batch was answered; `items` of it are settled by the answer. `wcu` includes what refused members cost.

    `consumed` is what the answer told of it, None where it told nothing and `wcu` is an estimate.
    """

    segment: int
    items: int
    wcu: float
    latency_s: float
    consumed: Consumed | None = None


class PageSettled(NamedTuple):
    """Every item of a page has its outcome."""

    segment: int
    counts: Counts


@dataclass(frozen=True, slots=True)
class Throttled:
    """The service refused `items` writes (or one read) for lack of capacity."""

    segment: int
    items: int
    reason: str
    resource: str
    lane_only: bool


@dataclass(frozen=True, slots=True)
class Retried:
    """An attempt failed for another reason and will be made again after `delay_s`."""

    segment: int
    items: int
    reason: str
    attempt: int
    delay_s: float


@dataclass(frozen=True, slots=True)
class SegmentFinished:
    """A segment is read to its end (its last pages may still be in their lane)."""

    segment: int
    finished: int
    total: int


@dataclass(frozen=True, slots=True)
class ItemFailed:
    """Items that cannot be touched; they go to the failed-keys file. Keys are personal data: not here."""

    segment: int
    items: int
    code: str


@dataclass(frozen=True, slots=True)
class LanesSeen:
    """Lanes with work right now in process `part`, and those of them that throttling or an error holds back.

    About once a second.
    """

    active: int
    backing_off: int
    part: int = 0


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """`settled` items of part `part` in this sitting have their outcome on disk. At most once a second and part."""

    part: int
    settled: int


@dataclass(frozen=True, slots=True)
class RateChanged:
    """The shared rate follows throttling down or recovers. Units per second."""

    wcu: float
    ceiling: float
    reason: str


@dataclass(frozen=True, slots=True)
class Suspended:
    """The process did nothing for `seconds`: it was stopped by Ctrl-Z, or the machine slept. `part` as in LanesSeen."""

    seconds: float
    part: int = 0


@dataclass(frozen=True, slots=True)
class BudgetChanged:
    """The run may consume more or less than before: units per second at most, and what bounds them.

    `wcu` is that of the table, `indexes` those of the global indexes that a touch writes to.
    """

    wcu: float
    rcu: float
    why: str
    indexes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing is read or written until the run is resumed; what is in flight is finished."""

    why: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """A pause is over; `why` is what bounds the run now."""

    why: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing can be done right now (no network, no capacity): the run waits and says so."""

    reason: str
    since_s: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a `Waiting` was about is over: something went through again, `after_s` after the first failure."""

    after_s: float


@dataclass(frozen=True, slots=True)
class ConsumerSeen:
    """A minute's figures of a consumer came: the age (s) of what it was given, at most, None where nothing is known.

    `errors` and `throttles` are its failed and refused invocations since the sitting began, `rate` the records per
    second that it is taken to handle, None where nobody measures.
    """

    name: str
    age_s: float | None
    errors: int
    throttles: int
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class AdviceMissing:
    """Something that `topic` relies on cannot be found out; `instead` says what the run does meanwhile."""

    topic: str
    why: str
    instead: str


@dataclass(frozen=True, slots=True)
class AdviceBack:
    """What `topic` relies on is known again."""

    topic: str


@dataclass(frozen=True, slots=True)
class ProcessReplaced:
    """A process of the run died; another one goes on with its segments."""

    index: int


@dataclass(frozen=True, slots=True)
class Stopping:
    """The run stops before its end; what is in flight is finished and saved."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The last event of a run."""

    summary: Summary


@dataclass(frozen=True, slots=True)
class VerifyStarted:
    """The run is over as far as it goes, and what its stream has shown meanwhile is judged now."""

    run_id: str


@dataclass(frozen=True, slots=True)
class CanaryFlown:
    """The first items of the run are touched, and this is what their events did."""

    canary: Canary


Event: TypeAlias = (
    KeysRead
    | RunStarted
    | Noticed
    | PageRead
    | BatchWritten
    | PageSettled
    | Throttled
    | Retried
    | SegmentFinished
    | ItemFailed
    | LanesSeen
    | CheckpointSaved
    | RateChanged
    | BudgetChanged
    | Suspended
    | Paused
    | Resumed
    | Waiting
    | Recovered
    | ConsumerSeen
    | AdviceMissing
    | AdviceBack
    | ProcessReplaced
    | Stopping
    | RunEnded
    | VerifyStarted
    | CanaryFlown
)

Emit: TypeAlias = Callable[[Event], None]


class Subscriber:
    """Someone whom only some kinds of event concern; `handlers` has who takes in each of them."""

    handlers: Mapping[type, Callable[[Any], None]]

    def handle(self, event: Event) -> None:
        """Take one event in, or let it pass by."""
        handler = self.handlers.get(type(event))
        if handler is not None:
            handler(event)


def ignore(_event: Event) -> None:
    """The `Emit` of a caller that needs no events."""


def fan_out(*listeners: Emit | Subscriber) -> Emit:
    """One Emit that tells each listener in turn: subscribers what concerns them, all others everything.

    Who is told of a kind of event is looked up once: there is one for every batch.
    """
    routes: dict[type, tuple[Callable[[Any], None], ...]] = {}

    def route(kind: type) -> tuple[Callable[[Any], None], ...]:
        told = [one.handlers.get(kind) if isinstance(one, Subscriber) else one for one in listeners]
        return routes.setdefault(kind, tuple(one for one in told if one is not None))

    def emit(event: Event) -> None:
        for tell in routes.get(type(event)) or route(type(event)):
            tell(event)

    return emit
