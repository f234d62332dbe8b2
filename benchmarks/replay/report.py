"""The table and the plot of replay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.framework import plots
from benchmarks.framework.scenario import Metrics, Table

LABELS = {
    "engine": "refire",
    "floor": "floor: copy bytes, send",
    "aioboto3_loop": "aioboto3: get_records, json, invoke",
}
AHEAD = "refire, look ahead before the question"
_MIB = 1 << 20
_MODULES = 6


def table(parameters: Mapping[str, Any], metrics: Metrics) -> Table:
    """A row per contender, then the look ahead."""
    contenders = metrics["contenders"]
    ours = contenders["engine"]["cpu_us_per_record"]["median"]
    rows = []
    for name, found in contenders.items():
        cpu, speed = found["cpu_us_per_record"], found["records_per_cpu_s"]["median"]
        peak = found["peak_bytes"]["median"] / _MIB
        rows.append((LABELS.get(name, name), *_cells(cpu, ours), f"{speed:,.0f}", f"{peak:.0f}"))
    rows.append((AHEAD, *_cells(metrics["look_ahead_cpu_us_per_record"], ours), "-", "-"))
    columns = (
        "client",
        "CPU per record, µs",
        "least to most",
        "times refire's",
        "records per second of CPU",
        "peak memory, MiB",
    )
    return Table(columns, rows, _note(parameters, metrics))


def _cells(cpu: Mapping[str, Any], ours: float) -> tuple[str, str, str]:
    return f"{cpu['median']:.1f}", f"{cpu['low']:.1f} to {cpu['high']:.1f}", f"{cpu['median'] / ours:.1f}"


def _note(parameters: Mapping[str, Any], metrics: Metrics) -> str:
    ratios, parts = metrics["ratios"], []
    if "loop_to_engine" in ratios:
        parts.append(f"The plain loop needs {_span(ratios['loop_to_engine'], 0)} times what refire needs")
    if "engine_to_floor" in ratios:
        parts.append(f"refire needs {_span(ratios['engine_to_floor'], 2)} times what the floor needs")
    wall = metrics["contenders"]["engine"]["records_per_s"]
    parts.append(
        f"refire delivered {wall['median']:,.0f} records/s ({wall['low']:,.0f} to {wall['high']:,.0f})"
    )
    parts += [
        f"Peak memory with a function that takes {parameters['slow_ms']} ms, {case['records']:,} records:"
        f" {case['peak_bytes']['median'] / _MIB:.0f} MiB"
        for case in metrics["slow_function"]
    ]
    modules = list(metrics["profile"]["modules"].items())[:_MODULES]
    shares = ", ".join(f"{name} {share:.0%}" for name, share in modules)
    parts.append(f"Where refire's CPU time goes, look ahead included: {shares}")
    return ". ".join(parts) + "."


def _span(ratio: Mapping[str, Any], digits: int) -> str:
    return f"{ratio['median']:.{digits}f} ({ratio['low']:.{digits}f} to {ratio['high']:.{digits}f})"


def plot(_parameters: Mapping[str, Any], metrics: Metrics) -> Figure:
    """CPU per record of each contender, on a logarithmic axis; beside it where the engine's goes."""
    figure, (left, right) = plots.figure(2, width=11)
    bars = [
        (LABELS.get(name, name), found["cpu_us_per_record"], name == "engine")
        for name, found in metrics["contenders"].items()
    ]
    bars.append((AHEAD, metrics["look_ahead_cpu_us_per_record"], True))
    bars.sort(key=lambda bar: float(bar[1]["median"]))
    plots.bars(
        left,
        [label for label, _, _ in bars],
        [cpu["median"] for _, cpu, _ in bars],
        [(cpu["low"], cpu["high"]) for _, cpu, _ in bars],
        colours=[plots.COLOURS[0] if ours else plots.QUIET for _, _, ours in bars],
        texts=[plots.digits(cpu["median"]) for _, cpu, _ in bars],
    )
    left.set_xscale("log")
    left.set_xlim(left=1, right=max(cpu["high"] for _, cpu, _ in bars) * 2.5)
    left.set_xlabel("client CPU per record, µs (logarithmic; less is better)")
    left.set_title("CPU per record")
    modules = dict(list(metrics["profile"]["modules"].items())[: _MODULES + 2])
    plots.bars(
        right,
        list(modules),
        [share * 100 for share in modules.values()],
        [(share * 100, share * 100) for share in modules.values()],
        colours=[plots.COLOURS[0]] * len(modules),
        texts=[f"{share:.0%}" for share in modules.values()],
    )
    right.set_xlim(right=max(modules.values()) * 120)
    right.set_xlabel("share of refire's CPU time, %, by module (sampled)")
    right.set_title("Where refire's goes")
    return figure
