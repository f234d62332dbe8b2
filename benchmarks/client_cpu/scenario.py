"""client_cpu: what a client spends per item, on a core of its own, against a backend that answers at once."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.client_cpu import profile, watching
from benchmarks.client_cpu.report import plot, table
from benchmarks.framework.backends import Null, Window, null_backend, own_environment
from benchmarks.framework.null_backend import NullTable
from benchmarks.framework.process import Child, cores
from benchmarks.framework.refire import Refire, own_place, real_place
from benchmarks.framework.scenario import Bench, BenchmarkError, Metrics, RealTable, Scenario
from benchmarks.framework.statistics import interleave, paired_ratio, spread

ENGINE, FLOOR, PLAIN = "engine", "floor", "aioboto3_update"
UNWATCHED = "unwatched"

UNITS = 10_000_000
"""Units per second that the engine is given: its budget is at work and never the limit."""

_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Parameters:
    """`items` are touched by each contender in each of `rounds` rounds; slow ones get few, so that it stays short.

    What is measured lies between the shares `warm_up` and `until` of a contender's items. `variants` are tables of
    other forms, for the engine only: shape, marker, and more options of `refire run`. `segments` and `workers` are
    those of the contenders; the engine chooses its workers itself. `profile_items` are touched once more while the
    engine's CPU time is sampled. In `watched_rounds` more it touches `watched_items` looked at in every way, and again
    without subscribers.
    """

    items: tuple[tuple[str, int], ...]
    variants: tuple[tuple[str, str, str, tuple[str, ...]], ...]
    variant_items: int
    profile_items: int
    watched_items: int
    watched_rounds: int
    rounds: int
    segments: int = 32
    workers: int = 32
    warm_up: float = 0.2
    until: float = 0.9


_VARIANTS = (
    ("composite key", "composite", "present", ()),
    ("marker missing", "hash", "missing", ()),
    ("stamp marker", "hash", "missing", ("--marker", "stamp")),
)

FULL = Parameters(
    items=(
        (ENGINE, 400_000),
        (FLOOR, 400_000),
        ("aioboto3_batch", 60_000),
        ("aiodynamo_update", 20_000),
        (PLAIN, 6_000),
        ("boto3_resource", 6_000),
    ),
    variants=_VARIANTS,
    variant_items=400_000,
    profile_items=3_000_000,
    watched_items=400_000,
    watched_rounds=20,
    rounds=6,
)

QUICK = Parameters(
    items=(
        (ENGINE, 100_000),
        (FLOOR, 100_000),
        ("aioboto3_batch", 15_000),
        ("aiodynamo_update", 5_000),
        (PLAIN, 2_000),
        ("boto3_resource", 2_000),
    ),
    variants=_VARIANTS,
    variant_items=100_000,
    profile_items=200_000,
    watched_items=100_000,
    watched_rounds=2,
    rounds=2,
)


@dataclass(frozen=True, slots=True)
class _Track:
    """Where all contenders run: the same backend, the same window."""

    bench: Bench
    backend: Null
    parameters: Parameters

    def measure(self, name: str, target: NullTable, options: tuple[str, ...] = ()) -> Window:
        """One contender over one table. Raises BenchmarkError if it fails."""
        counts = self._counts(target)
        if name == ENGINE:
            self._engine(target, counts, options)
        else:
            self._other(name, target, counts)
        return self.backend.window()

    def watched(self, target: NullTable) -> Window:
        """The engine looked at in every way."""
        options = engine_options(self.parameters)
        return watching.measure(self.bench.folder, self.backend, target, options, self._counts(target))

    def _counts(self, target: NullTable) -> list[int]:
        return [int(target.count * self.parameters.warm_up), int(target.count * self.parameters.until)]

    def _engine(self, target: NullTable, counts: list[int], options: tuple[str, ...]) -> None:
        folder = self.bench.folder
        refire = Refire(folder, own_place(target.name, self.backend.url, folder))
        with refire.start(*engine_options(self.parameters), *options) as run:
            self.backend.watch(run.child.pid, counts)
            run.finish((0,))

    def _other(self, name: str, target: NullTable, counts: list[int]) -> None:
        command = [sys.executable, "-m", f"benchmarks.client_cpu.contenders.{name}"]
        command += [self.backend.url, target.name]
        command += [str(self.parameters.workers), str(self.parameters.segments)]
        log = self.bench.folder / f"{name}.err"
        environment = own_environment(self.bench.folder)
        with (
            log.open("wb") as errors,
            Child(command, core=cores().client, env=environment, stderr=errors) as child,
        ):
            self.backend.watch(child.pid, counts)
            usage = child.wait(_TIMEOUT_S)
        if usage.code != 0:
            raise BenchmarkError(f"contender {name} ended with {usage.code}: {_last_line(log)}")


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """Measure all contenders in turn, round after round."""
    if bench.real is not None:
        return _on_real(bench, bench.real)
    items = dict(parameters.items)
    measured: dict[str, list[Window]] = {name: [] for name in items}
    variants: dict[str, list[Window]] = {label: [] for label, *_ in parameters.variants}
    rounds = parameters.rounds
    bench.steps.begin(rounds * (len(items) + len(variants)) + parameters.watched_rounds + 1)
    with null_backend() as backend:
        track = _Track(bench, backend, parameters)
        for number, names in enumerate(interleave(tuple(items), rounds), 1):
            for name in names:
                bench.steps.step(f"{name}, round {number} of {rounds}")
                measured[name].append(track.measure(name, NullTable("hash", "present", items[name])))
            for label, shape, marker, options in parameters.variants:
                bench.steps.step(f"engine, {label}, round {number} of {rounds}")
                target = NullTable(shape, marker, parameters.variant_items)
                variants[label].append(track.measure(ENGINE, target, options))
        looked_at = _looked_at(bench, track)
        bench.steps.step("profile of the engine")
        target = NullTable("hash", "present", parameters.profile_items)
        sampled = profile.sample(bench.folder, backend, target, engine_options(parameters))
    metrics = _sum_up(measured)
    metrics["variants"] = {
        label: spread([window.client_us for window in windows]).to_json()
        for label, windows in variants.items()
    }
    metrics["watching"] = looked_at
    metrics["profile"] = sampled
    return metrics


def _looked_at(bench: Bench, track: _Track) -> Metrics:
    """The engine with all subscribers and without any, in turn."""
    rounds = track.parameters.watched_rounds
    target = NullTable("hash", "present", track.parameters.watched_items)
    found: dict[str, list[float]] = {"watched": [], UNWATCHED: []}
    for number, names in enumerate(interleave(tuple(found), rounds), 1):
        bench.steps.step(f"looked at and not, round {number} of {rounds}")
        for name in names:
            window = track.watched(target) if name == "watched" else track.measure(UNWATCHED, target)
            found[name].append(window.client_us)
    return {
        **{name: spread(values).to_json() for name, values in found.items()},
        "ratio": paired_ratio(found["watched"], found[UNWATCHED]).to_json(),
    }


def engine_options(parameters: Parameters) -> tuple[str, ...]:
    """The engine as it ships, its budget at work and not binding; no table would have segments for that budget."""
    return ("--max-wcu", str(UNITS), "--max-rcu", str(UNITS), "--segments", str(parameters.segments))


def _last_line(log: Path) -> str:
    return (log.read_text(errors="replace").splitlines() or ["it said nothing"])[-1]


def _sum_up(measured: dict[str, list[Window]]) -> Metrics:
    cpu = {name: [window.client_us for window in windows] for name, windows in measured.items()}
    contenders: dict[str, Any] = {}
    for name, windows in measured.items():
        contenders[name] = {
            "cpu_us_per_item": spread(cpu[name]).to_json(),
            "server_cpu_us_per_item": spread([window.server_us for window in windows]).to_json(),
            "items_per_s": spread([window.items_per_s for window in windows]).to_json(),
        }
    ratios = {}
    if PLAIN in cpu:
        ratios["plain_to_engine"] = paired_ratio(cpu[PLAIN], cpu[ENGINE]).to_json()
    if FLOOR in cpu:
        ratios["engine_to_floor"] = paired_ratio(cpu[ENGINE], cpu[FLOOR]).to_json()
    return {"contenders": contenders, "ratios": ratios}


def _on_real(bench: Bench, real: RealTable) -> Metrics:
    """Only the engine may touch a real table: it alone keeps a budget. Its start-up cannot be told apart there."""
    bench.steps.begin(1)
    bench.steps.step("engine")
    refire = Refire(bench.folder, real_place(real))
    run = refire.run("--max-items", str(real.max_items), codes=(0, 3))
    assert run.usage is not None  # noqa: S101 - it has ended
    touched = run.summary["touched"]
    if not touched:
        raise BenchmarkError("the run touched nothing")
    measured = {
        "cpu_us_per_item": spread([run.usage.cpu_s / touched * 1e6]).to_json(),
        "items_per_s": spread([run.summary["items_per_second"]]).to_json(),
    }
    return {"contenders": {ENGINE: measured}, "ratios": {}, "variants": {}, "watching": {}, "profile": {}}


SCENARIO = Scenario(
    name="client_cpu",
    question="How much CPU does a client spend per item, scan and touch together?",
    full=FULL,
    quick=QUICK,
    run=run,
    table=table,
    plot=plot,
)
