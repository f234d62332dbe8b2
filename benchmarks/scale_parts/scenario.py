"""scale_parts: CPU, memory and disk per item of the proof and of a run from a list of keys."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.framework.backends import sandbox
from benchmarks.framework.process import memory
from benchmarks.framework.refire import Refire, own_place, size_on_disk
from benchmarks.framework.scenario import Bench, BenchmarkError, Metrics, Scenario
from benchmarks.framework.tables import TABLE, config, table_spec
from benchmarks.scale_parts.report import plot, table
from refire_async.sources.key_list import list_path

_TIMEOUT_S = 3_600.0
_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Parameters:
    """Tables of each of `counts` items of `item_bytes`, at the default quota of a table."""

    counts: tuple[int, ...] = (100_000, 1_000_000, 10_000_000)
    capacity: int = 40_000
    item_bytes: int = 300
    seed: int = 7


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """For each size: a run, its proof, a run from a list of all keys."""
    bench.steps.begin(3 * len(parameters.counts))
    return {"cases": [case for count in parameters.counts for case in _cases(bench, parameters, count)]}


def _cases(bench: Bench, parameters: Parameters, count: int) -> list[dict[str, Any]]:
    spec = table_spec(count, parameters.item_bytes, wcu=parameters.capacity)
    spec["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    budget = ("--max-wcu", str(parameters.capacity))
    keys = bench.folder / f"keys-{count}.jsonl"
    with sandbox(config(spec)) as server:
        refire = Refire(bench.folder, own_place(TABLE, server.url, bench.folder))
        bench.steps.step(f"{count:,} items: run")
        done = refire.run(*budget)
        bench.steps.step(f"{count:,} items: verify")
        proof = _watched(refire, count, (), what=("verify",), checkpoint=done.checkpoint)
        bench.steps.step(f"{count:,} items: run from a list of keys")
        _write_keys(keys, count, parameters.seed)
        listed = _watched(refire, count, ("--keys-file", str(keys), *budget))
    return [{"part": "proof", **proof}, {"part": "list of keys", **listed}]


def _write_keys(path: Path, count: int, seed: int) -> None:
    """The key of every generated item, in random order."""
    numbers = list(range(count))
    random.Random(seed).shuffle(numbers)
    with path.open("wb") as file:
        file.writelines(orjson.dumps({"pk": f"customer-{number:010d}"}) + b"\n" for number in numbers)


def _watched(
    refire: Refire,
    count: int,
    arguments: Sequence[str],
    *,
    what: Sequence[str] | None = None,
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    """Figures of one program. The run's own list of keys is counted apart from files without a name."""
    disk = peak = listed = 0
    with refire.start(*arguments, what=what, checkpoint=checkpoint) as run:
        for _ in run.child.watch(_TIMEOUT_S, _EVERY_S):
            disk, peak = max(disk, unnamed_bytes(run.child.pid)), max(peak, memory(run.child.pid))
            listed = max(listed, size_on_disk(list_path(run.checkpoint)))
        run.finish((0,))
    assert run.usage is not None  # noqa: S101 - it has ended
    counted = run.summary["touched"] if what is None else run.summary["once"]
    if counted != count:
        raise BenchmarkError(f"{counted:,} of {count:,} items were counted")
    return {
        "items": count,
        "seconds": run.usage.wall_s,
        "cpu_us_per_item": 1e6 * run.usage.cpu_s / count,
        "peak_bytes": peak,
        "temporary_bytes": disk,
        "list_bytes": listed,
        "checkpoint_bytes": size_on_disk(run.checkpoint),
    }


def unnamed_bytes(pid: int) -> int:
    """Bytes of the files that a process has open and that have no name any more."""
    total = 0
    folder = Path(f"/proc/{pid}/fd")
    try:
        for entry in folder.iterdir():
            if str(entry.readlink()).endswith(" (deleted)"):
                total += entry.stat().st_size
    except OSError:  # it closed one, or has ended
        return total
    return total


SCENARIO = Scenario(
    name="scale_parts",
    question="What do the proof and the list of keys take per item, and does it stay the same when the table grows?",
    full=Parameters(),
    quick=Parameters(counts=(20_000, 60_000)),
    run=run,
    table=table,
    plot=plot,
    on_real=False,
)
