"""The selection of `refire run` (hash keys, sort key condition, filter, sample), applied to records.

`--where` and `--filter` are DynamoDB's filter expressions. They are evaluated here as the service would evaluate them
over the item that the record shows: its new image, else the old one, else no more than the key. The evaluator is that
of the sandbox, which is tested against DynamoDB Local.
"""

from collections.abc import Callable
from typing import TypeAlias

import orjson

from refire_async.delivery.record import EventRecord
from refire_async.delivery.selection import Condition
from refire_async.errors import UsageError
from refire_async.model.keys import AttributeValue, Item, KeySchema
from refire_async.model.selection import Selection
from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.expressions import Placeholders, compile_condition
from refire_async.sandbox.values import validate_value
from refire_async.sources.sample import Sample
from refire_async.sources.sort_key import sort_key_conditions

_Test: TypeAlias = Callable[[Item], bool]


def record_condition(selection: Selection, keys: KeySchema) -> Condition | None:
    """What the selection asks of a record of a table with these keys; None if every record will do.

    A keys file is no part of it: see key_files.py. Raises UsageError.
    """
    if selection.index is not None:
        raise UsageError(
            "--index chooses items of a table, not records", "leave it out, and name keys with --where"
        )
    tests: list[_Test] = []
    needed = frozenset[str]()
    if selection.key_name is not None:
        tests.append(_hash_test(selection))
    if selection.sort_key_condition is not None:
        part, names, values = sort_key_conditions(selection.sort_key_condition, keys.ranges, "#sk", ":")
        tests.append(_expression_test(part, names, values)[0])
    if selection.sample is not None:
        tests.append(Sample(keys, selection.sample).takes)
    if selection.filter is not None:
        test, needed = _expression_test(selection.filter, dict(selection.names), dict(selection.values))
        tests.append(test)
    if not tests:
        return None
    item_of = _key_of if needed <= set(keys.names) else _item_of

    def condition(record: EventRecord) -> bool:
        item = item_of(record)
        return all(test(item) for test in tests)

    return condition


def attributes_of(selection: Selection) -> frozenset[str]:
    """The attributes that the selection's filter looks at. Raises UsageError."""
    if selection.filter is None:
        return frozenset()
    return _expression_test(selection.filter, dict(selection.names), dict(selection.values))[1]


def _key_of(record: EventRecord) -> Item:
    item: Item = orjson.loads(record.key)
    return item


def _item_of(record: EventRecord) -> Item:
    """The item that the record shows."""
    change = orjson.loads(record.body)["dynamodb"]
    image: Item = change.get("NewImage") or change.get("OldImage") or {}
    return image | _key_of(record)


def _hash_test(selection: Selection) -> _Test:
    names = selection.hash_names
    wanted = {
        tuple(_scalar(value) for value in selection.hash_key(segment).values())
        for segment in range(len(selection.key_values))
    }
    return lambda item: tuple(_scalar(item[name]) for name in names) in wanted


def _scalar(value: AttributeValue) -> tuple[str, str]:
    ((kind, text),) = validate_value(value).items()
    return kind, text


def _expression_test(
    text: str, names: dict[str, str], values: dict[str, AttributeValue]
) -> tuple[_Test, frozenset[str]]:
    """A test of an item, and the attributes that it looks at. Raises UsageError."""
    try:
        placeholders = Placeholders(names or None, values or None)
        condition = compile_condition(text, placeholders, "FilterExpression")
        placeholders.check_all_used()
    except ServiceError as error:
        raise UsageError(
            f"the filter is not one that DynamoDB takes: {error.message}", "see --where"
        ) from None
    attributes = condition.attributes

    def test(item: Item) -> bool:
        seen = {name: validate_value(item[name]) for name in attributes if name in item}
        return condition.matches(seen)

    return test, attributes
