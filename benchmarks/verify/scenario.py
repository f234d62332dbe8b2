"""verify: does it find every planted fault, and nothing else, in less time than the run took?"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import orjson
from botocore.config import Config

from benchmarks.framework.backends import CREDENTIALS, REGION, sandbox
from benchmarks.framework.refire import Refire, Run, own_place
from benchmarks.framework.scenario import Bench, Metrics, Scenario
from benchmarks.framework.tables import TABLE, config, table_spec
from benchmarks.verify.report import plot, table
from refire_async.checkpoint.history import History
from refire_async.checkpoint.pages import pack
from refire_async.model.keys import Key

Place = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parameters:
    """Tables of each of `counts` items. Of each kind `planted` faults are planted:

    missing: items that were touched according to the checkpoint but have no record in the stream; doubled: items that
    a second writer touched again; harmless: touched items whose other attributes another writer changed.
    """

    counts: tuple[int, ...] = (100_000, 1_000_000)
    planted: int = 1_000
    item_bytes: int = 1_000
    capacity: int = 40_000
    seed: int = 7


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """For each size: a run, planted faults, a verification."""
    bench.steps.begin(2 * len(parameters.counts))
    return {"cases": [_measure(bench, parameters, count) for count in parameters.counts]}


def _measure(bench: Bench, parameters: Parameters, count: int) -> dict[str, Any]:
    spec = table_spec(count, parameters.item_bytes, wcu=parameters.capacity)
    spec["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    with sandbox(config(spec)) as server:
        refire = Refire(bench.folder, own_place(TABLE, server.url, bench.folder))
        bench.steps.step(f"{count:,} items: run")
        done = refire.run("--max-wcu", str(parameters.capacity))
        missing = _plant(server.url, done.checkpoint, parameters)
        bench.steps.step(f"{count:,} items: verify")
        proof = refire.verify(done.checkpoint, codes=(5,))
    return {
        "items": count,
        "planted": parameters.planted,
        **_found(proof, missing),
        "run_s": _wall(done),
        "verify_s": _wall(proof),
        "run_cpu_s": _cpu(done),
        "verify_cpu_s": _cpu(proof),
        "run_peak_bytes": done.peak_bytes,
        "verify_peak_bytes": proof.peak_bytes,
    }


def _found(proof: Run, missing: Sequence[Key]) -> dict[str, Any]:
    """Faults found among those planted, and reported beyond them."""
    file = proof.checkpoint.with_name(proof.checkpoint.name + ".missing.jsonl")
    listed = {orjson.dumps(orjson.loads(line)["key"]) for line in file.read_bytes().splitlines()}
    planted = {orjson.dumps(key) for key in missing}
    doubled = proof.summary["doubled"]
    return {
        "missing_found": len(listed & planted),
        "missing_false": len(listed - planted),
        "doubled_found": min(doubled, len(missing)),
        "doubled_false": max(0, doubled - len(missing)),
        "once": proof.summary["once"],
        "expected": proof.summary["expected"],
    }


def _plant(url: str, checkpoint: Path, parameters: Parameters) -> list[Key]:
    """Plant all faults. Returns the keys of the missing events."""
    draw, number = random.Random(parameters.seed), parameters.planted
    with History(checkpoint) as history:
        keys = [{"pk": item["pk"]} for page in history.pages(upto=history.last()) for item in page.items]
    chosen = draw.sample(keys, 2 * number)
    client = boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(parameter_validation=False, max_pool_connections=8),
    )

    def change(key: Key, expression: str) -> None:
        client.update_item(
            TableName=TABLE,
            Key=key,
            UpdateExpression=expression,
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: change(key, "ADD revision :one"), chosen[:number]))
        list(pool.map(lambda key: change(key, "SET other_writer = :one"), chosen[number:]))
    missing: list[Key] = [{"pk": {"S": f"untouched-{n:06}"}} for n in range(number)]
    with sqlite3.connect(checkpoint) as db:
        db.execute(
            "INSERT INTO settled (opened, items) SELECT MAX(opened), ? FROM settled",
            (pack([{**key, "revision": {"N": "3"}} for key in missing]),),
        )
    db.close()
    return missing


def _wall(done: Run) -> float:
    assert done.usage is not None  # noqa: S101 - it has ended
    return done.usage.wall_s


def _cpu(done: Run) -> float:
    assert done.usage is not None  # noqa: S101 - it has ended
    return done.usage.cpu_s


SCENARIO = Scenario(
    name="verify",
    question="Does the proof find every planted fault and nothing else, faster than the run, in bounded memory?",
    full=Parameters(),
    quick=Parameters(counts=(20_000,), planted=100),
    run=run,
    table=table,
    plot=plot,
    on_real=False,
)
