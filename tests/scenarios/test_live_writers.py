"""A run does no harm to an application that writes to the same table at the same time."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.backends import Backend, on_one_backend
from tests.support.cli import Cli
from tests.support.judge import Snapshot, assert_same, assert_summary
from tests.support.rows import composite_rows
from tests.support.tables import Table
from tests.support.writers import LiveWriters

MakeTable = Callable[..., Table]


@pytest.mark.parametrize("writer", ["partiql", "update"])
def test_four_writers(cli: Cli, make_table: MakeTable, writer: str) -> None:
    """Four writers increment, alone and in transactions, increment `revision` and delete during a run.

    No increment is lost, no deleted item comes back, each other item has fired, and the summary adds up.
    """
    beside_writers(cli, make_table, writer)


@on_one_backend
@pytest.mark.parametrize("writer", ["partiql", "update"])
def test_transactions_that_hold_items(cli: Cli, make_table: MakeTable, backend: Backend, writer: str) -> None:
    """The same while every transaction holds its items for a while, so that touches and writes conflict."""
    slow = {"kind": "latency", "latency": "lognormal:60ms,0.5", "operations": ["TransactWriteItems"]}
    conflicts = {"kind": "transaction_conflict", "probability": 0.05}
    by_writer = {
        "partiql": {"operations": ["BatchExecuteStatement"], "scope": "member"},
        "update": {"operations": ["UpdateItem"]},
    }
    _put_faults(backend.url, {"seed": 7, "faults": [slow, {**conflicts, **by_writer[writer]}]})
    try:
        writers = beside_writers(cli, make_table, writer)
    finally:
        _put_faults(backend.url, {})
    assert writers.turned_away, "no writer met a transaction"


def _put_faults(url: str, document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    request = urllib.request.Request(f"{url}/_sandbox/faults", body, method="PUT")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def beside_writers(cli: Cli, make_table: MakeTable, writer: str) -> LiveWriters:
    """A run with four writers, checked against its promises."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(1500))
    before = Snapshot.of(table)
    writers = LiveWriters(table, list(before.items.values()))
    with writers.writing(4):
        child = cli.start("run", "--table", table.name, "--json", "--writer", writer, "--max-rate", "500")
        result = child.wait()
        during = writers.writes

    assert result.code == 0, result.stderr
    assert during > 50, "too few writes to prove anything"
    assert writers.deleted
    assert writers.transactions
    summary = result.json
    assert_summary(summary, status="complete", failed=0)
    assert summary["scanned"] + len(writers.deleted) >= 1500
    assert summary["conflicts"] <= summary["touched"]
    after = table.items()
    assert after.keys() == before.items.keys() - writers.deleted
    assert_same(
        {identity: int(item.get("count", {"N": "0"})["N"]) for identity, item in after.items()},
        {identity: writers.increments[identity] for identity in after},
    )
    # The increase of `revision` beyond that of the writers is the run's: 1, or 0 if a writer's own
    # change fired the item after it was read.
    added = {
        identity: int(item.get("revision", {"N": "0"})["N"]) - writers.revisions[identity]
        for identity, item in after.items()
    }
    assert set(added.values()) <= {0, 1}
    not_added = [identity for identity, more in added.items() if more == 0]
    assert len(not_added) <= summary["already"]
    assert all(writers.revisions[identity] for identity in not_added)
    for identity, changes in before.changes().items():
        for change in changes:
            assert change.event in ("MODIFY", "REMOVE"), f"{identity} was put: {change}"
            if change.event == "MODIFY":
                assert change.changed in ({"revision"}, {"count"})
    return writers
