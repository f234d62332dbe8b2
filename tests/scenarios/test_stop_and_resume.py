"""Wherever a run is stopped or killed, `refire resume` completes it with exactly one record per item."""

import signal
from collections.abc import Callable

import pytest

from tests.support.backends import on_one_backend
from tests.support.cli import Cli, Result, Running
from tests.support.judge import Snapshot, assert_summary, stamped
from tests.support.proxy import Call, Hold, Proxy, Reply
from tests.support.rows import composite_rows, hash_rows
from tests.support.tables import Index, Schema, Table

MakeTable = Callable[..., Table]

RUN = ("--run-id", "the-run")


def assert_completed(result: Result, items: int) -> None:
    """The run is complete and accounts for every item, over all its attempts."""
    assert result.code == 0, result.stderr
    assert_summary(result.json, run_id="the-run", status="complete", scanned=items, failed=0, vanished=0)
    assert result.json["touched"] + result.json["already"] == items


def nth(operation: str, number: int) -> Callable[[Call], bool]:
    """Selects the n-th call of an operation."""
    return lambda call: call.operation == operation and call.number == number


def own_page(call: Call) -> bool:
    """Selects the run's pages: the sample before a run reads a small table in one segment, the run in several."""
    return call.operation == "Scan" and call.body["TotalSegments"] > 1


MOMENTS = {
    "first page asked for": ("instead", own_page),
    "first page read": ("afterwards", own_page),
    "first batch sent": ("instead", nth("BatchExecuteStatement", 1)),
    "first batch written, not answered": ("afterwards", nth("BatchExecuteStatement", 1)),
    "batch in the middle written, not answered": ("afterwards", nth("BatchExecuteStatement", 17)),
    "one of the last batches written, not answered": ("afterwards", nth("BatchExecuteStatement", 38)),
}


@pytest.mark.on_dynamodb_local(
    "first batch written, not answered", "one of the last batches written, not answered"
)
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_killed_at_a_request(
    proxied_cli: Cli, proxy: Proxy, make_table: MakeTable, moment: tuple[str, Callable[[Call], bool]]
) -> None:
    """`kill -9` at a known request to DynamoDB: nothing is skipped, nothing fires twice."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(1000))
    before = Snapshot.of(table)
    when, picks = moment
    with Hold(picks) as hold:
        setattr(proxy, when, hold)
        child = proxied_cli.start("run", "--table", table.name, *RUN)
        child.wait_until(lambda: hold.reached)
        assert child.kill().code == -signal.SIGKILL

    result = proxied_cli.resume("the-run")

    assert_completed(result, 1000)
    before.assert_fired()


def from_the(number: int) -> Callable[[Call], bool]:
    """Selects every batch from the n-th on, so that a run cannot end before it is stopped."""
    return lambda call: call.operation == "BatchExecuteStatement" and call.number >= number


def test_killed_repeatedly(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """Five kills in a row, with batches that were written without a response or sent and not written: once each."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(1250))
    before = Snapshot.of(table)
    arguments = ["run", "--table", table.name, *RUN]
    for batches, when in (
        (3, "afterwards"),
        (10, "instead"),
        (11, "afterwards"),
        (20, "afterwards"),
        (35, "instead"),
    ):
        with Hold(from_the(batches)) as hold:
            proxy.instead = proxy.afterwards = lambda _call: None
            setattr(proxy, when, hold)
            child = proxied_cli.start(*arguments, "--workers", "3")
            child.wait_until(lambda hold=hold: hold.reached)
            assert child.kill().code == -signal.SIGKILL
        arguments = ["resume", "the-run"]

    result = proxied_cli.resume("the-run")

    assert_completed(result, 1250)
    before.assert_fired()


def start_and_hold(cli: Cli, proxy: Proxy, table: Table, hold: Hold) -> Running:
    """Start a run with four workers whose batches from the tenth on are held."""
    proxy.afterwards = hold
    child = cli.start("run", "--table", table.name, "--json", "--workers", "4", *RUN)
    child.wait_until(lambda: hold.reached)
    return child


def send_and_see(child: Running, number: signal.Signals) -> None:
    """Send a signal and wait for the program's message about it."""
    said = child.stderr.stat().st_size
    child.signal(number)
    child.wait_until(lambda: child.stderr.stat().st_size > said)


@pytest.mark.on_dynamodb_local("SIGTERM")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 3)], ids=["SIGINT", "SIGTERM"]
)
def test_stopped_by_signal(
    proxied_cli: Cli, proxy: Proxy, make_table: MakeTable, number: signal.Signals, code: int
) -> None:
    """Ctrl-C and SIGTERM stop, save, print the resume command, and end with their exit code; `resume` does the rest."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(600))
    before = Snapshot.of(table)
    with Hold(from_the(10)) as hold:
        child = start_and_hold(proxied_cli, proxy, table, hold)
        send_and_see(child, number)
        hold.release()
        stopped = child.wait()

    assert stopped.code == code, stopped.stderr
    assert_summary(stopped.json, run_id="the-run", status="stopped")
    assert "refire resume" in stopped.stderr
    assert "the-run" in stopped.stderr
    so_far = before.changes()
    assert 0 < len(so_far) < 600
    assert stopped.json["touched"] == len(so_far), "drained: what was sent is answered and counted"
    before.assert_fired(so_far)

    assert_completed(proxied_cli.resume("the-run"), 600)
    before.assert_fired()


@on_one_backend
def test_second_signal_stops_immediately(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """A second Ctrl-C does not wait for responses that never come, and the run can be resumed."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(1000))
    before = Snapshot.of(table)
    with Hold(from_the(10)) as hold:
        child = start_and_hold(proxied_cli, proxy, table, hold)
        # The first one must have been handled: two signals at once count as one.
        send_and_see(child, signal.SIGINT)
        child.signal(signal.SIGINT)
        assert child.wait().code == 130

    assert_completed(proxied_cli.resume("the-run"), 1000)
    before.assert_fired()


