"""The counters of a delivery (replay, redrive), and how it ended."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from refire_async.errors import ExitCode
from refire_async.model.run import RunStatus

DeliveryCommand: TypeAlias = Literal["replay", "redrive"]


@dataclass(slots=True, kw_only=True)
class DeliveryCounts:
    """What a delivery did, over all its attempts. selected = delivered + failed + what is still to come.

    `repeated` counts records that were delivered again, `retries` invocations that repeated an earlier one,
    `throttled` invocations that the service refused. `messages` and `messages_deleted` are those of a queue.
    """

    selected: int = 0
    delivered: int = 0
    failed: int = 0
    filtered: int = 0
    lost: int = 0
    invocations: int = 0
    repeated: int = 0
    retries: int = 0
    throttled: int = 0
    messages: int = 0
    messages_deleted: int = 0

    def since(self, before: "DeliveryCounts") -> "DeliveryCounts":
        """What was counted after `before`, of the same delivery."""
        return DeliveryCounts(
            **{name: max(0, value - getattr(before, name)) for name, value in asdict(self).items()}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySummary:
    """The result of a delivery, over all its attempts. Its JSON form is documented API (docs/scripting.md).

    `unaccounted` records were left to a temporary event source mapping, and Lambda's metrics do not say what became of
    them.
    """

    run_id: str
    source: str
    function: str
    status: RunStatus
    counts: DeliveryCounts
    seconds: float
    checkpoint: str | None
    failed_records_file: str | None
    unaccounted: int = 0

    @property
    def records_per_second(self) -> float:
        """Settled records by time spent delivering."""
        settled = self.counts.delivered + self.counts.failed
        return settled / self.seconds if self.seconds > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """One flat object, fields in the documented order. `unaccounted` is in it where it is above 0."""
        unaccounted = {"unaccounted": self.unaccounted} if self.unaccounted else {}
        return {
            "run_id": self.run_id,
            "source": self.source,
            "function": self.function,
            "status": self.status,
            **asdict(self.counts),
            "seconds": round(self.seconds, 3),
            "records_per_second": round(self.records_per_second, 1),
            "checkpoint": self.checkpoint,
            "failed_records_file": self.failed_records_file,
            **unaccounted,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOutlook:
    """What a delivery is about to do: shown, and confirmed, before its first invocation.

    Times are seconds since the epoch; `mapping` describes the settings and where they come from; `cost_usd` is for the
    requests and for reading the stream, at list prices, `run_cost_usd` for the function's run time. `seconds` is how
    long it will take, limited by `bound_by`. All but `cost_usd` are None if the function's latest speed is not known.
    `plan` is the whole forecast, as `refire plan --records --json` writes it.
    `warnings` are lines about what deserves a look.
    `stale_keys` are some keys, as JSON, whose later records are not delivered: personal data, so not for logs.
    """

    command: DeliveryCommand
    source: str
    function: str
    version: str
    records: int
    invocations: int
    size_bytes: int
    first_at: float | None
    last_at: float | None
    by_kind: tuple[tuple[str, int], ...]
    filtered: int
    lost: int
    cost_usd: float
    mapping: str
    seconds: float | None = None
    bound_by: str | None = None
    run_cost_usd: float | None = None
    plan: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    stale_keys: tuple[str, ...] = ()
    samples: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """How an attempt of a delivery ended. `reason` is one line for people where it ended early.

    `may_have_run_twice` names the batches whose outcome was unknown when an earlier attempt ended. `outlook` is that of
    a dry run.
    """

    command: DeliveryCommand
    summary: DeliverySummary
    exit_code: ExitCode
    reason: str | None = None
    may_have_run_twice: tuple[str, ...] = ()
    outlook: DeliveryOutlook | None = None
