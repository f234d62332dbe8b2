"""refire: `replay` through its public function, in the event loop of the command line, with its ledger on disk."""

from __future__ import annotations

from functools import partial

from benchmarks.replay.contenders.common import BATCH, SINCE, Job, job
from refire_async import Connection, DeliverySettings, ReplaySettings, replay
from refire_async.engine.event_loop import run_loop


def settings(job: Job) -> ReplaySettings:
    """Everything since an hour ago, without a question."""
    delivery = DeliverySettings(
        function=job.function,
        batch_size=BATCH,
        concurrency=job.concurrency,
        checkpoint=job.folder / "replay.refire",
        assume_yes=True,
    )
    return ReplaySettings(
        table=job.table,
        delivery=delivery,
        connection=Connection(endpoint_url=job.url),
        since=SINCE,
    )


if __name__ == "__main__":
    result = run_loop(partial(replay, settings(job())))
    if result.exit_code:
        raise SystemExit(f"{result.exit_code}: {result.reason}")
