"""State of a run at one time, for the panel, logs and JSON events."""

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from refire_async.events import ConsumerSeen
from refire_async.output.text import one_line

State: TypeAlias = Literal["starting", "running", "waiting", "paused", "draining", "ended"]


HotKey: TypeAlias = Literal["yes", "maybe"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """State of a run at one time. Rates are per second over the last 10 s; `remaining_s` is based on the last minute,
    or on the plan's model if the budget has changed since.

    `share` (0 to 1) and `remaining_s` are None while unknown; rates are 0 and `remaining_s` None while the run is
    paused or waits for the service. `hot_key`: whether a lane with a throttled key range determines the remaining
    time ("maybe": there is one, but how many items it has left is unknown). `done`, `saved` (of them, on disk in the
    checkpoint) and `failed` cover all attempts of a run, everything else this process. `lanes`: those with work, and
    those of them that back off; None until they were counted. `cost_usd` is at the list prices of forecast/cost.py,
    None while the table's billing mode is unknown; unless `paid_by_request`, it is capacity that is paid for anyway.
    """

    state: State
    detail: str
    run_id: str
    table: str
    resumed: bool
    elapsed_s: float
    done: int
    saved: int
    failed: int
    expected: int | None
    share: float | None
    remaining_s: float | None
    items_rate: float | None
    wcu_rate: float | None
    rcu_rate: float | None
    max_wcu: float
    max_rcu: float
    bound_by: str
    held_to_wcu: float | None
    wcu: float
    rcu: float
    throttled: tuple[tuple[str, int], ...]
    retries: int
    segments_finished: int
    segments_total: int
    lanes: tuple[int, int] | None
    latency_s: tuple[float, float] | None
    cost_usd: float | None
    paid_by_request: bool
    hot_key: HotKey = None
    consumers: tuple[ConsumerSeen, ...] = ()

    @property
    def throttled_total(self) -> int:
        """Throttled writes and reads, for all reasons."""
        return sum(number for _, number in self.throttled)

    def visible(self) -> "Snapshot":
        """A copy with the control characters of all texts replaced."""
        return replace(
            self,
            detail=one_line(self.detail),
            run_id=one_line(self.run_id),
            table=one_line(self.table),
            bound_by=one_line(self.bound_by),
            throttled=tuple((one_line(reason), number) for reason, number in self.throttled),
            consumers=tuple(replace(one, name=one_line(one.name)) for one in self.consumers),
        )

    def to_json(self) -> dict[str, Any]:
        """One flat object: documented API (docs/scripting.md, progress). Milliseconds for latencies, else seconds."""
        latency = self.latency_s
        return {
            "state": self.state,
            "detail": self.detail,
            "seconds": round(self.elapsed_s, 1),
            "items": self.done,
            "saved": self.saved,
            "failed": self.failed,
            "expected_items": self.expected,
            "share": rounded(self.share, 4),
            "remaining_s": rounded(self.remaining_s),
            "items_per_second": rounded(self.items_rate),
            "wcu_per_second": rounded(self.wcu_rate),
            "rcu_per_second": rounded(self.rcu_rate),
            "max_wcu": round(self.max_wcu, 1),
            "max_rcu": round(self.max_rcu, 1),
            "bound_by": self.bound_by,
            "held_to_wcu": rounded(self.held_to_wcu),
            "wcu": round(self.wcu, 1),
            "rcu": round(self.rcu, 1),
            "cost_usd": rounded(self.cost_usd, 4),
            "throttled": self.throttled_total,
            "throttled_by": dict(self.throttled),
            "retries": self.retries,
            "segments_finished": self.segments_finished,
            "segments": self.segments_total,
            "lanes": None if self.lanes is None else self.lanes[0],
            "lanes_backing_off": None if self.lanes is None else self.lanes[1],
            "latency_p50_ms": None if latency is None else round(latency[0] * 1000, 1),
            "latency_p99_ms": None if latency is None else round(latency[1] * 1000, 1),
        }


def consumer_fields(event: ConsumerSeen) -> dict[str, Any]:
    """The figures of a consumer, as the log and the JSON events show them."""
    return {
        "function": event.name,
        "age_s": rounded(event.age_s),
        "errors": event.errors,
        "throttles": event.throttles,
        "records_per_second": rounded(event.rate),
    }


def rounded(value: float | None, digits: int = 1) -> float | None:
    """`round`, or None for None."""
    return None if value is None else round(value, digits)
