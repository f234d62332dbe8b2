"""Events as the engine emits them."""

from refire_async.events import RunStarted
from refire_async.model.counts import Counts
from refire_async.model.keys import KeySchema
from refire_async.model.marker import Marker
from refire_async.model.run import RunSpec, RunStatus, Summary
from refire_async.model.selection import Selection

SPEC = RunSpec(
    run_id="run-1",
    table="orders",
    table_id="id",
    keys=KeySchema("pk", "S"),
    selection=Selection("query", key_name="pk", key_values=({"S": "ann@example.org"},)),
    marker=Marker("revision", "revision", "run-1"),
    total_segments=8,
)


def started(expected: int | None = 1000, *, before: Counts | None = None, spec: RunSpec = SPEC) -> RunStarted:
    """The first event of a run, or of a resumed one if `before` is given."""
    return RunStarted(
        spec=spec,
        resumed=before is not None,
        expected_items=expected,
        max_wcu=800.0,
        max_rcu=100.0,
        bound_by="table",
        checkpoint="/state/run-1.refire",
        settled_before=before or Counts(),
        budget="800 WCU/s: the table",
    )


def summary(status: RunStatus = "complete", *, failed_keys_file: str | None = None, **counts: int) -> Summary:
    """The summary of a run."""
    return Summary(
        run_id="run-1",
        table="orders",
        status=status,
        counts=Counts(**counts),
        throttled=7,
        retries=3,
        wcu=1234.5,
        rcu=67.0,
        seconds=12.0,
        checkpoint="/state/run-1.refire",
        failed_keys_file=failed_keys_file,
    )
