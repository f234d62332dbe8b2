"""The events that a run emits. Logs, metrics and progress subscribe to them; the engine imports none of these.

A run emits an event per page, per batch or less often, never per item. Subscribers must return at once. The events per
page and per batch are named tuples, which take a third of the time to create.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from refire_async.model.canary import Canary
from refire_async.model.capacity import Consumed
from refire_async.model.counts import Counts
from refire_async.model.delivery import DeliveryCounts, DeliverySummary
from refire_async.model.finding import Finding
from refire_async.model.run import RunSpec, Summary
from refire_async.model.table import BillingMode


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The attempt is about to begin its reads and writes. `expected_items` may be hours old, or None if unknown.

    `budget` is one line: what the run may consume, and why. `max_items` is the most that this attempt reads, None
    without a limit. `indexes` are the ceilings of the global indexes that a touch writes to, in WCU per second by
    name. `settled_before` counts the items that have an outcome from earlier attempts.
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
    """A list of keys is being imported, before the run begins: `taken` keys so far.

    At its end `items` counts the distinct keys, and `left_out` the lines without a key.
    """

    taken: int
    items: int | None = None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Noticed:
    """A finding about the table or its consumers, from before the first write. It does not end the run."""

    finding: Finding


class PageRead(NamedTuple):
    """A page was read from the source. `latency_s` includes the retries and look-ups of the page."""

    segment: int
    items: int
    rcu: float
    latency_s: float


class BatchWritten(NamedTuple):
    """DynamoDB answered a batch and touched `items` of its members. `wcu` includes the cost of refused members.

    `consumed` is the capacity in the answer, or None where the answer has none and `wcu` is an estimate.
    """

    segment: int
    items: int
    wcu: float
    latency_s: float
    consumed: Consumed | None = None


class PageAcknowledged(NamedTuple):
    """Every item of a page has its outcome."""

    segment: int
    counts: Counts


@dataclass(frozen=True, slots=True)
class Throttled:
    """DynamoDB throttled `items` writes (or one read)."""

    segment: int
    items: int
    reason: str
    resource: str
    lane_only: bool


@dataclass(frozen=True, slots=True)
class Retried:
    """A request failed for a reason other than throttling. It is retried after `delay_s` seconds."""

    segment: int
    items: int
    reason: str
    attempt: int
    delay_s: float


@dataclass(frozen=True, slots=True)
class SegmentFinished:
    """A segment is read to its end. Its last pages may still wait in their lane for their writes."""

    segment: int
    finished: int
    total: int


@dataclass(frozen=True, slots=True)
class ItemFailed:
    """Items that cannot be touched. Their keys, which can be personal data, go only to the failed-keys file."""

    segment: int
    items: int
    code: str


@dataclass(frozen=True, slots=True)
class LanesSeen:
    """Lanes that have work in process `part`, and how many of them back off after throttling or an error.

    Emitted about once a second.
    """

    active: int
    backing_off: int
    part: int = 0


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """The outcomes of `settled` items of process `part` in this attempt are on disk.

    Emitted at most once a second per process.
    """

    part: int
    settled: int


@dataclass(frozen=True, slots=True)
class RateChanged:
    """The shared write rate fell after throttling, or recovers. WCU per second."""

    wcu: float
    ceiling: float
    reason: str


@dataclass(frozen=True, slots=True)
class Suspended:
    """The process was suspended for `seconds`, by Ctrl-Z or because the machine slept. `part` as in LanesSeen."""

    seconds: float
    part: int = 0


@dataclass(frozen=True, slots=True)
class BudgetChanged:
    """The limits of the run changed: units per second at most, and the reason.

    `wcu` is the limit of the table, `indexes` the limits of the global indexes that a touch writes to.
    """

    wcu: float
    rcu: float
    why: str
    indexes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Paused:
    """The run is paused: requests in flight complete, and no others begin until it continues."""

    why: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """A pause is over. `why` names what limits the run now."""

    why: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """No request has succeeded for `since_s` seconds (no network, no capacity): the run waits."""

    reason: str
    since_s: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """The outage that `Waiting` reported is over. It lasted `after_s` seconds, from the first failure to the last."""

    after_s: float


@dataclass(frozen=True, slots=True)
class ConsumerSeen:
    """Metrics of a consumer for one minute. `age_s` is its maximum iterator age in seconds, None where unknown.

    `errors` and `throttles` are its failed and throttled invocations since the attempt began, `rate` its estimated
    capacity in records per second, None where it is not estimated.
    """

    name: str
    age_s: float | None
    errors: int
    throttles: int
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class AdviceMissing:
    """Data that `topic` relies on is unavailable. `instead` says what the run does meanwhile."""

    topic: str
    why: str
    instead: str


@dataclass(frozen=True, slots=True)
class AdviceBack:
    """The data that `topic` relies on is available again."""

    topic: str


@dataclass(frozen=True, slots=True)
class ProcessReplaced:
    """A process of the run died. Another process continues with its segments."""

    index: int


@dataclass(frozen=True, slots=True)
class Stopping:
    """The run stops before its end. Requests in flight complete, and their outcomes are saved."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The last event of a run."""

    summary: Summary


