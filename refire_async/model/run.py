"""The identity of a run, and its result."""

import secrets
from dataclasses import KW_ONLY, dataclass
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
    """Everything that stays the same during a run. Plain values, so that it can be pickled."""

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
        """Whether the source's markers are older than the run, as those of an export.

        Then a different marker in the table does not mean that the item has changed since the run began.
        """
        return self.selection.kind == "export"

    def may_have_touched(self, before: AttributeValue | None, now: AttributeValue | None) -> bool:
        """Whether the present marker `now` can result from a touch that started from `before`, or from a later
        change.

        For markers that are older than the run, after the condition of a touch failed or its outcome was lost. Any
        value other than these two was most likely there before the run began, so no event has been emitted since.
        """
        return now in (before, self.marker.next(before))


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The result of a run, over all its attempts. Its JSON form is documented API (docs/scripting.md)."""

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
        """Items with an outcome per second of work."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a run would do: the items that it would touch and the units that this takes. Nothing was written.

    `more`: the dry run ended at a limit that the user set, so the real run covers more. `seconds` is how long the run
    would take within its budget, limited by `bound_by`; `cost_usd` is the price of the units, `extra_cost` is false
    if the capacity is paid for by the hour anyway.
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
    """The result of an attempt. `reason` is one line that says why it ended early.

    If a verification was requested there is `proof`, or `unproven`, one line that says why not. `nothing` says what
    was read if there was no item to touch.
    """

    summary: Summary
    exit_code: ExitCode
    reason: str | None = None
    _: KW_ONLY
    dry_run: DryRun | None = None
    proof: Proof | None = None
    unproven: str | None = None
    nothing: str | None = None


def new_run_id() -> str:
    """A unique id that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
