"""What identifies a run, and how it ended."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from refire_async.errors import ExitCode
from refire_async.model.counts import Counts
from refire_async.model.keys import AttributeValue, KeySchema
from refire_async.model.marker import Marker
from refire_async.model.proof import Proof
from refire_async.model.selection import Selection

RunStatus: TypeAlias = Literal["running", "complete", "stopped", "failed", "dry-run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """Everything that must stay the same from a run's start to its end. Plain values: it can be pickled."""

    run_id: str
    table: str
    table_id: str
    keys: KeySchema
    selection: Selection
    marker: Marker
    total_segments: int
    ttl_attribute: str | None = None

    @property
    def markers_are_older(self) -> bool:
        """Whether the source's markers are from before the run, as an export's are.

        Then that one is another now does not mean that it has changed since the run began.
        """
        return self.selection.kind == "export"

    def may_have_touched(self, before: AttributeValue | None, now: AttributeValue | None) -> bool:
        """Whether a marker that is `now` can be what a touch from `before` left, or a change after the run began.

        To be asked of a marker older than the run, after a touch from it failed or its outcome was lost. Any other
        value than these two was most likely there all along: nothing has fired since the run began.
        """
        return now in (before, self.marker.next(before))


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The result of a run, over all its sittings. Its JSON form is documented API (docs/scripting.md)."""

    run_id: str
    table: str
    status: RunStatus
    counts: Counts
    throttled: int
    retries: int
    wcu: float
    rcu: float
    seconds: float
    checkpoint: str | None
    failed_keys_file: str | None

    @property
    def items_per_second(self) -> float:
        """Settled items by time spent running."""
        return self.counts.settled / self.seconds if self.seconds > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """One flat object, fields in the documented order."""
        return {
            "run_id": self.run_id,
            "table": self.table,
            "status": self.status,
            **self.counts.to_json(),
            "throttled": self.throttled,
            "retries": self.retries,
            "wcu": round(self.wcu, 1),
            "rcu": round(self.rcu, 1),
            "seconds": round(self.seconds, 3),
            "items_per_second": round(self.items_per_second, 1),
            "checkpoint": self.checkpoint,
            "failed_keys_file": self.failed_keys_file,
        }


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a run would do: items that it would touch and the units that this costs. Nothing was written.

    `more`: the look ended at a limit that the user set, so the real run covers more. `seconds` is how long the run
    would take within its budget, bound by `bound_by`; `cost_usd` is what the units cost, `extra_cost` false where the
    capacity is paid for anyway, by the hour.
    """

    items: int
    wcu: float
    rcu: float
    more: bool
    seconds: float = 0.0
    bound_by: str = ""
    cost_usd: float = 0.0
    extra_cost: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """How a sitting ended. `reason` is one line for people where it ended before its end.

    Where a proof was asked for there is `proof`, or `unproven`, one line that says why not. `nothing` says what was
    read where that held no item to touch.
    """

    summary: Summary
    exit_code: ExitCode
    reason: str | None = None
    dry_run: DryRun | None = None
    proof: Proof | None = None
    unproven: str | None = None
    nothing: str | None = None


def new_run_id() -> str:
    """An id that sorts by time and is unlike any other."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
