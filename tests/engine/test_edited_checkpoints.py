"""A resume of a checkpoint with changed values is refused or stopped with a clear message and writes nothing else."""

import sqlite3
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from refire_async.errors import ExitCode, RefireError
from refire_async.model.run import Result
from tests.engine.conftest import Runs, Service
from tests.support.inprocess_server import table_spec


def setting(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(spec: dict[str, Any]) -> None:
        for name, value in changes.items():
            inner, _, last = name.rpartition("__")
            (spec[inner] if inner else spec)[last] = value

    return change


QUERY = {"selection__kind": "query", "selection__key_values": [{"S": "1"}], "total_segments": 1}


async def outcome(runs: Runs) -> tuple[RefireError | None, Result | None]:
    """The end of a resume. Any other error is a bug and fails the test."""
    try:
        return None, await runs.resume()
    except RefireError as error:
        return error, None


@pytest.mark.parametrize(
    "change",
    [
        setting(table="other"),
        setting(table="x" * 5_000),
        setting(table_id="other"),
        setting(keys__hash_name="nothing"),
        setting(keys__hash_type="N"),
        setting(keys__range_name="sk", keys__range_type="S"),
        setting(marker__attribute="x" * 70_000),
        setting(marker__kind="stamp"),
        setting(ttl_attribute="pk"),
        setting(ttl_attribute=""),
        setting(selection__index="nowhere"),
        setting(selection__index=""),
        setting(selection__filter="#"),
        setting(selection__filter=""),
        setting(selection__names=[["#a", "a"]]),
        setting(selection__values=[[":a", {"S": 5}]]),
        setting(selection__values=[[":a", {}]]),
        setting(selection__sample=-5.0),
        setting(selection__sample=1e9),
        setting(**QUERY),
        setting(**QUERY, selection__key_name="nothing"),
        setting(**QUERY, selection__key_name="pk", selection__sort_key_condition="> 5"),
        setting(**QUERY, selection__index="nowhere", selection__key_name="pk"),
        setting(selection__kind="keys", selection__keys_file="/dev/null"),
        setting(selection__kind="export", selection__export="s3://a/b"),
    ],
)
async def test_a_value_that_was_changed(
    service: Service, runs: Runs, change: Callable[[dict[str, Any]], None]
) -> None:
    """For any value the run ends with a result or with an error that says what to do, never with a bug."""
    db = service(table_spec())
    db.fill("orders", [{"pk": {"S": str(n)}, "note": {"S": "n"}} for n in range(30)])
    await runs.run(max_items=10, run_id="first")
    with sqlite3.connect(runs.checkpoint) as file:
        (text,) = file.execute("SELECT spec FROM run").fetchone()
        spec = orjson.loads(text)
        change(spec)
        file.execute(
            "UPDATE run SET spec = ?, table_name = ?", (orjson.dumps(spec).decode(), str(spec["table"]))
        )
    file.close()
    error, result = await outcome(runs)
    if result is None:
        assert error is not None
        assert error.action
        assert "\n" not in str(error)
    else:
        assert result.exit_code is not ExitCode.BUG
    items = db("Scan", TableName="orders")["Items"]
    assert len(items) == 30
    assert all(item["note"] == {"S": "n"} for item in items)
