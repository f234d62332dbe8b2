"""Replays and redrives in `refire status`, `forget` and `rate`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from refire_async.checkpoint.catalog import path_of
from refire_async.delivery.ledger import Changes, Ledger
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.spec import DeliverySpec
from refire_async.model.delivery import DeliveryCounts
from refire_async.model.run import RunStatus
from refire_async.settings import Connection
from tests.cli.conftest import Ended

SPEC = DeliverySpec(
    run_id="r-1",
    command="replay",
    source="the stream of table orders",
    function="billing",
    rules=DeliveryRules(),
    table="orders",
)


@pytest.fixture
def delivery() -> Callable[..., Path]:
    """Makes a delivery with a status in the state folder."""

    def make(run_id: str, status: RunStatus, **counts: Any) -> Path:
        path = path_of(run_id)
        ledger = Ledger.create(path, replace(SPEC, run_id=run_id), Connection())
        settled = counts.get("delivered", 0) + counts.get("failed", 0)
        done = DeliveryCounts(selected=settled, **counts)
        ledger.save(Changes(counts=done, seconds=2.0, failures_bytes=0, status=status))
        ledger.close()
        return path

    return make


def test_status(refire: Callable[..., Ended], delivery: Callable[..., Path]) -> None:
    """Listed apart from runs, with what a resume takes; one by its id; only unfinished ones; of a table."""
    delivery("r-1", "complete", delivered=9, failed=1)
    delivery("r-2", "running", delivered=3)
    ended = refire("status")
    assert (ended.code, ended.err) == (0, "")
    assert (
        "r-1\n  replay of the stream of table orders to billing: complete, 1 failed, 9 delivered" in ended.out
    )
    found = orjson.loads(refire("status", "--json").out)
    assert found["runs"] == []
    by_id = {one["run_id"]: one for one in found["deliveries"]}
    assert (by_id["r-1"]["status"], by_id["r-1"]["selected"], by_id["r-1"]["function"]) == (
        "complete",
        10,
        "billing",
    )
    assert by_id["r-2"]["status"] == "stopped", "its process is gone"
    unfinished = orjson.loads(refire("status", "--json", "--unfinished").out)["deliveries"]
    assert [one["run_id"] for one in unfinished] == ["r-2"]
    assert orjson.loads(refire("status", "--json", "--table", "others").out)["deliveries"] == []
    one = refire("status", "r-2")
    assert "refire resume r-2" in one.out
    assert orjson.loads(refire("status", "r-1", "--json").out)["deliveries"][0]["delivered"] == 9


def test_forget_and_clean(refire: Callable[..., Ended], delivery: Callable[..., Path]) -> None:
    """A finished one without failed records is cleaned away; one that can be resumed is only forgotten."""
    done, failed, stopped = (
        delivery("a", "complete"),
        delivery("b", "complete", failed=1),
        delivery("c", "stopped"),
    )
    records = failed.with_name(failed.name + ".failed-records.jsonl")
    records.write_text("{}\n")
    cleaned = orjson.loads(refire("status", "--clean", "--yes", "--json").out)
    assert cleaned["removed"] == ["a"]
    assert sorted(one["run_id"] for one in cleaned["kept"]) == ["b", "c"]
    assert (done.exists(), failed.exists(), stopped.exists()) == (False, True, True)
    assert refire("forget", "b", "--yes").code == refire("forget", "c", "--yes").code == 0
    assert [path for path in (failed, records, stopped) if path.exists()] == []


@pytest.mark.parametrize("command", [("verify", "r-1"), ("rate", "r-1", "pause")])
def test_other_commands(
    refire: Callable[..., Ended], delivery: Callable[..., Path], command: tuple[str, ...]
) -> None:
    """What is about runs only says so in one line."""
    delivery("r-1", "complete")
    ended = refire(*command)
    assert ended.code in (2, 11)
    lines = [line for line in ended.err.splitlines() if not line.startswith("{")]
    assert len(lines) == 1
    assert "replay" in lines[0] or "delivery" in lines[0]


def test_report(
    refire: Callable[..., Ended],
    delivery: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One HTML file of mode 0600, with outcomes and failed records by condition; foreign text is only text."""
    monkeypatch.chdir(tmp_path)
    path = delivery("r-1", "complete", delivered=9, failed=3)
    records = path.with_name(path.name + ".failed-records.jsonl")
    line = {"requestContext": {"condition": "<script>"}, "DDBStreamBatchInfo": {"batchSize": 3}}
    records.write_bytes(orjson.dumps(line) + b"\n")
    ended = refire("report", "r-1", "--json")
    assert (ended.code, orjson.loads(ended.out)) == (0, {"run_id": "r-1", "report": "refire-r-1.html"}), (
        ended.err
    )
    page = Path("refire-r-1.html")
    assert page.stat().st_mode & 0o777 == 0o600
    text = page.read_text()
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "3 records failed" in text
    records.write_text("{")
    assert refire("report", "r-1").code == 0
    assert "cannot be read" in page.read_text()
