"""A run fires every item once, by adding 1 to its revision, and changes nothing else."""

from collections.abc import Callable

import pytest

from tests.support.cli import Cli
from tests.support.judge import Snapshot, assert_summary
from tests.support.rows import EVERY_TYPE, composite_rows, hash_rows
from tests.support.tables import Item, Table

MakeTable = Callable[..., Table]


@pytest.mark.on_account(5000)
def test_a_whole_table_twice(cli: Cli, make_table: MakeTable) -> None:
    """The first run gives each of 1,500 items revision 1 and one MODIFY record, the second makes it 2."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(1500))
    before = Snapshot.of(table)

    first = cli.refire(table.name)

    assert first.code == 0, first.stderr
    assert_summary(
        first.json,
        table=table.name,
        status="complete",
        scanned=1500,
        touched=1500,
        already=0,
        conflicts=0,
        vanished=0,
        expired=0,
        failed=0,
        failed_keys_file=None,
    )
    before.assert_fired(times=1)

    second = cli.refire(table.name)

    assert second.code == 0, second.stderr
    assert second.json["touched"] == 1500
    assert second.json["run_id"] != first.json["run_id"]
    before.assert_fired(times=2)


@pytest.mark.on_account(100)
def test_existing_revisions_are_incremented(cli: Cli, make_table: MakeTable) -> None:
    """Revision 7 becomes 8; zero, negative, fractional and 38-digit revisions are incremented exactly as well."""
    revisions = ["7", "0", "-3", "1.5", "-0.25", "99999999999999999999999999999999999998", "41", "1E+10"]
    table = make_table()
    table.fill({"pk": {"S": f"r{n}"}, "revision": {"N": text}} for n, text in enumerate(revisions))
    table.fill(hash_rows(30))
    before = Snapshot.of(table)

    result = cli.refire(table.name)

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=38, failed=0)
    before.assert_fired()
    assert table.items()[table.identity({"pk": {"S": "r0"}})]["revision"] == {"N": "8"}


@pytest.mark.on_account(10)
def test_attributes_of_every_type_are_unchanged(cli: Cli, make_table: MakeTable) -> None:
    """Text, numbers, binaries, sets, lists and maps, empty and nested ones too, are byte for byte the same."""
    table = make_table()
    table.fill([{"pk": {"S": "rich"}, **EVERY_TYPE}, {"pk": {"S": "bare"}}])
    before = Snapshot.of(table)

    result = cli.refire(table.name)

    assert result.code == 0, result.stderr
    before.assert_fired()


NUMBERS = [
    "1E+20",
    "12345678901234567890123456789012345678",
    "-12345678901234567890123456789012345678",
    "0.00000000000000000000000000000000000012345678901234567890123456789012345678",
    "9.9999999999999999999999999999999999999E+125",
    "-9.9999999999999999999999999999999999999E+125",
    "1E-130",
    "-1E-130",
    "0",
    "-1",
    "3.14",
]

KEYS: dict[str, list[Item]] = {
    "hash S": hash_rows(60),
    "hash B, every byte": [{"k": {"B": bytes([byte])}} for byte in range(256)],
    "hash B, long": [
        {"k": {"B": bytes(range(256)) * 8}},
        {"k": {"B": bytes(2048)}},
        {"k": {"B": b"\xff" * 2048}},
    ],
    "hash N": [{"k": {"N": text}} for text in NUMBERS],
    "S and B": [{"k": {"S": "same"}, "r": {"B": bytes([byte, 255 - byte])}} for byte in range(256)],
    "S and S": [{"k": {"S": f"k{n % 3}"}, "r": {"S": f"r{n}\n\t'\""}} for n in range(60)],
    "N and N": [{"k": {"N": text}, "r": {"N": other}} for text in NUMBERS for other in NUMBERS],
    "B and S": [{"k": {"B": b"\x00\x00"}, "r": {"S": "\U0001f40e" * n}} for n in range(1, 60)],
}


@pytest.mark.on_account(800)
@pytest.mark.on_dynamodb_local("hash B, every byte", "N and N", "S and S")
@pytest.mark.parametrize("items", KEYS.values(), ids=KEYS)
def test_keys_of_every_type(cli: Cli, make_table: MakeTable, items: list[Item]) -> None:
    """Keys of types S, N and B, extreme values included, address the right item each."""
    names = [name for name in items[0] if name != "payload"]
    table = make_table(*((name, next(iter(items[0][name]))) for name in names))
    table.fill(items)
    before = Snapshot.of(table)
    assert len(before.items) == len(items)

    result = cli.refire(table.name)

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=len(items))
    before.assert_fired()


@pytest.mark.on_account(1)
def test_empty_table(cli: Cli, make_table: MakeTable) -> None:
    """Nothing is touched, and all counts are zero."""
    result = cli.refire(make_table().name)
    assert result.code == 0, result.stderr
    assert_summary(result.json, status="complete", scanned=0, touched=0)


@pytest.mark.on_account(100)
@pytest.mark.on_dynamodb_local("7")
@pytest.mark.parametrize("segments", ["1", "7", "1000"])
def test_any_number_of_segments(cli: Cli, make_table: MakeTable, segments: str) -> None:
    """One segment, a few, and far more than items all cover the table once."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(40))
    before = Snapshot.of(table)

    result = cli.refire(table.name, "--segments", segments)

    assert result.code == 0, result.stderr
    assert_summary(result.json, scanned=40, touched=40)
    before.assert_fired()
