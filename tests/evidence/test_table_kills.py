"""Runs in a checkpoint table whose tasks are killed at random failpoints, again and again: each item fires once."""

import random
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from refire_async.failpoints import POINTS
from tests.support.backends import Backend
from tests.support.cli import Cli
from tests.support.judge import Snapshot
from tests.support.rows import hash_rows
from tests.support.tables import Table, create_table

PROGRAM = (sys.executable, "-m", "tests.support.impatient")
RARE = {
    *("checkpoint-begun", "checkpoint-made", "outcome-unknown", "conflict-read", "conflict-in-ledger"),
    *("stopping", "rest-known", "finishing", "work-done", "run-ended"),
}
"""Points that an undisturbed task does not reach, or only at its end, when there is little left to kill."""

POINTS_IN_WORK = sorted(set(POINTS) - RARE)
TASKS, ITEMS, KILLS = 2, 4_000, 10


@pytest.fixture
def cli(tmp_path: Path, backend: Backend) -> Iterator[Cli]:
    home = tmp_path / "home"
    home.mkdir()
    program = Cli(home, backend.url, backend.access_key, program=PROGRAM)
    yield program
    program.close()


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("backend_name", ["dynamodb-local"], scope="session")
def test_killed_again_and_again(backend: Backend, cli: Cli, seed: int) -> None:
    """Two tasks at a time are killed at the same random failpoint and started again, run after run, until ten are dead.
    Some are stopped by the successor of a task that was only slow: that is no fault."""
    draw = random.Random(f"table kills/{seed}")
    store = f"refire-{uuid.uuid4().hex[:8]}"
    assert cli.run("checkpoint-table", "create", store).code == 0
    table = create_table(backend, prefix="evidence")
    try:
        table.fill(hash_rows(ITEMS))
        before = Snapshot.of(table)
        kills = runs = 0
        while kills < KILLS:
            runs += 1
            kills += run_once(cli, draw, table, f"dynamodb://{store}/run-{runs}")
        before.assert_fired(times=runs)
    finally:
        table.delete()


def run_once(cli: Cli, draw: random.Random, table: Table, address: str) -> int:
    """A run until it is complete; the number of its tasks that were killed."""
    kills = 0
    words = ["run", "--table", table.name, "--checkpoint", address, "--yes", "--json"]
    words += ["--segments", "32", "--max-wcu", "1000", "--tasks", str(TASKS), "--task"]
    while True:
        kill = f"{draw.choice(POINTS_IN_WORK)}:{draw.randint(1, 2)}" if kills < KILLS else None
        running = [cli.start(*words, str(task), env={"REFIRE_KILL_AT": kill}) for task in range(TASKS)]
        ended = [one.wait() for one in running]
        kills += sum(one.code == -signal.SIGKILL for one in ended)
        assert {one.code for one in ended} <= {0, 3, -signal.SIGKILL}, [one.stderr for one in ended]
        if any(one.code == 0 and one.json["status"] == "complete" for one in ended):
            return kills
