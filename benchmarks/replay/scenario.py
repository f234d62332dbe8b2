"""replay: CPU per record of a delivery, on a core of its own, against a stream and a function that answer at once."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.framework.backends import Null, Window, null_backend, own_environment, window
from benchmarks.framework.null_backend import Mark, NullTable
from benchmarks.framework.process import Child, cores, memory
from benchmarks.framework.scenario import Bench, BenchmarkError, Metrics, Scenario
from benchmarks.framework.statistics import interleave, paired_ratio, spread
from benchmarks.replay import profile
from benchmarks.replay.report import plot, table

ENGINE, FLOOR, LOOP = "engine", "floor", "aioboto3_loop"

_TIMEOUT_S = 900.0
_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Parameters:
    """`records` are delivered by each contender in each of `rounds` rounds; the slow one gets few.

    The stream has so many `shards`, and its images so many `attributes` in 1 KB. `concurrency` bounds the requests of
    each contender. What is measured lies between the shares `warm_up` and `until` of a contender's records.
    In `slow_rounds` the engine delivers each of `slow_records` to a function that takes `slow_ms`, for its peak memory.
    `profile_records` are delivered once more while its CPU time is sampled.
    """

    records: tuple[tuple[str, int], ...] = ((ENGINE, 200_000), (FLOOR, 200_000), (LOOP, 20_000))
    slow_records: tuple[int, ...] = (60_000, 180_000)
    profile_records: int = 200_000
    rounds: int = 5
    slow_rounds: int = 1
    slow_ms: int = 100
    shards: int = 16
    attributes: int = 10
    concurrency: int = 16
    warm_up: float = 0.2
    until: float = 0.9


@dataclass(frozen=True, slots=True)
class Measured:
    """One contender: its delivery, the CPU (s) between its first page and its first invocation, its memory (bytes)."""

    delivery: Window
    ahead_s: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class _Track:
    """Where all contenders run: the same stream, the same function."""

    bench: Bench
    backend: Null
    parameters: Parameters

    def measure(
        self, name: str, records: int, *, latency_ms: int = 0, program: tuple[str, ...] = ()
    ) -> Measured:
        """One contender over one stream. `program`: the module that runs it, its arguments. Raises BenchmarkError."""
        parameters = self.parameters
        folder = Path(tempfile.mkdtemp(dir=self.bench.folder))
        command = [sys.executable, "-m", *program, f"benchmarks.replay.contenders.{name}"]
        command += [self.backend.url, NullTable("hash", "present", records).name, f"null-{latency_ms}"]
        command += [str(parameters.concurrency), str(folder)]
        environment = own_environment(folder) | {"AWS_ENDPOINT_URL_LAMBDA": self.backend.url}
        counts = [0, 1, int(records * parameters.warm_up), int(records * parameters.until)]
        peak, log = 0, folder / "errors"
        with (
            log.open("wb") as errors,
            Child(command, core=cores().client, env=environment, stderr=errors) as child,
        ):
            self.backend.watch(child.pid, counts)
            for _ in child.watch(_TIMEOUT_S, _EVERY_S):
                peak = max(peak, memory(child.pid))
            usage = child.wait(_TIMEOUT_S)
        if usage.code != 0:
            last = (log.read_text(errors="replace").splitlines() or ["no message"])[-1]
            raise BenchmarkError(f"contender {name} ended with {usage.code}: {last}")
        return measured(self.backend.marks(len(counts)), peak)


def measured(marks: list[Mark], peak_bytes: int) -> Measured:
    """Sum up the marks of one contender: first page, first invocation, warm, until. Pure."""
    read, invoked, warm, until = marks
    return Measured(window(warm, until), invoked.client_cpu_s - read.client_cpu_s, peak_bytes)


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """Measure all contenders in turn, round after round; then memory, then the profile."""
    records = dict(parameters.records)
    found: dict[str, list[Measured]] = {name: [] for name in records}
    slow: dict[int, list[Measured]] = {count: [] for count in parameters.slow_records}
    rounds = parameters.rounds
    bench.steps.begin(rounds * len(records) + parameters.slow_rounds * len(slow) + 1)
    backend_module = ("benchmarks.replay.stream_backend", str(parameters.shards), str(parameters.attributes))
    with null_backend(*backend_module) as backend:
        track = _Track(bench, backend, parameters)
        for number, names in enumerate(interleave(tuple(records), rounds), 1):
            for name in names:
                bench.steps.step(f"{name}, round {number} of {rounds}")
                found[name].append(track.measure(name, records[name]))
        for _ in range(parameters.slow_rounds):
            for count, ones in slow.items():
                bench.steps.step(f"memory, {count:,} records")
                ones.append(track.measure(ENGINE, count, latency_ms=parameters.slow_ms))
        bench.steps.step("profile of the engine")
        samples = bench.folder / "samples.txt"
        program = ("benchmarks.framework.sampled", str(samples), "--module")
        track.measure(ENGINE, parameters.profile_records, program=program)
    return _sum_up(records, found, slow) | {"profile": profile.sum_up(samples.read_text().splitlines())}


def _sum_up(
    records: dict[str, int], found: dict[str, list[Measured]], slow: dict[int, list[Measured]]
) -> Metrics:
    cpu = {name: [one.delivery.client_us for one in ones] for name, ones in found.items()}
    contenders: dict[str, Any] = {
        name: {
            "cpu_us_per_record": spread(cpu[name]).to_json(),
            "server_cpu_us_per_record": spread([one.delivery.server_us for one in ones]).to_json(),
            "records_per_s": spread([one.delivery.items_per_s for one in ones]).to_json(),
            "records_per_cpu_s": spread([1e6 / one.delivery.client_us for one in ones]).to_json(),
            "peak_bytes": spread([one.peak_bytes for one in ones]).to_json(),
        }
        for name, ones in found.items()
    }
    ratios = {}
    if LOOP in cpu:
        ratios["loop_to_engine"] = paired_ratio(cpu[LOOP], cpu[ENGINE]).to_json()
    if FLOOR in cpu:
        ratios["engine_to_floor"] = paired_ratio(cpu[ENGINE], cpu[FLOOR]).to_json()
    ahead = [one.ahead_s / records[ENGINE] * 1e6 for one in found[ENGINE]]
    cases = [
        {
            "records": count,
            "peak_bytes": spread([one.peak_bytes for one in ones]).to_json(),
            "records_per_s": spread([one.delivery.items_per_s for one in ones]).to_json(),
        }
        for count, ones in slow.items()
    ]
    return {
        "contenders": contenders,
        "ratios": ratios,
        "look_ahead_cpu_us_per_record": spread(ahead).to_json(),
        "slow_function": cases,
    }


SCENARIO = Scenario(
    name="replay",
    question="How much CPU does a delivery of stream records to a function spend per record?",
    full=Parameters(),
    quick=Parameters(
        records=((ENGINE, 60_000), (FLOOR, 60_000), (LOOP, 10_000)),
        slow_records=(20_000, 60_000),
        profile_records=60_000,
        rounds=2,
    ),
    run=run,
    table=table,
    plot=plot,
    on_real=False,
)