@dataclass(frozen=True, slots=True)
class VerifyStarted:
    """The attempt is over, and its verification compares the stream with the checkpoint."""

    run_id: str


@dataclass(frozen=True, slots=True)
class CanaryFlown:
    """The canary of the run is over, with its report."""

    canary: Canary


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryStarted:
    """A replay or redrive is about to invoke. `expected` is the number of records to deliver, None if unknown.

    `counts` are those of earlier attempts.
    """

    run_id: str
    source: str
    function: str
    resumed: bool
    expected: int | None
    checkpoint: str | None
    counts: DeliveryCounts


class BatchDelivered(NamedTuple):
    """The target took the first `records` records of a batch. The last of them was created at `created_at` (Unix s)."""

    shard: str
    lane: int
    records: int
    latency_s: float
    created_at: float | None = None


class InFlight(NamedTuple):
    """So many invocations of the target are in progress now."""

    invocations: int


class Invoked(NamedTuple):
    """The target answered an invocation after `latency_s` seconds, or its answer was lost."""

    latency_s: float


class PaceChanged(NamedTuple):
    """What a delivery allows itself from now on.

    Invocations at a time, invocations per second (infinite without a limit), records per second (None without one).
    """

    concurrency: int
    invocations_per_s: float
    max_rate: float | None = None


class DeliveryCounted(NamedTuple):
    """What all attempts of a delivery have done, as its ledger has it. About once a second."""

    counts: DeliveryCounts


@dataclass(frozen=True, slots=True)
class BatchFailed:
    """`records` records are given up. `condition` is the word of an invocation record (RetryAttemptsExhausted, …)."""

    shard: str
    lane: int
    records: int
    condition: str
    reason: str


@dataclass(frozen=True, slots=True)
class InvocationRetried:
    """A batch of `records` records will be invoked again after `delay_s` seconds, which uses an attempt."""

    shard: str
    lane: int
    records: int
    reason: str
    delay_s: float


@dataclass(frozen=True, slots=True)
class InvocationThrottled:
    """The service refused an invocation. It is tried again after `delay_s` seconds, which uses no attempt."""

    reason: str
    delay_s: float


@dataclass(frozen=True, slots=True)
class RecordsLost:
    """Records of a shard from before `before` (seconds since the epoch) are no longer in the source."""

    shard: str
    before: float
    why: str


@dataclass(frozen=True, slots=True)
class MessageSettled:
    """A message of a queue is worked off: its records are settled, and it was deleted or kept."""

    deleted: bool


@dataclass(frozen=True, slots=True)
class MappingSeen:
    """The temporary event source mapping has another state or result, both in Lambda's words."""

    uuid: str
    state: str
    result: str


@dataclass(frozen=True, slots=True)
class DeliveryEnded:
    """The last event of a replay or redrive."""

    summary: DeliverySummary


Event: TypeAlias = (
    KeysRead
    | RunStarted
    | Noticed
    | PageRead
    | BatchWritten
    | PageAcknowledged
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
    | DeliveryStarted
    | BatchDelivered
    | InFlight
    | Invoked
    | PaceChanged
    | DeliveryCounted
    | BatchFailed
    | InvocationRetried
    | InvocationThrottled
    | RecordsLost
    | MessageSettled
    | DeliveryEnded
    | MappingSeen
)

Emit: TypeAlias = Callable[[Event], None]


class Subscriber:
    """A subscriber to some event types. `handlers` maps each type to its callback."""

    handlers: Mapping[type, Callable[[Any], None]]

    def handle(self, event: Event) -> None:
        """Pass the event to the handler of its type, if there is one."""
        handler = self.handlers.get(type(event))
        if handler is not None:
            handler(event)


def ignore(_event: Event) -> None:
    """An `Emit` for callers that need no events."""


def fan_out(*listeners: Emit | Subscriber) -> Emit:
    """Return an `Emit` that passes each event to the listeners in turn; a `Subscriber` gets only the types it handles.

    The listeners of each event type are looked up once, since there is an event per batch.
    """
    routes: dict[type, tuple[Callable[[Any], None], ...]] = {}

    def route(kind: type) -> tuple[Callable[[Any], None], ...]:
        handlers = [one.handlers.get(kind) if isinstance(one, Subscriber) else one for one in listeners]
        return routes.setdefault(kind, tuple(one for one in handlers if one is not None))

    def emit(event: Event) -> None:
        for tell in routes.get(type(event)) or route(type(event)):
            tell(event)

    return emit
