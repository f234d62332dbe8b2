"""One line of a list of keys, in any of the forms that people and programs write. Pure.

JSON: `{"pk": {"S": "a"}}` or `{"pk": "a"}` (base64 text for keys of type B), or a line of the failed-keys file that a
run leaves or the missing-keys file of a verification: `{"key": {"pk": {"S": "a"}}, "code": …, "reason": …}`.
CSV: the values of the columns that are named like the key attributes, as the table's key types read them.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from refire_async.model.keys import Key, KeySchema
from refire_async.sources.key_text import canonical_base64, canonical_number


class BadLineError(ValueError):
    """A line names no key; the text says why, to follow `line 7`."""


def parse_json_line(line: bytes, keys: KeySchema) -> Key:
    """The key on one line, its values in one canonical form. Raises BadLineError."""
    try:
        # Most lines need no more than this. It is quick, but whole numbers beyond 64 bits become floats.
        data = orjson.loads(line)
        return _key(data, keys)
    except (orjson.JSONDecodeError, BadLineError):
        return _key(_parse_exactly(line), keys)


def key_of_columns(row: Sequence[str], columns: Mapping[str, int], keys: KeySchema) -> Key:
    """The key in a row of CSV, of which `columns` tells where each key attribute stands. Raises BadLineError."""
    try:
        return _key({name: row[columns[name]] for name in keys.names}, keys)
    except IndexError:
        raise BadLineError("has too few columns") from None


def _parse_exactly(line: bytes) -> Any:
    try:
        return json.loads(line, parse_int=Decimal, parse_float=Decimal)
    except (ValueError, RecursionError, InvalidOperation):  # the last: an exponent beyond Decimal's
        raise BadLineError("is not JSON") from None


def _key(data: Any, keys: KeySchema) -> Key:
    if not isinstance(data, dict):
        raise BadLineError("is not a JSON object")
    inner = data.get("key")
    if isinstance(inner, dict) and all(name in inner for name in keys.names):
        data = inner
    key = {}
    try:
        key[keys.hash_name] = _value(data[keys.hash_name], keys.hash_type)
        if keys.range_name is not None:
            key[keys.range_name] = _value(data[keys.range_name], keys.range_type or "")
    except KeyError as error:
        raise BadLineError(f"has no {error}") from None
    return key


def _value(value: Any, kind: str) -> dict[str, str]:
    """One key attribute, plain or in DynamoDB JSON."""
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
        text.encode()
    except UnicodeEncodeError:
        raise BadLineError("has a key attribute with half of a character") from None
    except ValueError as error:
        raise BadLineError(f"has a key that cannot be: {error}") from None
    if not text:
        raise BadLineError("has a key attribute that is empty")
    return {kind: text}


def _number(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if (
        isinstance(value, str)
        and len(value) <= 38
        and value.isascii()
        and value.isdecimal()
        and value[0] != "0"
    ):
        # In its canonical form, unless it ends in zeros, which stay in plain notation as well.
        return value
    try:
        return canonical_number(value)
    except ValueError as error:
        raise BadLineError(f"has a key that cannot be: {error}") from None
