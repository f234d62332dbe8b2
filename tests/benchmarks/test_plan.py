"""The verdict of plan: what is near enough, and what is not."""

from typing import Any

import pytest

from benchmarks.framework.scenario import BenchmarkError
from benchmarks.plan.report import table
from benchmarks.plan.scenario import judge


def case(shape: str, seconds: float) -> dict[str, Any]:
    """A case of which 100 of everything was planned, and all but the seconds measured."""
    figures = {what: judge(100.0, 100.0) for what in ("items", "wcu", "rcu")}
    figures["seconds"] = judge(100.0, seconds)
    return {"shape": shape, "kept": all(figure["kept"] for figure in figures.values()), **figures}


@pytest.mark.parametrize(
    ("measured", "kept"), [(100, True), (96, True), (105, True), (95, False), (106, False)]
)
def test_five_percent_either_way(measured: float, kept: bool) -> None:
    """Planned against measured: too much is as bad as too little."""
    assert judge(100.0, measured)["kept"] is kept


def test_nothing_measured_is_no_success() -> None:
    """A run that did nothing cannot be near its plan."""
    with pytest.raises(BenchmarkError, match="cannot be compared"):
        judge(0.0, 0.0)


def test_a_miss_shows_in_the_table() -> None:
    """In its row, and in the line below."""
    shown = table({}, {"cases": [case("1 KB", 101.0), case("a hot key", 120.0)], "tolerance": 0.05})
    assert [row[-1] for row in shown.rows] == ["yes", "**no**"]
    assert "1 of 2" in shown.note
