"""A run with several processes: one budget, one checkpoint, one summary, and each item once if a process dies."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from refire_async.engine.processes.shares import TERMS
from refire_async.pacing.shares import MARGIN
from tests.support.backends import on_one_backend
from tests.support.cli import Cli, Running
from tests.support.consumption import accepted_by_second
from tests.support.judge import Snapshot, assert_summary
from tests.support.processes import children_of, wait_until_gone
from tests.support.proxy import Call, Hold, Proxy
from tests.support.rows import composite_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]

RUN = ("--run-id", "the-run", "--segments", "16")
ITEMS = 1200
BUDGET, BUDGETED_ITEMS = 300, 4_500


def writes_from(number: int) -> Callable[[Call], bool]:
    """Every batch from the n-th on."""
    return lambda call: call.operation == "BatchExecuteStatement" and call.number >= number


@pytest.fixture
def table(make_table: MakeTable) -> Table:
    """A table that keeps two processes busy for a while."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(ITEMS))
    return table


def start_and_hold(cli: Cli, proxy: Proxy, table: Table, hold: Hold) -> Running:
    """Start two processes whose batches from the twentieth on are written but get no response."""
    proxy.afterwards = hold
    child = cli.start("run", "--table", table.name, "--json", "--processes", "2", *RUN)
    child.wait_until(lambda: hold.reached and len(children_of(child.process.pid)) == 2)
    return child


@on_one_backend
def test_two_processes_are_one_run(cli: Cli, table: Table) -> None:
    """Every item once; the one summary counts the items of both."""
    before = Snapshot.of(table)
    result = cli.refire(table.name, "--processes", "2", *RUN)
    assert result.code == 0, result.stderr
    assert_summary(result.json, status="complete", scanned=ITEMS, touched=ITEMS)
    before.assert_fired(times=1)


@on_one_backend
def test_a_process_that_dies_is_replaced(proxied_cli: Cli, proxy: Proxy, table: Table) -> None:
    """Kill one process with writes in flight: another one takes its segments, nothing fires twice."""
    before = Snapshot.of(table)
    with Hold(writes_from(20)) as hold:
        child = start_and_hold(proxied_cli, proxy, table, hold)
        victim = children_of(child.process.pid)[0]
        os.kill(victim, signal.SIGKILL)
        child.wait_until(lambda: victim not in children_of(child.process.pid))
        hold.release()
        result = child.wait()
    assert result.code == 0, result.stderr
    assert "process.replaced" in result.stderr
    assert_summary(result.json, status="complete", scanned=ITEMS)
    assert result.json["touched"] + result.json["already"] == ITEMS
    before.assert_fired()


@on_one_backend
def test_the_parent_dies(proxied_cli: Cli, proxy: Proxy, table: Table) -> None:
    """Kill the parent: its processes stop and hold the lock until then; `resume` completes the run."""
    before = Snapshot.of(table)
    with Hold(writes_from(20)) as hold:
        child = start_and_hold(proxied_cli, proxy, table, hold)
        orphans = children_of(child.process.pid)
        assert child.kill().code == -signal.SIGKILL
        refused = proxied_cli.resume("the-run")
        assert refused.code == 11, refused.stderr
        assert "in use" in refused.stderr
        hold.release()
    wait_until_gone(orphans)

    result = proxied_cli.resume("the-run", "--processes", "3")

    assert result.code == 0, result.stderr
    assert_summary(result.json, status="complete", scanned=ITEMS)
    assert result.json["touched"] + result.json["already"] == ITEMS
    before.assert_fired()


@on_one_backend
def test_all_processes_die(proxied_cli: Cli, proxy: Proxy, table: Table) -> None:
    """Kill parent and children at once: one process resumes the work of two."""
    before = Snapshot.of(table)
    with Hold(writes_from(20)) as hold:
        child = start_and_hold(proxied_cli, proxy, table, hold)
        orphans = children_of(child.process.pid)
        assert child.kill().code == -signal.SIGKILL
        for orphan in orphans:
            os.kill(orphan, signal.SIGKILL)
    wait_until_gone(orphans)

    result = proxied_cli.resume("the-run")

    assert result.code == 0, result.stderr
    assert_summary(result.json, status="complete", scanned=ITEMS)
    before.assert_fired()


