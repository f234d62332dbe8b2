"""Finds keys in JSON values and in CSV rows, in all common forms. Pure.

An object names a key if it has the key attributes, in DynamoDB JSON (`{"pk": {"S": "a"}}`) or plain (`{"pk": "a"}`;
base64 text for keys of type B), or if it contains such an object in one of these places:

    key                                a line of a run's failed-keys file, or of a verification's missing-keys file
    dynamodb.Keys                      a stream record
    Item, Keys                         a line of an export, full or incremental; a response of GetItem
    PutRequest.Item, DeleteRequest.Key unprocessed items of BatchWriteItem
    Key, Attributes                    a request or a response of UpdateItem and DeleteItem

Several keys are in arrays, and in the arrays of `Items` (Scan, Query, dynamodump), `Records` (a Lambda event),
`Keys`, and, by table name, of `UnprocessedItems`, `UnprocessedKeys`, `RequestItems` and `Responses` or at the top
level.

CSV: the values of the columns that are named like the key attributes, parsed by the table's key types.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from refire_async.model.keys import Key, KeySchema
from refire_async.sources.canonical import canonical_base64, canonical_number

MAX_HASH_BYTES, MAX_RANGE_BYTES = 2_048, 1_024
"""Most bytes of a hash key and of a sort key (DynamoDB Developer Guide: Quotas)."""

SEVERAL = ("Items", "Records", "Keys")
"""Members with an array of objects that name keys."""

BY_TABLE = ("UnprocessedItems", "UnprocessedKeys", "RequestItems", "Responses")
"""Members with such arrays by table name."""

_CERTAIN_PLACES = (("key",), ("dynamodb", "Keys"))
"""Places that take precedence over members named like key attributes, such as `reason` or `eventID`."""

_PLACES = (
    ("Item",),
    ("Keys",),
    ("Key",),
    ("PutRequest", "Item"),
    ("DeleteRequest", "Key"),
    ("Attributes",),
    ("dynamodb", "Keys"),
)
_MAX_DEPTH = 6
"""Most nested arrays: pages of records are one level, tables another."""

_ROUNDED = re.compile(r"-?[0-9](?:\.([0-9]+))?E\+([0-9]{2,})")
"""A number that a spreadsheet shortened because it has more digits than the cell shows."""


class BadLineError(ValueError):
    """A line names no key. The text says why, as the continuation of `line 7`."""


def keys_in_line(line: bytes, keys: KeySchema, table: str | None = None) -> Sequence[Key | BadLineError]:
    """The keys on one line in canonical form, and an error for each part that should name a key and does not.

    `table` is the table of the keys, for lines with keys by table name. Raises BadLineError if the line is not JSON.
    """
    try:
        # Fast path for most lines. It converts whole numbers beyond 64 bits to floats.
        data = orjson.loads(line)
        try:
            return (key_of(data, keys),)
        except BadLineError:
            found = [*keys_in(data, keys, table)]
        if not any(isinstance(one, BadLineError) for one in found):
            return found
    except orjson.JSONDecodeError:
        pass
    return [*keys_in(_parse_exactly(line), keys, table)]


def parse_json(line: bytes) -> Any:
    """The JSON value of a line. Raises BadLineError if it is not JSON."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return _parse_exactly(line)


def keys_in(
    data: Any, keys: KeySchema, table: str | None = None, depth: int = 0
) -> Iterator[Key | BadLineError]:
    """The keys in a JSON value, and an error for each part that should name a key and does not."""
    try:
        key = key_of(data, keys)
    except BadLineError as error:
        try:
            several = _several(data, keys, table) if depth < _MAX_DEPTH else None
        except BadLineError as worse:
            yield worse
            return
        if several is None:
            yield error
            return
        for element in several:
            yield from keys_in(element, keys, table, depth + 1)
    else:
        yield key


def key_of(data: Any, keys: KeySchema) -> Key:
    """The key that an object names, in canonical form. Raises BadLineError."""
    if not isinstance(data, dict):
        raise BadLineError("is not a JSON object")
    for path in _CERTAIN_PLACES:
        inner = _at(data, path, keys)
        if inner is not None:
            return _key(inner, keys)
    refused = None
    if all(name in data for name in keys.names):
        try:
            return _key(data, keys)
        except BadLineError as error:
            refused = error
    for path in _PLACES:
        inner = _at(data, path, keys)
        if inner is not None:
            return _key(inner, keys)
    if refused is not None:
        raise refused
    return _key(_in_case_of(data, keys), keys)


def key_of_columns(row: Sequence[str], columns: Mapping[str, int], keys: KeySchema) -> Key:
    """The key in a row of CSV, with the positions of the key attributes in `columns`. Raises BadLineError."""
    try:
        values = {name: row[columns[name]] for name in keys.names}
    except IndexError:
        raise BadLineError("has too few columns") from None
    for value in values.values():
        rounded = _ROUNDED.fullmatch(value)
        if rounded is not None and int(rounded[2]) > max(10, len(rounded[1] or "")):
            raise BadLineError(
                "has a number that a spreadsheet has shortened (as 1.2E+11): its digits are lost"
            )
    return _key(values, keys)


def check_key(key: Key, keys: KeySchema) -> None:
    """Refuse an invalid key in DynamoDB JSON. Raises BadLineError."""
    _key(key, keys)