@on_one_backend
def test_resumed_with_other_workers(cli: Cli, make_table: MakeTable) -> None:
    """Options that do not change the result may differ from attempt to attempt."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(400))
    before = Snapshot.of(table)
    assert cli.refire(table.name, *RUN, "--segments", "5", "--max-items", "150", "--workers", "2").code == 3

    result = cli.resume("the-run", "--workers", "7", "--max-wcu", "5000")

    assert_completed(result, 400)
    before.assert_fired()


def test_killed_while_stamping(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """With a stamp the items themselves show which of them have fired."""
    table = make_table()
    table.fill(hash_rows(600))
    before = Snapshot.of(table)
    with Hold(nth("BatchExecuteStatement", 9)) as hold:
        proxy.afterwards = hold
        child = proxied_cli.start("run", "--table", table.name, "--marker", "stamp", *RUN)
        child.wait_until(lambda: hold.reached)
        child.kill()

    assert_completed(proxied_cli.resume("the-run"), 600)
    before.assert_fired(marker="refire_run_id", touch=stamped("the-run"))


SELECTIONS = {
    "table, single updates": ((), "update"),
    "index scan": (("--index", "by-day"), "partiql"),
    "index query": (("--index", "by-day", "--key-name", "day", "--key-value", "d0"), "partiql"),
    "table query": (("--key-name", "pk", "--key-value", "customer-0"), "partiql"),
}


@pytest.mark.parametrize("backend_name", ["dynamodb-local"], scope="session")
@pytest.mark.parametrize(("selection", "writer"), SELECTIONS.values(), ids=SELECTIONS)
def test_killed_in_other_selections(
    proxied_cli: Cli, proxy: Proxy, make_table: MakeTable, selection: tuple[str, ...], writer: str
) -> None:
    """Index scans, queries and single updates are as safe to kill as a table scan in batches.

    On the sandbox every selection is killed among live writers: tests/evidence/test_kills.py.
    """
    table = make_table(("pk", "S"), ("sk", "N"), indexes=(Index("by-day", Schema(("day", "S"))),))
    table.fill({**row, "day": {"S": "d0"}} for row in composite_rows(300, collections=1))
    before = Snapshot.of(table)
    operation, number = ("UpdateItem", 130) if writer == "update" else ("BatchExecuteStatement", 6)
    with Hold(nth(operation, number)) as hold:
        proxy.afterwards = hold
        child = proxied_cli.start("run", "--table", table.name, *selection, "--writer", writer, *RUN)
        child.wait_until(lambda: hold.reached)
        child.kill()

    assert_completed(proxied_cli.resume("the-run"), 300)
    before.assert_fired()


LOST = {
    "connection closed": Reply(None),
    "internal error": Reply.error(500, "InternalServerError", "Internal server error"),
    "unavailable": Reply.error(503, "ServiceUnavailable", "Service unavailable"),
    "not JSON": Reply(200, b"<html>gateway</html>"),
}


@pytest.mark.on_dynamodb_local("connection closed", "unavailable, single updates")
@pytest.mark.parametrize(
    ("reply", "writer"),
    [
        *(pytest.param(reply, "partiql", id=kind) for kind, reply in LOST.items()),
        pytest.param(LOST["unavailable"], "update", id="unavailable, single updates"),
    ],
)
def test_answers_lost_after_the_write(
    proxied_cli: Cli, proxy: Proxy, make_table: MakeTable, reply: Reply, writer: str
) -> None:
    """Every third write is applied without a response: it is sent again and no item fires twice."""
    operation, items = ("UpdateItem", 60) if writer == "update" else ("BatchExecuteStatement", 500)
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(items))
    before = Snapshot.of(table)
    proxy.afterwards = lambda call: reply if call.operation == operation and call.number % 3 == 1 else None

    result = proxied_cli.refire(table.name, "--writer", writer, *RUN)

    assert_completed(result, items)
    assert result.json["already"] > 0
    assert result.json["retries"] > 0
    before.assert_fired()


@on_one_backend
def test_resume_of_a_complete_run(cli: Cli, make_table: MakeTable) -> None:
    """It is refused, and nothing is done."""
    table = make_table()
    table.fill(hash_rows(30))
    before = Snapshot.of(table)
    assert cli.refire(table.name, *RUN).code == 0

    again = cli.resume("the-run")

    assert again.code == 11, again.stderr
    assert len(again.error_lines) == 1, again.stderr
    assert "complete" in again.stderr
    before.assert_fired(times=1)


@on_one_backend
def test_resume_by_checkpoint(cli: Cli, make_table: MakeTable) -> None:
    """The checkpoint's file alone identifies the run."""
    table = make_table()
    table.fill(hash_rows(100))
    before = Snapshot.of(table)
    path = str(cli.home / "my checkpoint")
    first = cli.refire(table.name, *RUN, "--max-items", "40", "--checkpoint", path)
    assert first.code == 3, first.stderr
    assert first.json["checkpoint"] == path

    result = cli.run("resume", "--checkpoint", path, "--json")

    assert_completed(result, 100)
    before.assert_fired()


@on_one_backend
def test_resume_of_an_unknown_run(cli: Cli) -> None:
    """An unknown run is a usage error that says how to list runs."""
    result = cli.resume("no-such-run")
    assert result.code == 2
    assert len(result.error_lines) == 1, result.stderr
    assert "no-such-run" in result.stderr
    assert "refire status" in result.stderr
