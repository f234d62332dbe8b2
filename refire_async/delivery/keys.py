"""The canonical form of a primary key: equal keys have equal bytes, different keys have different ones. Pure."""

from collections.abc import Mapping
from typing import Any

import orjson

from refire_async.sources.canonical import canonical


def canonical_key(keys: Mapping[str, Any]) -> bytes:
    """The `Keys` of a record as compact JSON, attributes by name, numbers and base64 in their canonical text.

    Raises ValueError if it is not a key in DynamoDB JSON.
    """
    found = {}
    for name in sorted(keys, key=str.encode):
        value = keys[name]
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(f"key attribute {name} is not a value in DynamoDB JSON")
        ((key_type, text),) = value.items()
        if key_type not in ("S", "N", "B") or not isinstance(text, str):
            raise ValueError(f"key attribute {name} is not of type S, N or B")
        found[name] = {key_type: canonical(text, key_type)}
    if not found:
        raise ValueError("a record has no key")
    return orjson.dumps(found)
