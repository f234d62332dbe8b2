"""A run that several processes share through a checkpoint table: `--checkpoint dynamodb://TABLE/RUN_ID --tasks N`."""

import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from refire_async.checkpoint.dynamodb import claims
from refire_async.engine import shared
from tests.support.backends import Backend, on_one_backend
from tests.support.cli import Cli
from tests.support.consumption import accepted_by_second
from tests.support.examples import thinned
from tests.support.judge import Snapshot
from tests.support.proxy import Hold, Proxy
from tests.support.rows import hash_rows
from tests.support.tables import Table

KILLS = (
    "commit-pending:2",
    "page-in-ledger:2",
    "batch-answered:3",
    "committed:3",
    "page-closed:2",
    "work-done:1",
)

PROGRAM = (sys.executable, "-m", "tests.support.impatient")


@pytest.fixture
def store(cli: Cli) -> str:
    """A new checkpoint table."""
    name = f"refire-{uuid.uuid4().hex[:8]}"
    made = cli.run("checkpoint-table", "create", name, "--json")
    assert made.code == 0, made.stderr
    assert made.json == {"table": name, "created": True}
    assert cli.run("checkpoint-table", "create", name, "--json").json == {"table": name, "created": False}
    return name


@pytest.fixture
def impatient(cli: Cli) -> Cli:
    """The program with short times."""
    program = Cli(cli.home, cli.endpoint_url, cli.access_key, program=PROGRAM)
    program._children = cli._children  # one count of output files
    return program


def words(table: Table, store: str, tasks: int, task: int, *more: str) -> list[str]:
    """The words of a task."""
    place = ("--checkpoint", f"dynamodb://{store}/the-run", "--tasks", str(tasks), "--task", str(task))
    return ["run", "--table", table.name, *place, "--segments", "6", "--yes", "--json", *more]


def test_tasks_share_a_run(cli: Cli, store: str, make_table: Callable[..., Table]) -> None:
    """Three tasks at once touch each item once. The last one to end completes the run; a task that is started again,
    with its number from an array job, says what the run did and does nothing."""
    table = make_table()
    table.fill(hash_rows(300))
    before = Snapshot.of(table)
    running = [cli.start(*words(table, store, 3, task)) for task in range(3)]
    ended = [one.wait() for one in running]
    assert [one.code for one in ended] == [0, 0, 0], [one.stderr for one in ended]
    assert "complete" in {one.json["status"] for one in ended}
    arguments = [word for word in words(table, store, 3, 1) if word not in ("--task", "1")]
    again = cli.run(*arguments, env={"AWS_BATCH_JOB_ARRAY_INDEX": "1"})
    assert (again.code, again.json["status"], again.json["touched"]) == (0, "complete", 300)
    before.assert_fired()


@pytest.mark.parametrize("point", thinned({point: point for point in KILLS}, "page-in-ledger:2"))
@on_one_backend
def test_a_killed_task_continues(
    impatient: Cli, store: str, make_table: Callable[..., Table], point: str
) -> None:
    """The same words again, after the first process is taken for dead: each item fires once."""
    table = make_table()
    table.fill(hash_rows(600))
    before = Snapshot.of(table)
    killed = impatient.run(*words(table, store, 1, 0), env={"REFIRE_KILL_AT": point})
    assert killed.code == -signal.SIGKILL
    done = impatient.run(*words(table, store, 1, 0))
    assert (done.code, done.json["status"], done.json["touched"] + done.json["already"]) == (
        0,
        "complete",
        600,
    )
    before.assert_fired()


@on_one_backend
def test_a_stopped_task_is_released(impatient: Cli, store: str, make_table: Callable[..., Table]) -> None:
    """SIGTERM: it saves and ends with code 3; the next start does not wait for it to be taken for dead."""
    table = make_table()
    table.fill(hash_rows(400))
    before = Snapshot.of(table)
    running = impatient.start(*words(table, store, 1, 0, "--max-wcu", "50"))
    running.wait_until(lambda: any("revision" in item for item in table.items().values()))
    running.signal(signal.SIGTERM)
    assert running.wait().code == 3
    began = time.monotonic()
    done = impatient.run(*words(table, store, 1, 0))
    assert (done.code, done.json["touched"]) == (0, 400), done.stderr
    assert time.monotonic() - began < 10 * claims.DEAD_AFTER_S
    before.assert_fired()


