"""The evidence itself, short and long: cases drawn from seeds, no promise broken in any of them.

`python -m tests.evidence` is the same with figures to quote.
"""

from pathlib import Path

import pytest

from tests.evidence.__main__ import gather
from tests.evidence.case import draw_case
from tests.evidence.rows import SELECTIONS

SHORT = range(1000, 1004)
"""Seeds of the short version: between them kills, faults, live writers and two processes."""

SOAK_MINUTES = 20.0


def test_the_short_version_has_some_of_everything() -> None:
    """Another way to draw cases must not make it a version of nothing."""
    cases = [draw_case(seed) for seed in SHORT]
    assert sum(len(case.kills) for case in cases) >= 8
    assert any(case.faults for case in cases)
    assert any(case.live and case.kills for case in cases)
    assert {case.processes for case in cases} == {1, 2}
    assert {case.marker for case in cases} == {"revision", "stamp"}


def test_cases_are_what_their_seed_says() -> None:
    """A seed is enough to tell a case, and seeds come by every selection."""
    cases = [draw_case(seed) for seed in range(300)]
    assert cases == [draw_case(seed) for seed in range(300)]
    assert {case.selection for case in cases} == set(SELECTIONS)


@pytest.mark.timeout(300)
def test_no_promise_is_broken(tmp_path: Path) -> None:
    """The short version, for every change of the program."""
    figures = gather(minutes=4.0, seed=SHORT[0], cases=len(SHORT), folder=tmp_path, jobs=2)
    assert figures.violations == []
    assert figures.cases == len(SHORT)
    assert figures.kills.total() >= 4


@pytest.mark.soak
@pytest.mark.timeout(60 * (SOAK_MINUTES + 10))
def test_no_promise_is_broken_at_length(tmp_path: Path) -> None:
    """The long version. What a failing case saw stays in pytest's folder."""
    figures = gather(minutes=SOAK_MINUTES, seed=10_000, folder=tmp_path, jobs=2)
    assert figures.violations == []
    assert figures.cases > 50
    assert figures.kills["at a random moment"] >= 100
    assert figures.faults.total() > 1000
