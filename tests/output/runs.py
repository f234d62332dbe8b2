"""Checkpoints of finished runs with everything that a report shows."""

import math
from dataclasses import replace
from pathlib import Path

from refire_async.checkpoint.ledger import Failure
from refire_async.checkpoint.recording import Recording
from refire_async.checkpoint.store import Store
from refire_async.model.counts import Counts, Totals
from refire_async.model.proof import Proof, ProofCounts
from refire_async.model.run import RunSpec
from refire_async.model.selection import Selection
from refire_async.model.series import Note, Point
from refire_async.output.recorder import record_proof
from refire_async.settings import Connection
from tests.support.checkpoints import SPEC, item, page

BEGAN = 1_790_000_000.0
SECONDS = 120
HOT = "IndexWriteKeyRangeThroughputExceeded orders/index/by-day"


def finished_run(
    path: Path,
    spec: RunSpec = SPEC,
    *,
    budget: float = 800.0,
    index_budget: float | None = 400.0,
    proof: ProofCounts | None = None,
    view: str = "NEW_AND_OLD_IMAGES",
    failed: int = 100,
    finding: str = "the table's stream has no consumer",
    code: str = "ValidationException",
    reason: str = "Item size has exceeded the maximum allowed size",
) -> Path:
    """A run of two attempts with throttling and a pause; by default 100 of its 60,100 items failed."""
    store = Store.create(path, spec, Connection(region="eu-west-1"))
    with store.transaction():
        store.save_process(
            0, Counts(scanned=60_000, touched=59_990, conflicts=7, vanished=10), Totals(50, 4, 9e4, 700, 60)
        )
        store.save_process(1024, Counts(scanned=failed, failed=failed), Totals(0, 0, 1e4, 10, 60))
        for segment in range(spec.total_segments):
            store.move_cursor(segment, None)
        last = page(1, [item("ann@example.org")])
        store.open_page(last)
        last.failures = [Failure({"pk": {"S": f"ann{n}@example.org"}}, code, reason) for n in range(failed)]
        store.close_page(last)
        store.save_status("complete")
    store.close()
    with Recording(path) as recording:
        recording.save(_points(budget, index_budget), _notes(finding))
    if proof is not None:
        record_proof(
            path,
            Proof(run_id=spec.run_id, counts=proof, records=60_000, shards=4, view_type=view, seconds=3.0),
        )
    return path


def _points(budget: float, index_budget: float | None) -> list[Point]:
    points = []
    for second in range(SECONDS):
        # The second attempt began an hour later.
        at = BEGAN + second + (3600 if second >= 60 else 0)
        wcu = 750 + 50 * math.sin(second / 5)
        hot = {HOT: 25, "TableWriteProvisionedThroughputExceeded orders": 5} if 20 <= second < 30 else {}
        points.append(
            Point(
                at=at,
                seconds=1.0,
                items=500,
                rcu=6.0,
                budget=budget,
                index_budgets={} if index_budget is None else {"_by-$day$": index_budget},
                allowed=budget / 2 if hot else budget,
                wcu={"": wcu, "_by-$day$": wcu / 2},
                throttled=dict(hot),
                writes={"8": 18, "12": 2} if second % 7 else {},
                ages={"project-orders": 10.0 + second} if second >= 60 else {},
                bands={str(second % SPEC.total_segments): 500},
            )
        )
    return points


def _notes(finding: str) -> list[Note]:
    start = {
        "resumed": False,
        "expected": 60_000,
        "settled_before": 0,
        "max_wcu": 800.0,
        "max_rcu": 100.0,
        "budget": "800 WCU/s: 80% of the table's provisioned capacity",
        "billing": "PAY_PER_REQUEST",
        "settings": {"max_wcu": 800.0, "verify": True, "ignore": ["no-consumer"]},
    }
    warned = {"id": "no-consumer", "level": "warn", "message": finding, "action": "look at the stream"}
    return [
        Note(BEGAN - 1, "finding", warned),
        Note(BEGAN, "start", start),
        Note(BEGAN + 40, "pause", {"why": "you, by refire rate"}),
        Note(BEGAN + 45, "unpause", {"why": "you"}),
        Note(BEGAN + 59, "stop", {"reason": "interrupted"}),
        Note(BEGAN + 3660, "start", start | {"resumed": True, "settings": {}}),
        Note(BEGAN + 3720, "end", {"status": "complete", "touched": 59_990}),
    ]


def private_spec() -> RunSpec:
    """A run that selects by keys."""
    chosen = Selection(
        "query",
        key_name="pk",
        key_values=({"S": "bob@example.org"},),
        filter="#n = :n",
        names=(("#n", "name"),),
        values=((":n", {"S": "Bob Miller"}),),
    )
    return replace(SPEC, selection=chosen, total_segments=1)