@on_one_backend
def test_interrupted(proxied_cli: Cli, proxy: Proxy, table: Table) -> None:
    """Ctrl-C reaches the parent, which stops its processes in order: 130, and resumable."""
    before = Snapshot.of(table)
    with Hold(writes_from(20)) as hold:
        child = start_and_hold(proxied_cli, proxy, table, hold)
        said = child.stderr.stat().st_size
        child.signal(signal.SIGINT)
        child.wait_until(lambda: child.stderr.stat().st_size > said)
        hold.release()
        stopped = child.wait()
    assert stopped.code == 130, stopped.stderr
    assert_summary(stopped.json, status="stopped")

    result = proxied_cli.resume("the-run", "--processes", "2")

    assert result.code == 0, result.stderr
    assert_summary(result.json, status="complete", scanned=ITEMS)
    before.assert_fired()


@dataclass(frozen=True)
class BudgetedRun:
    """Three processes that touch all items of a table within a budget: `child` is their parent."""

    child: Running
    table: Table
    before: Snapshot
    filled: int
    """The last second in which the table was filled."""

    @classmethod
    def start(cls, cli: Cli, make_table: MakeTable) -> "BudgetedRun":
        """Start it, and return once it has used a second's budget."""
        table = make_table(("pk", "S"), ("sk", "N"))
        table.fill(composite_rows(BUDGETED_ITEMS))
        filled, before = max(accepted_by_second(table)), Snapshot.of(table)
        child = cli.start(
            "run", "--table", table.name, "--json", "--processes", "3", "--max-wcu", str(BUDGET), *RUN
        )
        run = cls(child, table, before, filled)
        child.wait_until(lambda: sum(run.units_by_second().values()) > BUDGET)
        return run

    def units_by_second(self) -> dict[int, float]:
        """Write units that the run has consumed so far."""
        accepted = accepted_by_second(self.table)
        return {second: units for second, units in accepted.items() if second > self.filled}

    def assert_complete(self) -> dict[int, float]:
        """Each item was touched once, with at most 110% of the budget in every second. Returns the units by second."""
        result = self.child.wait()
        assert result.code == 0, result.stderr
        assert "process.replaced" not in result.stderr
        assert_summary(result.json, status="complete", scanned=BUDGETED_ITEMS, touched=BUDGETED_ITEMS)
        self.before.assert_fired(times=1)
        seconds = self.units_by_second()
        assert max(seconds.values()) <= BUDGET * 1.1, seconds
        return seconds


@on_one_backend
def test_a_stopped_process_keeps_the_budget(cli: Cli, make_table: MakeTable) -> None:
    """SIGSTOP for longer than a lease: the others use its share only after that, and it uses nothing when it wakes
    until it has a new one."""
    run = BudgetedRun.start(cli, make_table)
    victim = children_of(run.child.process.pid)[0]
    os.kill(victim, signal.SIGSTOP)
    taken_at = time.time() + TERMS.lease_s * MARGIN + 2.0 * TERMS.beat_s
    run.child.wait_until(lambda: time.time() > taken_at + 3.0)
    os.kill(victim, signal.SIGCONT)
    seconds = run.assert_complete()
    assert (
        max(units for second, units in seconds.items() if taken_at < second < taken_at + 3.0) > BUDGET * 0.8
    )


@pytest.mark.soak
@on_one_backend
def test_a_stopped_parent_stops_all(cli: Cli, make_table: MakeTable) -> None:
    """SIGSTOP of the parent, which keeps the record of the shares: no process has a share after a lease. Then all
    go on."""
    run = BudgetedRun.start(cli, make_table)
    os.kill(run.child.process.pid, signal.SIGSTOP)
    silent_from = time.time() + TERMS.lease_s + 1.0
    run.child.wait_until(lambda: time.time() > silent_from + 4.0)
    woken_at = int(time.time())
    os.kill(run.child.process.pid, signal.SIGCONT)
    seconds = run.assert_complete()
    assert not [second for second in seconds if silent_from < second < woken_at], seconds
