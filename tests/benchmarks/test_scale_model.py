"""The laws of docs/scale.md, and that its table is made of the published results."""

from pathlib import Path

import pytest

from benchmarks.scale_parts.model import dollars, laws, line, per_tenfold, with_table

DOCUMENT = Path(__file__).parents[2] / "docs" / "scale.md"


def test_a_line_and_a_growth_per_tenfold() -> None:
    """Both go through the last point."""
    points = [(10.0, 1.0), (100.0, 3.0), (1_000.0, 4.0)]
    assert line([(10.0, 1.0), (20.0, 3.0)])(30) == pytest.approx(5.0)
    assert per_tenfold(points)(1_000) == 4.0
    assert per_tenfold(points)(10_000) == pytest.approx(6.0)


def test_the_document_holds_the_table_of_the_published_results() -> None:
    """By hand it is not changed."""
    text = DOCUMENT.read_text()
    assert with_table(text, laws()) == text


def test_what_is_measured_follows_the_laws() -> None:
    """The line of time meets the third size as well; the proof's file is no larger than its encoding."""
    found = laws()
    for items, seconds in found["seconds"].measured:
        assert found["seconds"].at(items) == pytest.approx(seconds, rel=0.1, abs=0.5)
    for items, size in found["proof_disk"].measured:
        assert size <= (41 + 37) * items


def test_a_billion_items_cost_what_their_units_cost() -> None:
    """At 0.625 and 0.125 dollars a million."""
    assert dollars(1e9) == pytest.approx(625 + 15.625)
