"""The settings that a run chooses for itself, held against the published sweep."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson
import pytest

import benchmarks
from benchmarks.sweep.recommend import Cell, recommend, shares
from benchmarks.sweep.scenario import Parameters, items_in
from refire_async.model.table import Table
from refire_async.pipeline.sizing import choose_segments, choose_workers
from tests.support.table_descriptions import described_table

LARGER = 50
"""So many times the sweep's items make a large table, which gets several lanes for each partition."""


@pytest.fixture(scope="module")
def published() -> Mapping[str, Any]:
    """The sweep's published result."""
    path = Path(benchmarks.__file__).with_name("results") / "sweep.json"
    result: Mapping[str, Any] = orjson.loads(path.read_bytes())
    return result


@pytest.fixture(scope="module")
def parameters(published: Mapping[str, Any]) -> Parameters:
    """What it was made with."""
    given = published["parameters"]
    chosen = {field.name: given[field.name] for field in fields(Parameters) if field.name in given}
    return Parameters(**{name: tuple(v) if isinstance(v, list) else v for name, v in chosen.items()})


def table(item_bytes: int, items: int) -> Table:
    return described_table(item_count=items, size_bytes=item_bytes * items)


def test_the_result_is_one_to_derive_defaults_from(
    published: Mapping[str, Any], parameters: Parameters
) -> None:
    """A full run with its whole grid, whose recommendation follows from its cells."""
    assert published["parameters"]["mode"] == "full"
    assert published["parameters"]["target"] == "a backend of the suite"
    cells = [Cell.from_json(cell) for cell in published["metrics"]["cells"]]
    assert len(cells) == len(parameters.segments) * len(parameters.workers) * len(
        {cell.place for cell in cells}
    )
    advice = recommend(cells, parameters.share)
    recommended = published["metrics"]["recommended"]
    assert (advice.segments, advice.workers) == (recommended["segments"], recommended["workers"])


@pytest.mark.parametrize("times", [1, LARGER])
def test_the_defaults_are_good_enough_wherever_the_sweep_has_looked(
    published: Mapping[str, Any], parameters: Parameters, times: int
) -> None:
    """For its tables, and for larger ones of the same items, at each item size: the planner's segments and workers are
    of the grid, and no setting of it does much better at the latency that suits it least. Each cell is a single run, so
    that the best of them is luck too: held against is the share that the sweep calls good enough."""
    cells = [Cell.from_json(cell) for cell in published["metrics"]["cells"]]
    workers = choose_workers("partiql", parameters.capacity)
    for item_bytes in parameters.item_bytes:
        items = items_in(parameters, item_bytes) * times
        segments = choose_segments(table(item_bytes, items), parameters.capacity)
        worst = shares(cell for cell in cells if cell.item_bytes == item_bytes)
        assert (segments, workers) in worst
        best = max(worst.values())
        assert worst[segments, workers] >= parameters.share * best, (item_bytes, segments, workers)
