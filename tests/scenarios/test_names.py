"""Unusual names and values are never interpreted as syntax."""

from collections.abc import Callable

import pytest

from tests.support.cli import Cli
from tests.support.judge import Snapshot, assert_summary
from tests.support.proxy import Proxy
from tests.support.tables import Table

MakeTable = Callable[..., Table]

Names = tuple[str, str, str]
"""Attribute names: hash key, sort key, marker."""

NAMES: dict[str, Names] = {
    "reserved": ("select", "from", "set"),
    "dots, dashes, spaces": ("a.b", "c-d e", "my revision.no-1"),
    "single quotes": ("it's", "o''clock", "rev'ision"),
    "not ASCII": ("clé", "ключ", "改訂"),
    "placeholders": ("#k", ":k", "?"),
    "statement": ("x; DROP", "-- comment", "/* revision */"),
    "control characters": ("tab\t", "line\nbreak", "back\\slash"),
    "as long as can be": ("h" * 255, "é" * 127, "m" * 255),
    "brackets": ("a[0]", "{b}", "$(revision)"),
}


@pytest.mark.on_dynamodb_local(
    "reserved", "placeholders", "control characters", "as long as can be", "reserved, update"
)
@pytest.mark.parametrize(
    ("names", "writer"),
    [
        *(pytest.param(names, "partiql", id=kind) for kind, names in NAMES.items()),
        # Names are placeholders in an UpdateItem, so two kinds are enough.
        *(pytest.param(NAMES[kind], "update", id=f"{kind}, update") for kind in ("reserved", "placeholders")),
    ],
)
def test_unusual_attribute_names(cli: Cli, make_table: MakeTable, names: Names, writer: str) -> None:
    """Key and marker attributes of any name work, with and without an earlier marker."""
    hash_name, range_name, marker = names
    table = make_table((hash_name, "S"), (range_name, "N"))
    table.fill({hash_name: {"S": f"k{n % 5}"}, range_name: {"N": str(n)}} for n in range(30))
    table.fill({hash_name: {"S": "old"}, range_name: {"N": str(n)}, marker: {"N": "7"}} for n in range(3))
    before = Snapshot.of(table)

    result = cli.refire(table.name, "--marker-attribute", marker, "--writer", writer)

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=33, failed=0)
    before.assert_fired(marker=marker)


UNQUOTABLE: dict[str, Names] = {
    "hash key": ('say "hi"', "sk", "revision"),
    "sort key": ("pk", '"', "revision"),
    "marker": ("pk", "sk", 'rev"ision'),
    "all": ('""', 'a"b"c', '"revision"'),
}


@pytest.mark.on_dynamodb_local("all")
@pytest.mark.parametrize("names", UNQUOTABLE.values(), ids=UNQUOTABLE)
def test_double_quotes_in_attribute_names(
    proxied_cli: Cli, proxy: Proxy, make_table: MakeTable, names: Names
) -> None:
    """PartiQL quotes names with double quotes. Names with a double quote are written by UpdateItem instead."""
    hash_name, range_name, marker = names
    table = make_table((hash_name, "S"), (range_name, "N"))
    table.fill({hash_name: {"S": f"k{n % 5}"}, range_name: {"N": str(n)}} for n in range(30))
    table.fill([{hash_name: {"S": "old"}, range_name: {"N": "1"}, marker: {"N": "7"}}])
    before = Snapshot.of(table)

    result = proxied_cli.refire(table.name, "--marker-attribute", marker)

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=31, failed=0)
    before.assert_fired(marker=marker)
    assert "UpdateItem" in proxy.operations
    assert "BatchExecuteStatement" not in proxy.operations


@pytest.mark.on_dynamodb_local("123")
@pytest.mark.parametrize("name", ["select", "a.b-c_d.1", "123"])
def test_unusual_table_names(cli: Cli, make_table: MakeTable, name: str) -> None:
    """Table names that are reserved words, numbers or consist of dots and dashes."""
    table = make_table(name=name)
    table.fill({"pk": {"S": f"k{n}"}} for n in range(30))
    before = Snapshot.of(table)

    result = cli.refire(name)

    assert result.code == 0, result.stderr
    assert_summary(result.json, table=name, touched=30)
    before.assert_fired()


def test_hostile_key_values(cli: Cli, make_table: MakeTable) -> None:
    """Key values that look like PartiQL, JSON or placeholders do not change a statement."""
    values = [
        "'",
        '"',
        "''; --",
        "' OR '1'='1",
        "?",
        ":v",
        "#n",
        "\\",
        "\n",
        "\u0000",
        "\u2028",
        "{}",
        "\U0001f40e",
        "%s",
    ]
    table = make_table(("pk", "S"), ("sk", "S"))
    table.fill({"pk": {"S": value}, "sk": {"S": other}} for value in values for other in values[:5])
    before = Snapshot.of(table)

    result = cli.refire(table.name)

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=70)
    before.assert_fired()
