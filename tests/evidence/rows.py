"""The table of the evidence, its items, and every way to select some of them."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.evidence.judge import BY, COUNT
from tests.support.exports import full_export
from tests.support.tables import Index, Item, Schema, Table

KEYS: tuple[tuple[str, str], ...] = (("pk", "S"), ("sk", "N"))
INDEXES = (
    Index("by-day", Schema(("day", "S"))),
    Index("by-kind", Schema(("kind", "S"), ("sk", "N")), projected=()),
)
"""One index that does not project the marker, and one that does."""


def row(number: int, draw: random.Random) -> Item:
    """An item. A third have a revision already; half are of kind `a`, half of one customer."""
    revision: Item = {"revision": {"N": str(draw.randrange(1, 9))}} if draw.random() < 0.33 else {}
    return {
        "pk": {"S": "customer-0" if number % 2 else f"customer-{number % 29}"},
        "sk": {"N": str(number)},
        "kind": {"S": "a" if number % 4 < 2 else "b"},
        "day": {"S": f"2026-01-0{1 + number % 3}"},
        "note": {"S": "x" * draw.randrange(200)},
        "tags": {"SS": ["red", "green"]},
        COUNT: {"N": "0"},
        BY: {"S": "start"},
        **revision,
    }


@dataclass(frozen=True, slots=True)
class Chosen:
    """A selection: its options, given all items, a folder and the table, and the items that it selects.

    Only a `segmented` selection can be divided into segments, and so be shared by processes. If the source does not
    have the marker, every item is `looked_up`, for a read unit each.
    """

    arguments: Callable[[list[Item], Path, Table], tuple[str, ...]]
    selects: Callable[[Item], bool]
    segmented: bool = False
    looked_up: bool = False


def _always(*arguments: str) -> Callable[[list[Item], Path, Table], tuple[str, ...]]:
    return lambda _rows, _folder, _table: arguments


def _is_kind_a(item: Item) -> bool:
    return item["kind"] == {"S": "a"}


def _keys_of_kind_a(rows: list[Item], folder: Path, _table: Table) -> tuple[str, ...]:
    """A keys file with some keys twice."""
    path = folder / "keys.jsonl"
    keys = [{name: row[name] for name, _ in KEYS} for row in rows if _is_kind_a(row)]
    path.write_text("".join(json.dumps(key) + "\n" for key in [*keys, *keys[::7]]))
    return ("--keys-file", str(path))


def _export_of_kind_a(rows: list[Item], folder: Path, table: Table) -> tuple[str, ...]:
    """An export from before the first change of the live writers; half of the revisions are newer than it.

    No revision is one behind: a run may take it for its own touch, which is a limit in docs/correctness.md.
    """
    description = table.backend.dynamodb.describe_table(TableName=table.name)["Table"]
    exported = []
    for number, row in enumerate(filter(_is_kind_a, rows)):
        stale = number % 2 and row.get("revision", {"N": "1"}) != {"N": "1"}
        exported.append({name: value for name, value in row.items() if not (stale and name == "revision")})
    return ("--export", full_export(description, exported).write(folder))


SELECTIONS: dict[str, Chosen] = {
    "scan": Chosen(_always(), lambda _item: True, segmented=True),
    "filtered scan": Chosen(
        _always("--filter", "#k = :a", "--names", '{"#k": "kind"}', "--values", '{":a": "a"}'),
        _is_kind_a,
        segmented=True,
    ),
    "query": Chosen(
        _always("--key-name", "pk", "--key-value", "customer-0"),
        lambda item: item["pk"] == {"S": "customer-0"},
    ),
    "index scan, keys only": Chosen(
        _always("--index", "by-day"), lambda _item: True, segmented=True, looked_up=True
    ),
    "index scan": Chosen(_always("--index", "by-kind"), lambda _item: True, segmented=True),
    "index query": Chosen(
        _always("--index", "by-kind", "--key-name", "kind", "--key-value", "a"), _is_kind_a
    ),
    "several hash keys": Chosen(
        _always(*("--key-value", "customer-0", "--key-value", "customer-2", "--key-value", "missing")),
        lambda item: item["pk"]["S"] in ("customer-0", "customer-2"),
    ),
    "range of days of an index": Chosen(
        _always("--index", "by-day", "--key-value-range", "2026-01-02..2026-01-31"),
        lambda item: item["day"]["S"] >= "2026-01-02",
        looked_up=True,
    ),
    "where": Chosen(_always("--where", "kind = 'a' and size(tags) = 2"), _is_kind_a, segmented=True),
    "export": Chosen(_export_of_kind_a, _is_kind_a),
    "keys file": Chosen(_keys_of_kind_a, _is_kind_a, looked_up=True),
}
"""Every kind of selection. A new source gets its line here, and is killed and raced like the others."""
