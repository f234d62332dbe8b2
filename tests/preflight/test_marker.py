"""What keys have against a marker, wherever in a schema it stands."""

import pytest

from refire_async.errors import UsageError
from refire_async.model.keys import IndexKeys, KeySchema
from refire_async.model.table import Index, Stream, Table, Throughput
from refire_async.preflight.marker import check_marker, on_table


def table_with(keys: IndexKeys) -> Table:
    index = Index("wide", "global", keys, "KEYS_ONLY")
    own, units = KeySchema("pk", "S", "sk", "N"), Throughput()
    return Table(
        "orders", "arn", "id", "ACTIVE", own, "PAY_PER_REQUEST", units, (index,), Stream(enabled=True), 0, 0
    )


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("kind", ["hash", "range"])
def test_a_marker_among_several_key_attributes_of_an_index(kind: str, position: int):
    """At any place of four hash and four sort attributes a touch would move entries."""
    plain = [(f"{letter}{n}", "N") for letter in "hr" for n in range(4)]
    plain[position + (4 if kind == "range" else 0)] = ("revision", "N")
    table = table_with(IndexKeys(tuple(plain[:4]), tuple(plain[4:])))
    assert [finding.id for finding in on_table(table, "revision")] == ["marker-index-key"]
    with pytest.raises(UsageError, match="key of index wide"):
        check_marker(table, "revision")
    assert on_table(table, "counter") == []
