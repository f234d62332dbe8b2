"""What a scenario is: parameters in, metrics out, a table and a plot of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import orjson
from matplotlib.figure import Figure

P = TypeVar("P")


class BenchmarkError(Exception):
    """A measurement could not be made; the message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class RealTable:
    """A table that is not the suite's own: its items are touched for real, `max_items` of them in each run."""

    table: str
    max_items: int
    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None


class Steps(Protocol):
    """Where a scenario says how far it is."""

    def begin(self, total: int) -> None:
        """There will be `total` steps."""

    def step(self, label: str) -> None:
        """The next step begins."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a scenario runs in: a scratch folder, a place to say how far it is, and perhaps a real table."""

    folder: Path
    steps: Steps
    real: RealTable | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under column titles, and perhaps a line to read them by."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    note: str = ""


Metrics = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario(Generic[P]):
    """One benchmark. `full` and `quick` are its parameters: a frozen dataclass of plain values.

    `table` and `plot` take the parameters and metrics of a result, as its JSON file has them. A scenario with
    `on_real` False measures something of the suite's own and cannot be pointed at a real table.
    """

    name: str
    question: str
    full: P
    quick: P
    run: Callable[[Bench, P], Metrics]
    table: Callable[[Mapping[str, Any], Metrics], Table]
    plot: Callable[[Mapping[str, Any], Metrics], Figure]
    on_real: bool = True

    def parameters(self, *, quick: bool, changes: Mapping[str, str]) -> P:
        """The parameters of a run; `changes` are texts by name, JSON where they are not words.

        Raises BenchmarkError for a name or a type that the scenario does not have.
        """
        base: Any = self.quick if quick else self.full
        changed: P = dataclasses.replace(
            base, **{name: _changed(self.name, base, name, text) for name, text in changes.items()}
        )
        return changed


V = TypeVar("V")


def choice(options: Mapping[str, V], name: str) -> V:
    """What a parameter names. Raises BenchmarkError with the names that there are."""
    if name not in options:
        raise BenchmarkError(f"there is no {name!r}; there are {', '.join(options)}")
    return options[name]


def _changed(scenario: str, base: Any, name: str, text: str) -> Any:
    fields = [field.name for field in dataclasses.fields(base)]
    if name not in fields:
        raise BenchmarkError(f"{scenario} has no parameter {name}; it has {', '.join(fields)}")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = text
    value = _frozen(value)
    present = getattr(base, name)
    fits = isinstance(value, type(present)) or (isinstance(present, float) and isinstance(value, int))
    if not fits or isinstance(value, bool) is not isinstance(present, bool):
        raise BenchmarkError(f"{scenario}: {name}={text} is not like {orjson.dumps(present).decode()}")
    return value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(member) for member in value) if isinstance(value, list) else value