def columns_of(names: Sequence[str], keys: KeySchema) -> dict[str, int] | None:
    """The position of each key attribute in `names`, exact or except for case; None if that is ambiguous."""
    for spell in (str, str.casefold):
        spelled = [spell(name) for name in names]
        wanted = [spell(name) for name in keys.names]
        if len({*wanted}) == len(wanted) and all(spelled.count(name) == 1 for name in wanted):
            return {name: spelled.index(spell(name)) for name in keys.names}
    return None


def _several(data: Any, keys: KeySchema, table: str | None) -> Sequence[Any] | None:
    """The elements of `data`, each of which should name keys; None if it has no elements.

    Raises BadLineError.
    """
    if isinstance(data, list):
        if keys.range_name is None and data and not any(isinstance(one, dict | list) for one in data):
            return [{keys.hash_name: value} for value in data]
        return data
    if not isinstance(data, dict):
        return None
    if data and all(map(_are_requests, data.values())):
        return _of_table(data, table)
    parts = [data[name] for name in (*SEVERAL, *BY_TABLE) if isinstance(data.get(name), list)]
    parts += [_of_table(data[name], table) for name in BY_TABLE if isinstance(data.get(name), dict)]
    return [element for part in parts for element in part] if parts else None


def _are_requests(value: Any) -> bool:
    """Whether it is the part of a BatchWriteItem or BatchGetItem request for one table."""
    if isinstance(value, dict):
        return isinstance(value.get("Keys"), list)
    return isinstance(value, list) and all(
        isinstance(one, dict) and ("PutRequest" in one or "DeleteRequest" in one) for one in value
    )


def _of_table(by_table: dict[str, Any], table: str | None) -> Sequence[Any]:
    """The part for `table`, or for the only table."""
    if table in by_table:
        found = by_table[table]
    elif len(by_table) <= 1:
        found = next(iter(by_table.values()), [])
    else:
        raise BadLineError(f"names keys of {len(by_table)} tables, none of them {table}")
    if isinstance(found, dict):
        found = found.get("Keys")
    if not isinstance(found, list):
        raise BadLineError("has no list of keys for the table")
    return found


def _at(data: dict[str, Any], path: Sequence[str], keys: KeySchema) -> dict[str, Any] | None:
    """The object at `path` of `data` if it has all key attributes, else None."""
    inner: Any = data
    for name in path:
        inner = inner.get(name) if isinstance(inner, dict) else None
    return inner if isinstance(inner, dict) and all(name in inner for name in keys.names) else None


def _in_case_of(data: dict[str, Any], keys: KeySchema) -> dict[str, Any]:
    """`data` with the names of the key attributes, if its members differ from them only in case."""
    names = [*data]
    columns = columns_of(names, keys)
    return data if columns is None else {name: data[names[place]] for name, place in columns.items()}


def _parse_exactly(line: bytes) -> Any:
    try:
        return json.loads(line, parse_int=Decimal, parse_float=Decimal)
    except (
        ValueError,
        RecursionError,
        InvalidOperation,
    ):  # InvalidOperation: an exponent beyond the range of Decimal
        raise BadLineError("is not JSON") from None


def _key(data: Mapping[str, Any], keys: KeySchema) -> Key:
    key = {}
    try:
        key[keys.hash_name] = _value(data[keys.hash_name], keys.hash_type, MAX_HASH_BYTES)
        if keys.range_name is not None:
            key[keys.range_name] = _value(data[keys.range_name], keys.range_type or "", MAX_RANGE_BYTES)
    except KeyError as error:
        raise BadLineError(f"has no {error}") from None
    return key


def _value(value: Any, kind: str, most: int) -> dict[str, str]:
    """One key attribute of at most `most` bytes, plain or in DynamoDB JSON."""
    if isinstance(value, dict):
        if list(value) != [kind] or not isinstance(value[kind], str):
            raise BadLineError(f"has a key attribute that is not of type {kind}")
        value = value[kind]
    if kind == "N":
        return {"N": _number(value)}
    if not isinstance(value, str):
        raise BadLineError(f"has a key attribute that is not of type {kind}")
    try:
        text = canonical_base64(value) if kind == "B" else value
        size = len(text.encode()) if kind == "S" else len(text) // 4 * 3 - text[-2:].count("=")
    except UnicodeEncodeError:
        raise BadLineError("has a key attribute with an unpaired surrogate") from None
    except ValueError as error:
        raise BadLineError(f"has an invalid key: {error}") from None
    if not text:
        raise BadLineError("has an empty key attribute")
    if size > most:
        part = "hash" if most == MAX_HASH_BYTES else "sort"
        raise BadLineError(f"has a {part} key of {size:,} bytes, more than the maximum of {most:,}")
    return {kind: text}


def _number(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and -(10**38) < value < 10**38:
        return str(value)
    if (
        isinstance(value, str)
        and len(value) <= 38
        and value.isascii()
        and value.isdecimal()
        and value[0] != "0"
    ):
        # This is the canonical form; zeros at the end remain in plain notation.
        return value
    try:
        return canonical_number(Decimal(value) if type(value) is int else value)
    except ValueError as error:
        raise BadLineError(f"has an invalid key: {error}") from None
