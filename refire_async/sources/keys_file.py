"""Keys from a file of JSON lines: one key a line, in DynamoDB JSON or plain values.

The failed-keys file that a run leaves is such a file: `{"key": {"pk": {"S": "a"}}, "code": …, "reason": …}`.
The key may also stand alone: `{"pk": {"S": "a"}}` or `{"pk": "a"}` (base64 text for keys of type B).
"""

import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from anyio import to_thread

from refire_async.errors import UsageError
from refire_async.model.keys import Cursor, Item, Key, KeySchema, identity
from refire_async.sources.base import SourcePage

LONGEST_LINE = 1 << 20
"""Bytes; a key has at most 3 KB, a failed-keys line a reason beside it."""


class KeysFileSource:
    """The keys of a file, in order, as one segment. The position is a byte offset with its line number."""

    total_segments = 1
    carries_marker = False
    may_repeat = True

    def __init__(self, path: Path, keys: KeySchema) -> None:
        self._path = path
        self._keys = keys

    async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
        """See `Source.read`. Reading is done in a worker thread. Raises UsageError for a line that is no key."""
        del segment  # there is only one
        return await to_thread.run_sync(self._read, cursor, limit)

    def _read(self, cursor: Cursor | None, limit: int) -> SourcePage:
        offset, line_number = (cursor["offset"], cursor["line"]) if cursor else (0, 0)
        found: dict[tuple[Any, ...], Item] = {}
        taken = 0
        try:
            with self._path.open("rb") as file:
                file.seek(offset)
                while taken < limit and (line := file.readline(LONGEST_LINE)):
                    line_number += 1
                    if not line.strip():
                        continue
                    key = parse_key(line, self._keys, f"{self._path.name} line {line_number}")
                    found[identity(self._keys.names, key)] = key
                    taken += 1
                ended = not file.read(1)
                position = {"offset": file.tell() - (0 if ended else 1), "line": line_number}
        except OSError as error:
            raise UsageError(
                f"keys file {self._path} cannot be read: {error.strerror}", "check its name"
            ) from None
        return SourcePage(list(found.values()), None if ended else position, 0.0, None, taken - len(found))


def parse_key(line: bytes, keys: KeySchema, where: str) -> Key:
    """The key on one line, its numbers in one canonical form. Raises UsageError naming `where`."""
    try:
        data = json.loads(line, parse_int=Decimal, parse_float=Decimal)
    except ValueError:
        raise UsageError(f"{where} is not JSON", "give one JSON object per line") from None
    if isinstance(data, dict) and isinstance(data.get("key"), dict) and not set(keys.names) <= set(data):
        data = data["key"]
    if not isinstance(data, dict):
        raise UsageError(f"{where} is not a JSON object", "give one key per line, by attribute name")
    types = (keys.hash_type, keys.range_type)
    try:
        return {name: _value(data[name], kind or "") for name, kind in zip(keys.names, types, strict=False)}
    except KeyError as error:
        raise UsageError(
            f"{where} has no {error}", f"give the key attributes {', '.join(keys.names)}"
        ) from None
    except ValueError as error:
        raise UsageError(f"{where}: {error}", "give the key as the table's key types ask for") from None


def _value(value: Any, kind: str) -> dict[str, Any]:
    if isinstance(value, dict):
        if list(value) != [kind] or not isinstance(value[kind], str):
            raise ValueError(f"a key attribute is not of type {kind}")
        value = value[kind]
    if kind == "N":
        try:
            return {"N": _canonical(Decimal(value))}
        except (InvalidOperation, TypeError):
            raise ValueError("a key attribute is not a number") from None
    if not isinstance(value, str):
        raise ValueError(f"a key attribute is not of type {kind}")  # noqa: TRY004 - bad data, not a bad call
    return {kind: value}


def _canonical(number: Decimal) -> str:
    if not number.is_finite():
        raise ValueError("a key attribute is not a finite number")
    return "0" if number == 0 else format(number.normalize(), "f")
