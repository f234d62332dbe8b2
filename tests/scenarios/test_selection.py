"""A run fires exactly the selected items: one hash key, one day of an index, a whole index."""

import base64
from collections.abc import Callable

import pytest

from tests.support.backends import on_one_backend
from tests.support.cli import Cli
from tests.support.judge import Snapshot, assert_summary
from tests.support.rows import composite_rows
from tests.support.tables import Index, Item, KeyType, Schema, Table

MakeTable = Callable[..., Table]

BY_DAY = Index("by-day", Schema(("day", "S")))


def big_collection(table: Table) -> Snapshot:
    """One hash key of 1.5 MB, more than a page, among others."""
    table.fill({"pk": {"S": "hot"}, "sk": {"N": str(n)}, "pad": {"S": "x" * 20_000}} for n in range(75))
    table.fill(composite_rows(100))
    return Snapshot.of(table)


@pytest.mark.on_account(3500)
def test_one_hash_key_of_several_pages(cli: Cli, make_table: MakeTable) -> None:
    """`--key-name` and `--key-value` fire one item collection of more than one page, and nothing else."""
    before = big_collection(table := make_table(("pk", "S"), ("sk", "N")))

    result = cli.refire(table.name, "--key-name", "pk", "--key-value", "hot")

    assert result.code == 0, result.stderr
    assert_summary(result.json, scanned=75, touched=75)
    before.assert_fired(before.select(lambda item: item["pk"] == {"S": "hot"}))


@pytest.mark.on_account(3500)
def test_one_hash_key_from_the_environment_of_the_known_script(cli: Cli, make_table: MakeTable) -> None:
    """`DynamoTable`, `HashKeyName` and `HashKeyValue` name table and key."""
    before = big_collection(table := make_table(("pk", "S"), ("sk", "N")))
    env = {"DynamoTable": table.name, "HashKeyName": "pk", "HashKeyValue": "hot"}

    result = cli.run("run", "--json", env=env)

    assert result.code == 0, result.stderr
    assert_summary(result.json, table=table.name, scanned=75, touched=75)
    before.assert_fired(before.select(lambda item: item["pk"] == {"S": "hot"}))


@pytest.mark.on_account(100)
@pytest.mark.on_dynamodb_local("N-100-1E+2", "B-\\x00\\xff\\xfe-AP/+")
@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("S", "a b=c,'\"d", "a b=c,'\"d"),
        ("S", "007", "007"),
        ("N", "100", "1E+2"),
        ("B", b"\x00\xff\xfe", base64.b64encode(b"\x00\xff\xfe").decode()),
    ],
)
def test_hash_key_of_each_type(
    cli: Cli, make_table: MakeTable, kind: KeyType, value: str | bytes, text: str
) -> None:
    """The value is parsed as the key's type in the table: text, a number in any notation, base64."""
    others: dict[KeyType, str | bytes] = {"S": "7", "N": "7", "B": b"7"}
    table = make_table(("pk", kind), ("sk", "N"))
    table.fill({"pk": {kind: key}, "sk": {"N": str(n)}} for key in (value, others[kind]) for n in range(30))
    before = Snapshot.of(table)

    result = cli.refire(table.name, "--key-name", "pk", "--key-value", text)

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=30)
    before.assert_fired(before.select(lambda item: item["pk"] == {kind: value}))


@pytest.mark.on_account(20)
def test_hash_key_without_items(cli: Cli, make_table: MakeTable) -> None:
    """A key without items is no error: nothing is touched."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(10))
    before = Snapshot.of(table)

    result = cli.refire(table.name, "--key-name", "pk", "--key-value", "missing")

    assert result.code == 0, result.stderr
    assert_summary(result.json, status="complete", scanned=0, touched=0)
    before.assert_untouched()


def with_days(count: int) -> list[Item]:
    """Composite rows on three days; every tenth has no day and every fifth a revision of 7."""
    items = composite_rows(count)
    for n, item in enumerate(items):
        if n % 10:
            item["day"] = {"S": f"2026-11-0{n % 3 + 1}"}
        if n % 5 == 0:
            item["revision"] = {"N": "7"}
    return items


def test_one_day_through_a_keys_only_index(cli: Cli, make_table: MakeTable) -> None:
    """The index has no revision, so it is read from the table: 7 becomes 8, others 1."""
    table = make_table(("pk", "S"), ("sk", "N"), indexes=(BY_DAY,))
    table.fill(with_days(600))
    before = Snapshot.of(table)
    chosen = before.select(lambda item: item.get("day") == {"S": "2026-11-02"})

    result = cli.refire(table.name, "--index", "by-day", "--key-name", "day", "--key-value", "2026-11-02")

    assert result.code == 0, result.stderr
    assert_summary(result.json, scanned=len(chosen), touched=len(chosen))
    before.assert_fired(chosen)


@pytest.mark.on_dynamodb_local("keys only", "local")
@pytest.mark.parametrize(
    "index",
    [
        BY_DAY,
        Index("everything", Schema(("day", "S"), ("sk", "N")), projected=()),
        Index("some", Schema(("day", "S")), projected=("revision", "total")),
        Index("within", Schema(("pk", "S"), ("day", "S")), local=True),
    ],
    ids=["keys only", "all projected", "marker projected", "local"],
)
def test_whole_index(cli: Cli, make_table: MakeTable, index: Index) -> None:
    """A sparse index of any kind and projection fires the items that it has, by their table keys."""
    table = make_table(("pk", "S"), ("sk", "N"), indexes=(index,))
    table.fill(with_days(300))
    before = Snapshot.of(table)
    chosen = before.select(lambda item: "day" in item)

    result = cli.refire(table.name, "--index", index.name, "--segments", "3")

    assert result.code == 0, result.stderr
    assert_summary(result.json, scanned=len(chosen), touched=len(chosen))
    before.assert_fired(chosen)


@pytest.mark.on_account(2000)
def test_one_hash_key_of_a_local_index(cli: Cli, make_table: MakeTable) -> None:
    """A local index can be queried too."""
    index = Index("within", Schema(("pk", "S"), ("day", "S")), local=True)
    table = make_table(("pk", "S"), ("sk", "N"), indexes=(index,))
    table.fill(with_days(600))
    before = Snapshot.of(table)
    chosen = before.select(lambda item: "day" in item and item["pk"] == {"S": "customer-5"})

    result = cli.refire(table.name, "--index", "within", "--key-name", "pk", "--key-value", "customer-5")

    assert result.code == 0, result.stderr
    assert 0 < len(chosen) == result.json["touched"]
    before.assert_fired(chosen)


@on_one_backend
@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--key-name", "sk", "--key-value", "1"), "pk"),
        (("--key-name", "nope", "--key-value", "1"), "pk"),
        (("--index", "no-such-index"), "by-day"),
        (("--index", "by-day", "--key-name", "pk", "--key-value", "customer-1"), "day"),
    ],
    ids=["sort key", "no key", "no index", "not the key of the index"],
)
def test_selection_that_the_table_does_not_have(
    cli: Cli, make_table: MakeTable, arguments: tuple[str, ...], hint: str
) -> None:
    """An invalid selection is refused before anything is written, naming what the table has."""
    table = make_table(("pk", "S"), ("sk", "N"), indexes=(BY_DAY,))
    table.fill(composite_rows(10))
    before = Snapshot.of(table)

    result = cli.refire(table.name, *arguments)

    assert result.code in (2, 10)
    assert len(result.error_lines) == 1, result.stderr
    assert hint in result.stderr
    before.assert_untouched()
