"""What the writers send, judged by an independent reading of it: the sandbox's PartiQL and expressions.

Names and values are as hostile as DynamoDB allows. Whatever they are, a request changes the marker of the one
item that it was made for, and only where the marker is what was read.
"""

import base64
import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.keys import Item, KeySchema
from refire_async.model.marker import Marker
from refire_async.pipeline.writers.partiql import (
    LONGEST_STATEMENT,
    MAX_BATCH_STATEMENTS,
    PartiqlWriter,
    can_quote,
)
from refire_async.pipeline.writers.update import UpdateWriter
from refire_async.sandbox.expressions import Placeholders, compile_condition, compile_update
from refire_async.sandbox.partiql import Update, compile_statement
from refire_async.sandbox.values import validate_item, validate_value
from tests.sandbox.language_strategies import numbers, raw_values
from tests.support.fakes import Scripted

HOSTILE = [
    "a' OR '1'='1",
    "x = ? WHERE y",
    "a; DROP TABLE t",
    "-- comment",
    "/* comment */",
    "a.b[0]",
    "?",
    ":v",
    "#n",
    "select",
    "MISSING",
    " ",
    "\\",
    "\\u0022",
    "a\nb",
    "\0",
    'a"b',
    '"',
    "é😀",
    "size(a)",
    "`a`",
    "$a",
    "@",
]
names = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
quotable = names.filter(can_quote)
texts = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
keys = (
    texts.map(lambda text: {"S": text})
    | numbers().map(lambda number: {"N": number})
    | st.binary(min_size=1, max_size=8).map(lambda data: {"B": base64.b64encode(data).decode()})
).map(validate_value)


@st.composite
def cases(draw: st.DrawFn, names: st.SearchStrategy[str] = names) -> tuple[KeySchema, Marker, Item]:
    """A table's key schema, a marker, and an item of the table with or without the marker."""
    hash_name, range_name, attribute, other = draw(st.lists(names, min_size=4, max_size=4, unique=True))
    hash_value, range_value = draw(keys), draw(keys)
    schema = KeySchema(hash_name, next(iter(hash_value)))
    item = {hash_name: hash_value, other: draw(raw_values.map(validate_value))}
    if draw(st.booleans()):
        schema = KeySchema(hash_name, next(iter(hash_value)), range_name, next(iter(range_value)))
        item[range_name] = range_value
    kind = draw(st.sampled_from(["revision", "stamp"]))
    if draw(st.booleans()):
        revision = str(draw(st.integers(-9, 10**37)))
        item[attribute] = {"N": revision} if kind == "revision" else draw(raw_values.map(validate_value))
    return schema, Marker(kind, attribute, draw(texts)), validate_item(item)


def other_markers(marker: Marker, item: Item) -> list[Item]:
    """The same item as other writers may have left it, none of it with the marker that was read."""
    without = {name: value for name, value in item.items() if name != marker.attribute}
    changed: list[dict[str, Any]] = [{"S": "another"}, {"N": "987654321"}, {"NULL": True}, {"L": []}]
    found = [{**without, marker.attribute: value} for value in changed if value != item.get(marker.attribute)]
    return [*found, without] if marker.attribute in item else found


def read(schema: KeySchema, marker: Marker, item: Item) -> Item:
    """What a source gives of the item."""
    return {name: item[name] for name in (*schema.names, marker.attribute) if name in item}


@given(cases(quotable))
def test_a_partiql_statement_changes_the_marker_of_its_item_and_nothing_else(
    case: tuple[KeySchema, Marker, Item],
):
    schema, marker, item = case
    assert PartiqlWriter.fits("a-table.x", schema, marker)
    writer = PartiqlWriter(Scripted().data, "a-table.x", schema, marker)
    (statement,) = orjson.loads(writer.encode([read(schema, marker, item)]))["Statements"]
    update = compile_statement(statement["Statement"])
    assert isinstance(update, Update)
    assert update.table == "a-table.x"
    values = update.bind(statement["Parameters"])
    assert update.key(values, schema.names) == schema.key_of(item)
    assert update.condition_holds(item, values)
    assert update.apply(item, values) == {**item, marker.attribute: marker.next(item.get(marker.attribute))}
    for changed in other_markers(marker, item):
        assert not update.condition_holds(changed, values)


