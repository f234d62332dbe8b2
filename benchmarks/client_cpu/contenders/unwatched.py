"""refire's engine without subscribers: no progress, no events, no log, no recording."""

from __future__ import annotations

from functools import partial

from benchmarks.client_cpu.contenders.common import job
from refire_async.engine.event_loop import run_loop
from refire_async.engine.run import run
from refire_async.events import Event
from refire_async.model.stop import StopRequest
from refire_async.settings import Budget, Connection, RunSettings, Tuning

UNITS = 10_000_000.0


def ignore(_event: Event) -> None:
    """Let it pass by."""


def main() -> None:
    """Touch everything."""
    todo = job()
    settings = RunSettings(
        table=todo.table,
        connection=Connection(endpoint_url=todo.url),
        budget=Budget(max_wcu=UNITS, max_rcu=UNITS),
        tuning=Tuning(segments=todo.segments),
        assume_yes=True,
    )
    result = run_loop(partial(run, settings, emit=ignore, stop=StopRequest()))
    if result.exit_code:
        raise SystemExit(result.reason)


if __name__ == "__main__":
    main()
