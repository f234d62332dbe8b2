"""Tables that are there from the start: the ``--tables`` file, whose form docs/sandbox.md describes.

Each member of its list has the members of CreateTable and, besides, ``Items`` (a list of items) or ``Generate``
(how to make them). ``parse_tables`` finds everything that can be wrong, in one line each.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from statistics import NormalDist
from typing import Any

import orjson

from refire_async.sandbox.database import Database
from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.operations.create_table import new_table
from refire_async.sandbox.shapes import (
    anything,
    check,
    integer,
    list_of,
    mapping_of_anything,
    structure,
    text,
)
from refire_async.sandbox.store.changes import PUT, commit, plan
from refire_async.sandbox.store.generated import GeneratedRows
from refire_async.sandbox.store.generator import SIZE_CLASSES, Generator, Spread, hot_keys, uniform, zipf
from refire_async.sandbox.store.keys import BEYOND
from refire_async.sandbox.store.table import Table
from refire_async.sandbox.values import MAX_ITEM_BYTES, validate_item

MAX_GENERATED = 200_000_000
DEFAULT_REGION = "us-east-1"

_OWN_MEMBERS = ("Items", "Generate", "Region")
_TABLE = structure(
    Items=list_of(mapping_of_anything), Generate=mapping_of_anything, Region=text(1, 40, pattern="[a-z0-9-]+")
)
_GENERATE = structure(
    {"Count": integer(1, MAX_GENERATED)},
    HashKeys=integer(1, MAX_GENERATED),
    HashPrefix=text(0, 100),
    RangePrefix=text(0, 100),
    Skew=anything,
    ItemBytes=anything,
    Attributes=mapping_of_anything,
    Filler=text(1, 255),
    Seed=integer(),
)
_GENERATE_MEMBERS = frozenset(
    ("Count", "HashKeys", "HashPrefix", "RangePrefix", "Skew", "ItemBytes", "Attributes", "Filler", "Seed")
)


def load_tables(database: Database, specs: Iterable[Mapping[str, Any]]) -> None:
    """Make the tables of a file. Raises ``ValueError`` with one line that names the table at fault."""
    for place, spec in enumerate(specs, 1):
        name = spec.get("TableName", f"number {place}")
        try:
            table = _make(database, dict(spec))
        except ServiceError as error:
            raise ValueError(f"table {name}: {error.message}") from error
        except ValueError as error:
            raise ValueError(f"table {name}: {error}") from error
        database.tables[table.name] = table


def _make(database: Database, spec: dict[str, Any]) -> Table:
    own = check(_TABLE, {member: spec.pop(member) for member in _OWN_MEMBERS if member in spec})
    region = own.get("Region") or DEFAULT_REGION
    if "Generate" in own and "Items" in own:
        raise ValueError("has both Items and Generate; choose one")
    table = new_table(database, region, spec)
    if "Generate" in own:
        return _generated(database, region, spec, table, own["Generate"])
    # Items of a file were there before the sandbox was: they take no capacity and leave no stream record.
    streams, table.streams = table.streams, []
    for item in own.get("Items") or ():
        canonical = validate_item(item)
        table.schema.check_item(canonical)
        key = table.schema.order_key(canonical)
        if table.rows.get(key) is not None:
            raise ValueError(f"Items holds the key {table.schema.key_of(canonical)} twice")
        commit(table, plan(table, key, None, canonical, PUT), 0.0)
    table.streams = streams
    return table


def _generated(
    database: Database, region: str, spec: dict[str, Any], draft: Table, generate: dict[str, Any]
) -> Table:
    unknown = generate.keys() - _GENERATE_MEMBERS
    if unknown:
        raise ValueError(f"Generate has the unknown member {min(unknown)}")
    check(_GENERATE, generate)
    count = generate["Count"]
    schema = draft.schema
    attributes = validate_item(generate.get("Attributes") or {})
    clash = attributes.keys() & {*schema.names, generate.get("Filler") or "payload"}
    if clash:
        raise ValueError(f"Generate.Attributes must not hold {min(clash)}, which is generated")
    generator = Generator(
        schema,
        _spread(generate, count, composite=bool(schema.ranges)),
        hash_prefix=generate.get("HashPrefix") or "",
        range_prefix=generate.get("RangePrefix") or "",
        attributes=attributes,
        filler=generate.get("Filler") or "payload",
        sizes=_sizes(generate.get("ItemBytes", 400)),
        seed=generate.get("Seed", 0),
    )
    if generator.smallest_size > generator.smallest_asked:
        raise ValueError(
            f"Generate.ItemBytes: items need at least {generator.smallest_size} bytes for keys and attributes, "
            f"not {generator.smallest_asked}"
        )
    # Made again: the number of partitions depends on the size.
    table = new_table(database, region, spec, size_bytes=generator.total_bytes())
    table.schema.position = generator.position
    table.rows = rows = GeneratedRows(generator)
    table.size_bytes = generator.total_bytes()
    for stream in table.streams:
        stream.use_rows(rows)
    if table.indexes:
        for key, row in rows.between((0,), BEYOND):
            item = orjson.loads(row[0])
            for index in table.indexes.values():
                entry = index.entry(item, key, row)
                if entry is not None:
                    index.replace(*entry)
    return table


def _spread(generate: Mapping[str, Any], count: int, *, composite: bool) -> Spread:
    keys, skew = generate.get("HashKeys"), generate.get("Skew", "uniform")
    if not composite:
        if keys not in (None, count) or skew != "uniform":
            raise ValueError("Generate: HashKeys and Skew need a table with a sort key")
        return uniform(count, count)
    keys = keys or max(1, count // 100)
    if keys > count:
        raise ValueError(f"Generate: {keys} HashKeys are more than {count} items")
    if skew == "uniform":
        return uniform(count, keys)
    kind, value = _single_member(skew, "Skew", '"uniform", {"Zipf": 1.1} or {"HotKey": 0.3}')
    if kind == "Zipf" and _is_number(value) and 0 < value <= 5:
        return zipf(count, keys, float(value))
    shares = value if kind == "HotKey" and isinstance(value, list) else [value]
    if kind == "HotKey" and len(shares) < keys and _are_shares(shares):
        return hot_keys(count, keys, [float(share) for share in shares])
    raise ValueError(
        "Generate.Skew: Zipf takes an exponent above 0 and up to 5, HotKey a share or a list of shares that are "
        "together between 0 and 1, and more hash keys than shares"
    )


def _sizes(wanted: Any) -> list[int]:
    """Item sizes that stand for a distribution: its quantiles, in an order that mixes large and small."""
    if type(wanted) is int:
        sizes = [wanted]
    else:
        kind, value = _single_member(
            wanted, "ItemBytes", '400, {"Uniform": [100, 2000]} or {"Lognormal": [400, 0.5]} (median, sigma)'
        )
        if not isinstance(value, list) or len(value) != 2 or not all(_is_number(number) for number in value):
            raise ValueError(f"Generate.ItemBytes: {kind} takes a list of two numbers")
        shares = [(place + 0.5) / SIZE_CLASSES for place in range(SIZE_CLASSES)]
        if kind == "Uniform":
            sizes = [round(value[0] + share * (value[1] - value[0])) for share in shares]
        elif kind == "Lognormal" and value[0] > 0 and 0 <= value[1] <= 3:
            normal = NormalDist(math.log(value[0]), value[1]) if value[1] else None
            sizes = [round(math.exp(normal.inv_cdf(share)) if normal else value[0]) for share in shares]
        else:
            raise ValueError(f"Generate.ItemBytes: {kind} {value} is not understood")
        # Not in even steps: those of the hash keys would meet the same sizes again and again, so that ranges of
        # the hash space differed in size.
        random.Random(0).shuffle(sizes)  # noqa: S311 - an order, not secrets
    if max(sizes) > MAX_ITEM_BYTES or min(sizes) < 1:
        raise ValueError(f"Generate.ItemBytes: sizes must lie between 1 and {MAX_ITEM_BYTES}")
    return sizes


def _single_member(value: Any, member: str, forms: str) -> tuple[str, Any]:
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f"Generate.{member} is not understood; write {forms}")
    return next(iter(value.items()))


def _are_shares(values: list[Any]) -> bool:
    numbers = values and all(_is_number(value) and value > 0 for value in values)
    return bool(numbers) and sum(values) < 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