@given(cases())
def test_an_update_item_changes_the_marker_of_its_item_and_creates_nothing(
    case: tuple[KeySchema, Marker, Item],
):
    schema, marker, item = case
    request = orjson.loads(
        UpdateWriter(Scripted().data, "t", schema, marker).encode(read(schema, marker, item))
    )
    placeholders = Placeholders(request["ExpressionAttributeNames"], request["ExpressionAttributeValues"])
    update = compile_update(request["UpdateExpression"], placeholders, schema.names)
    condition = compile_condition(request["ConditionExpression"], placeholders)
    placeholders.check_all_used()
    assert request["Key"] == schema.key_of(item)
    assert condition.matches(item)
    assert update.apply(item) == {**item, marker.attribute: marker.next(item.get(marker.attribute))}
    for changed in other_markers(marker, item):
        assert not condition.matches(changed)
    assert not condition.matches({})
    assert not condition.matches(
        {marker.attribute: item[marker.attribute]} if marker.attribute in item else {}
    )


@given(cases(quotable))
def test_values_are_only_in_parameters(case: tuple[KeySchema, Marker, Item]):
    """The text of a statement depends on the names and on whether there is a marker, on nothing else."""
    schema, marker, item = case
    writer = PartiqlWriter(Scripted().data, "t-t", schema, marker)
    plain = {name: {"S": "x"} for name in schema.names}
    if marker.attribute in item:
        plain[marker.attribute] = {"N": "1"}
    batch = orjson.loads(writer.encode([read(schema, marker, item), plain]))
    first, second = batch["Statements"]
    assert first["Statement"] == second["Statement"]
    assert re.sub('"[^"]*"', "~", first["Statement"]) in {
        "UPDATE ~ SET ~ = ? WHERE ~ = ? AND ~ IS MISSING",
        "UPDATE ~ SET ~ = ? WHERE ~ = ? AND ~ = ?",
        "UPDATE ~ SET ~ = ? WHERE ~ = ? AND ~ = ? AND ~ IS MISSING",
        "UPDATE ~ SET ~ = ? WHERE ~ = ? AND ~ = ? AND ~ = ?",
    }


@pytest.mark.parametrize("name", ['"', 'a"b', "a\nb", "\0", "\x7f", "\u2028", "#a", ":a"])
def test_names_that_partiql_cannot_quote_are_left_to_update_item(name: str):
    assert not can_quote(name)
    assert not PartiqlWriter.fits("t", KeySchema(name, "S"), Marker("revision", "r", "x"))
    assert not PartiqlWriter.fits("t", KeySchema("pk", "S", name, "S"), Marker("revision", "r", "x"))
    assert not PartiqlWriter.fits("t", KeySchema("pk", "S"), Marker("revision", name, "x"))


@given(st.integers(1, 255), st.integers(1, 255), st.integers(1, 65_535))
def test_a_statement_is_never_longer_than_the_service_takes(
    hash_name: int, range_name: int, marker_name: int
):
    schema = KeySchema("é" * hash_name, "S", "s" * range_name, "S")
    marker = Marker("revision", "m" * marker_name, "x")
    item: Item = {schema.hash_name: {"S": "a"}, "s" * range_name: {"S": "b"}}
    fits = PartiqlWriter.fits("t" * 255, schema, marker)
    longest = 0
    for old in ({}, {marker.attribute: {"N": "1"}}):
        body = PartiqlWriter(Scripted().data, "t" * 255, schema, marker).encode([{**item, **old}])
        longest = max(longest, len(orjson.loads(body)["Statements"][0]["Statement"]))
    assert not fits or longest <= LONGEST_STATEMENT
    assert fits or longest > LONGEST_STATEMENT - 200


def test_a_batch_holds_a_statement_per_item_in_order_and_asks_for_capacity():
    schema, marker = KeySchema("pk", "S"), Marker("revision", "revision", "r")
    writer = PartiqlWriter(Scripted().data, "t", schema, marker)
    items = [
        {"pk": {"S": str(n)}, **({"revision": {"N": str(n)}} if n % 2 else {})}
        for n in range(MAX_BATCH_STATEMENTS)
    ]
    batch = orjson.loads(writer.encode(items))
    assert batch["ReturnConsumedCapacity"] == "INDEXES"
    assert [s["Parameters"][1] for s in batch["Statements"]] == [item["pk"] for item in items]
    assert [s["Parameters"][0]["N"] for s in batch["Statements"]] == [
        str(n + 1) if n % 2 else "1" for n in range(MAX_BATCH_STATEMENTS)
    ]
