"""A run as a Spark job: exactly one record per item, whatever happens to executors, tasks and the driver."""

import json
import os
import pickle
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import anyio
import orjson
import pytest

from refire_async.aws.session import open_session
from refire_async.checkpoint.dynamodb.lifecycle import create_table
from refire_async.checkpoint.dynamodb.table import CheckpointTable
from refire_async.model.address import TableAddress
from refire_async.settings import Budget, Connection, RunSettings, Tuning
from refire_async.spark import run
from refire_async.spark.dispatch import on_each
from refire_async.spark.driver import _run_task
from tests.spark.conftest import JAVA_OPTIONS, ROOT, SECRET, outputs_of
from tests.support.backends import REGION, Backend, on_one_backend
from tests.support.judge import Snapshot
from tests.support.processes import spawn, stop
from tests.support.rows import hash_rows
from tests.support.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def settings(backend: Backend, make_table: Callable[..., Table]) -> Callable[..., RunSettings]:
    """The settings of a run of two tasks of a new table."""
    store = f"refire-{uuid.uuid4().hex[:8]}"
    connection = Connection(region=REGION, endpoint_url=backend.url)

    async def create() -> None:
        async with open_session(connection, 4) as session:
            await create_table(CheckpointTable(store, session.data))

    anyio.run(create)

    def make(table: Table, **more: object) -> RunSettings:
        defaults = {
            "table": table.name,
            "connection": connection,
            "checkpoint": TableAddress(store, f"run-{uuid.uuid4().hex[:8]}"),
            "tasks": 2,
            "assume_yes": True,
            "tuning": Tuning(segments=8),
        }
        return RunSettings(**{**defaults, **more})

    return make


@on_one_backend
def test_each_item_fires_once(
    spark: "SparkSession", settings: Callable[..., RunSettings], make_table: Callable[..., Table]
) -> None:
    table = make_table()
    table.fill(hash_rows(400))
    before = Snapshot.of(table)
    result = run(spark, settings(table))
    assert (result.exit_code, result.summary.status) == (0, "complete")
    assert result.summary.counts.touched == 400
    before.assert_fired()


KILLS = {
    "dynamodb-local": (
        "page-read:2",
        "commit-pending:2",
        "page-in-ledger:2",
        "batch-answered:2",
        "doubt-resolved:1",
    ),
    "sandbox": ("request-sent:7", "batch-ready:3", "committed:2", "page-closed:1", "segment-read:2"),
}
"""Executors die at these points, one after the other: 10 on each pyspark."""


def test_killed_executors(
    spark: "SparkSession",
    settings: Callable[..., RunSettings],
    make_table: Callable[..., Table],
    kills: Path,
    backend: Backend,
) -> None:
    """`kill -9` of executors in the middle of their work, several in one job: each item fires once, and no second has
    more than 110% of the budget."""
    table = make_table(capacity=2_000)
    table.fill(hash_rows(1_600))
    before = Snapshot.of(table)
    filled = written_by_second(backend, table) if backend.name == "sandbox" else {}
    for name in KILLS[backend.name]:
        (kills / name).touch()
    given = settings(table, budget=Budget(max_wcu=400.0))
    result = run(spark, given)
    assert (result.exit_code, result.summary.status) == (0, "complete")
    assert sorted((kills / "done.txt").read_text().split()) == sorted(KILLS[backend.name])
    before.assert_fired()
    assert_no_secrets(spark, backend, given.checkpoint)
    if backend.name == "sandbox":
        written = written_by_second(backend, table)
        assert max(units for second, units in written.items() if second not in filled) <= 1.1 * 400


def written_by_second(backend: Backend, table: Table) -> dict[int, float]:
    """Write units of the table by second, from the sandbox."""
    with urlopen(f"{backend.url}/_sandbox/stats") as answer:
        stats = json.load(answer)
    (whole,) = [arm for arm in stats["tables"][table.name]["arms"] if arm["index"] is None]
    return {row[0]: row[2] for row in whole["seconds"]}


def assert_no_secrets(spark: "SparkSession", backend: Backend, checkpoint: object) -> None:
    """The driver's secret key is neither in the checkpoint table nor in an executor's output, nor in what is sent to
    executors."""
    assert isinstance(checkpoint, TableAddress)
    pages = backend.dynamodb.get_paginator("scan").paginate(TableName=checkpoint.table)
    items = [item for page in pages for item in page["Items"]]
    assert len(items) > 10
    assert SECRET not in repr(items)
    outputs = [*outputs_of(spark).rglob("std*")]
    assert outputs
    assert all(SECRET not in output.read_text(errors="replace") for output in outputs)
    settings = RunSettings(table="t", checkpoint=checkpoint, tasks=1)
    assert SECRET.encode() not in pickle.dumps(partial(_run_task, settings))


DRIVER_CONF = {
    "spark.ui.enabled": "false",
    "spark.executor.memory": "512m",
    "spark.executor.extraJavaOptions": JAVA_OPTIONS,
    "spark.driver.extraJavaOptions": JAVA_OPTIONS,
    "spark.executorEnv.PYTHONPATH": os.environ.get("PYTHONPATH", ""),
}


@on_one_backend
def test_a_driver_is_killed_and_the_job_submitted_again(
    spark: "SparkSession",
    settings: Callable[..., RunSettings],
    make_table: Callable[..., Table],
    backend: Backend,
) -> None:
    """With the same words: it waits until the executors of the first job are gone, and continues."""
    table = make_table()
    table.fill(hash_rows(300))
    before = Snapshot.of(table)
    given = settings(table, budget=Budget(max_wcu=100.0))
    words = ["run", "--table", table.name, "--checkpoint", str(given.checkpoint), "--tasks", "2", "--yes"]
    words += ["--segments", "8", "--max-wcu", "100", "--endpoint-url", backend.url]
    conf = [word for name, value in DRIVER_CONF.items() for word in ("--conf", f"{name}={value}")]
    submit = shlex.join(["--master", "local-cluster[1,2,1024]", *conf, "pyspark-shell"])
    driver = spawn(
        [sys.executable, "-m", "refire_async.spark.job", *words],
        env={**os.environ, "PYSPARK_SUBMIT_ARGS": submit, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while sum("revision" in item for item in table.items().values()) < 60:
            assert driver.poll() is None
            time.sleep(0.1)
        driver.kill()
    finally:
        stop(driver)
    result = run(spark, given)
    assert (result.exit_code, result.summary.status) == (0, "complete")
    before.assert_fired()


@on_one_backend
def test_the_same_task_twice_at_once(
    spark: "SparkSession", settings: Callable[..., RunSettings], make_table: Callable[..., Table]
) -> None:
    """As by speculation, or by an executor that was taken for lost: the second call waits, and does nothing again."""
    table = make_table()
    table.fill(hash_rows(600))
    before = Snapshot.of(table)
    given = settings(table, tasks=1, budget=Budget(max_wcu=200.0))
    both = [orjson.loads(row) for row in on_each(spark, 2, partial(run_first, given))]
    assert [code for code, *_ in both] == [0, 0]
    before.assert_fired()


def run_first(settings: RunSettings, _number: int) -> bytes:
    """Task 0, whatever number Spark has for it."""
    return _run_task(settings, 0)
