"""A marker that is a key attribute, in any place of a schema; and values that are not a revision."""

from collections.abc import Callable

import pytest

from refire_async.errors import UsageError
from refire_async.model.keys import IndexKeys, KeySchema
from refire_async.model.selection import Selection
from refire_async.model.table import Index, Table
from refire_async.pacing.capacity import Ceilings
from refire_async.preflight.facts import CheckedRun, Facts, SampledItems
from refire_async.preflight.marker import check_marker, check_values, on_table
from tests.support.table_descriptions import described_table


def table_with(keys: IndexKeys) -> Table:
    index = Index("wide", "global", keys, "KEYS_ONLY")
    return described_table(keys=KeySchema("pk", "S", "sk", "N"), billing="PAY_PER_REQUEST", indexes=(index,))


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("kind", ["hash", "range"])
def test_a_marker_among_several_key_attributes_of_an_index(kind: str, position: int):
    """In any place of four hash and four sort attributes a touch would move entries."""
    plain = [(f"{letter}{n}", "N") for letter in "hr" for n in range(4)]
    plain[position + (4 if kind == "range" else 0)] = ("revision", "N")
    table = table_with(IndexKeys(tuple(plain[:4]), tuple(plain[4:])))
    assert [finding.id for finding in on_table(table, "revision")] == ["marker-index-key"]
    with pytest.raises(UsageError, match="key of index wide"):
        check_marker(table, "revision")
    assert on_table(table, "counter") == []


def found_in(values: list[int | None]) -> list[str]:
    """Ids of the findings if sampled items have these revisions."""
    table = table_with(IndexKeys((("g", "S"),)))
    run = CheckedRun(
        table=table,
        region="eu-west-1",
        selection=Selection("scan"),
        marker_kind="revision",
        marker_attribute="revision",
        limits=Ceilings({}, 1.0, ""),
    )
    markers = tuple(None if value is None else {"N": str(value)} for value in values)
    return [
        finding.id for finding in check_values(Facts(run=run, sample=SampledItems(markers, 1.0, 0, 0, 1.0)))
    ]


@pytest.mark.parametrize(
    "revision_of",
    [
        lambda n: 30 if n < 50 else None,  # 30 runs over the same part
        lambda n: 25 if n % 3 else 1,  # a whole run, and 24 over a part
        lambda n: 1 + 6 * (n % 4),  # days that were fired 1, 7, 13 and 19 times
        lambda n: 3 if n < 90 else 40 if n < 95 else None,
    ],
)
def test_runs_over_parts_leave_few_values_even_far_apart(revision_of: Callable[[int], int | None]):
    assert found_in([revision_of(n) for n in range(200)]) == []


@pytest.mark.parametrize(
    "revision_of", [lambda n: 1 + n % 40, lambda n: 1 + n * n % 37, lambda n: 5_000 if n == 7 else 1]
)
def test_a_number_of_the_application_has_many_values(revision_of: Callable[[int], int | None]):
    assert found_in([revision_of(n) for n in range(200)]) == ["marker-lock"]