@on_one_backend
def test_a_paused_task_that_wakes_ends_by_itself(
    impatient: Cli, store: str, make_table: Callable[..., Table], backend: Backend
) -> None:
    """A zombie: it is stopped with SIGSTOP, another process takes over and ends the run; awake, it fires nothing again
    and says in one line what happened."""
    table = make_table()
    table.fill(hash_rows(500))
    before = Snapshot.of(table)
    zombie = impatient.start(*words(table, store, 1, 0, "--max-wcu", "100"))
    zombie.wait_until(lambda: any("revision" in item for item in table.items().values()))
    zombie.signal(signal.SIGSTOP)
    try:
        done = impatient.run(*words(table, store, 1, 0))
    finally:
        zombie.signal(signal.SIGCONT)
    assert (done.code, done.json["status"]) == (0, "complete"), done.stderr
    ended = zombie.wait()
    assert ended.code == 3
    (line,) = [line for line in ended.error_lines if line.startswith("refire: ")]
    assert "took this one for dead" in line
    before.assert_fired()


@on_one_backend
def test_a_lost_task_keeps_the_budget(impatient: Cli, store: str, make_table: Callable[..., Table]) -> None:
    """Three tasks; one is stopped with SIGSTOP, loses its share and its segments, and wakes: the budget is kept in each
    second and used by the others, nothing fires twice, and the task ends by itself."""
    budget, items = 240, 4_000
    table = make_table()
    table.fill(hash_rows(items))
    filled = max(accepted_by_second(table))
    before = Snapshot.of(table)

    def consumed() -> dict[int, float]:
        return {second: units for second, units in accepted_by_second(table).items() if second > filled}

    limit = ("--max-wcu", str(budget))
    running = [impatient.start(*words(table, store, 3, task, *limit)) for task in range(3)]
    running[1].wait_until(lambda: sum(consumed().values()) > 2 * budget)
    zombie = running[1]
    zombie.signal(signal.SIGSTOP)
    try:
        successor = impatient.start(*words(table, store, 3, 1, *limit))
        others = [running[0].wait(), running[2].wait(), successor.wait()]
    finally:
        zombie.signal(signal.SIGCONT)
    assert [one.code for one in others] == [0, 0, 0], [one.stderr for one in others]
    ended = zombie.wait()
    assert ended.code == 3, ended.stderr
    (line,) = [line for line in ended.error_lines if line.startswith("refire: ")]
    assert "took this one for dead" in line
    before.assert_fired()
    seconds = consumed()
    assert max(seconds.values()) <= budget * 1.1, seconds


@on_one_backend
def test_the_same_task_twice_at_once(impatient: Cli, store: str, make_table: Callable[..., Table]) -> None:
    """One of the two waits for the other; then there is nothing left to do for it."""
    table = make_table()
    table.fill(hash_rows(400))
    before = Snapshot.of(table)
    running = [impatient.start(*words(table, store, 1, 0, "--max-wcu", "200")) for _ in range(2)]
    ended = [one.wait() for one in running]
    assert [(one.code, one.json["status"]) for one in ended] == [(0, "complete")] * 2, [
        one.stderr for one in ended
    ]
    before.assert_fired()


@pytest.mark.on_dynamodb_local
def test_a_list_of_keys_is_in_the_table(
    cli: Cli, store: str, make_table: Callable[..., Table], tmp_path: Path
) -> None:
    """The first task reads the keys file; the other one does not need it, and reads its own part from the table."""
    table = make_table()
    table.fill(hash_rows(4_200))
    before = Snapshot.of(table)
    keys = tmp_path / "keys.csv"
    keys.write_text("pk\n" + "".join(f"item-{number}\n" for number in range(4_200)))
    first = cli.run(*words(table, store, 2, 0, "--keys-file", str(keys)))
    assert first.code == 0, first.stderr
    keys.write_text("pk\n")  # not read again
    second = cli.run(*words(table, store, 2, 1, "--keys-file", str(keys)))
    assert (second.code, second.json["status"], second.json["touched"]) == (0, "complete", 4_200), (
        second.stderr
    )
    assert 0 < first.json["touched"] < 4_200
    before.assert_fired()


