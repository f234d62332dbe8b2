"""Result files: `NAME.json` with its plots beside it, checked when they are read."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from matplotlib.figure import Figure

from benchmarks.framework.scenario import BenchmarkError, Metrics

_MEMBERS = {"name": str, "parameters": dict, "machine": dict, "versions": dict, "metrics": dict}
_PARAMETERS = {"mode": str, "target": str, "command": str, "started_at": str, "seconds": float}
_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one scenario. `parameters` also say how it was run, see `_PARAMETERS`."""

    name: str
    parameters: dict[str, Any]
    machine: dict[str, Any]
    versions: dict[str, str]
    metrics: Metrics


def write(folder: Path, result: Result, figure: Figure) -> Path:
    """Write the plot as PNG and SVG, then the JSON file beside it: while that is missing, nothing counts."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.name}.json"
    path.unlink(missing_ok=True)
    figure.savefig(path.with_suffix(".png"), dpi=150)
    # Neither date nor random ids, so that the same result gives the same file.
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    partial = path.with_suffix(".partial")
    partial.write_bytes(orjson.dumps(dataclasses.asdict(result), option=_OPTIONS))
    partial.replace(path)
    return path


def read(path: Path) -> Result:
    """A result file. Raises BenchmarkError if it is not one."""
    try:
        data = orjson.loads(path.read_bytes())
    except OSError as error:
        raise BenchmarkError(f"{path} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise BenchmarkError(f"{path} is not JSON: {error}") from None
    problem = check(data)
    if problem is not None:
        raise BenchmarkError(f"{path} is not a result file: {problem}")
    return Result(**data)


def check(data: Any) -> str | None:
    """What is wrong with the content of a result file, None if nothing is."""
    if not isinstance(data, dict) or data.keys() != _MEMBERS.keys():
        return f"it must be an object of {', '.join(_MEMBERS)}"
    for part, members in ((data, _MEMBERS), (data["parameters"], _PARAMETERS)):
        for name, kind in members.items():
            if not isinstance(part.get(name), kind):
                return f"{name} must be of type {kind.__name__}"
    return None