@on_one_backend
def test_what_a_shared_run_refuses(cli: Cli, store: str, make_table: Callable[..., Table]) -> None:
    """One line each; nothing is written."""
    table = make_table()
    table.fill(hash_rows(3))
    before = Snapshot.of(table)
    place = ["--checkpoint", f"dynamodb://{store}/x"]
    start = ["run", "--table", table.name, "--yes"]
    for arguments, code, what in (
        ([*start, *place, "--tasks", "2"], 2, "--task"),
        ([*start, *place, "--tasks", "2", "--task", "2"], 2, "there is no task 2"),
        ([*start, "--checkpoint", f"dynamodb://{store}", "--tasks", "1"], 2, "RUN_ID"),
        ([*start, "--checkpoint", "dynamodb://no-such-table/x"], 11, "checkpoint-table create no-such-table"),
        ([*start, *place, "--canary", "1"], 2, "--canary"),
        ([*start, "--tasks", "2"], 2, "dynamodb://"),
        ([*start, *place, "--tasks", "2", "--task", "0", "--headroom", "20%"], 2, "--headroom"),
        (
            [*start, *place, "--tasks", "2", "--task", "0", "--max-iterator-age", "5m"],
            2,
            "--max-iterator-age",
        ),
    ):
        result = cli.run(*arguments)
        assert result.code == code, (arguments, result.stderr)
        (line,) = result.error_lines
        assert what in line, line
    before.assert_untouched()


def test_a_checkpoint_table_is_kept_while_a_run_needs_it(
    cli: Cli, store: str, make_table: Callable[..., Table], tmp_path: Path
) -> None:
    """Delete refuses it, and takes it away when its runs are complete."""
    table = make_table()
    table.fill(hash_rows(10))
    assert cli.run(*words(table, store, 2, 0)).code == 0
    refused = cli.run("checkpoint-table", "delete", store, "--yes")
    assert refused.code == 2
    assert "unfinished" in refused.error_lines[0]
    assert cli.run(*words(table, store, 2, 1)).json["status"] == "complete"
    deleted = cli.run("checkpoint-table", "delete", store, "--yes", "--json")
    assert (deleted.code, deleted.json) == (0, {"table": store, "deleted": True})


@on_one_backend
def test_a_stop_while_the_checkpoint_table_is_out_of_reach(
    proxied_cli: Cli, proxy: Proxy, make_table: Callable[..., Table]
) -> None:
    """SIGTERM: it ends within the time that schedulers give, in one line, and a later start completes the run."""
    cli = Cli(proxied_cli.home, proxied_cli.endpoint_url, proxied_cli.access_key, program=PROGRAM)
    cli._children = proxied_cli._children
    store = f"refire-{uuid.uuid4().hex[:8]}"
    assert cli.run("checkpoint-table", "create", store).code == 0
    table = make_table()
    table.fill(hash_rows(400))
    before = Snapshot.of(table)
    running = cli.start(*words(table, store, 1, 0, "--max-wcu", "100"))
    running.wait_until(lambda: any("revision" in item for item in table.items().values()))
    with Hold(lambda call: call.body.get("TableName") == store) as silence:
        proxy.instead = silence
        running.wait_until(lambda: silence.reached)
        running.signal(signal.SIGTERM)
        ended = running.wait(shared.STOP_WITHIN_S)
    assert ended.code == 3, ended.stderr
    (line,) = [line for line in ended.error_lines if line.startswith("refire: ")]
    assert store in line
    proxy.instead = lambda _call: None
    done = cli.run(*words(table, store, 1, 0))
    assert (done.code, done.json["status"]) == (0, "complete"), done.stderr
    before.assert_fired()
