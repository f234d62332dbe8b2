"""The tables that probes share: one of each kind, small, made when a probe of the chosen ones needs it."""

from typing import Any

PK = "refire_probe"
"""The hash key of every table. Where a server has no tags, its name marks a table as made by the probes."""

SK = "sk"

_BOTH_IMAGES = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


def _schema(hash_name: str, range_name: str | None = None) -> list[dict[str, str]]:
    ranges = [{"AttributeName": range_name, "KeyType": "RANGE"}] if range_name else []
    return [{"AttributeName": hash_name, "KeyType": "HASH"}, *ranges]


def _types(**types: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def _index(name: str, schema: list[dict[str, str]], projection: str, *included: str) -> dict[str, Any]:
    members: dict[str, Any] = {"ProjectionType": projection}
    if included:
        members["NonKeyAttributes"] = list(included)
    return {"IndexName": name, "KeySchema": schema, "Projection": members}


def _units(number: int) -> dict[str, int]:
    return {"ReadCapacityUnits": number, "WriteCapacityUnits": number}


def _simple() -> dict[str, Any]:
    return {
        "KeySchema": _schema(PK),
        "AttributeDefinitions": _types(**{PK: "S"}),
        "BillingMode": "PAY_PER_REQUEST",
    }


def _sorted() -> dict[str, Any]:
    return _simple() | {
        "KeySchema": _schema(PK, SK),
        "AttributeDefinitions": _types(**{PK: "S", SK: "N"}),
    }


def _indexed() -> dict[str, Any]:
    types = _types(**{PK: "S", SK: "N", "g": "S", "k": "S", "l": "N"})
    return _sorted() | {
        "AttributeDefinitions": types,
        "GlobalSecondaryIndexes": [
            _index("whole", _schema("g", SK), "ALL"),
            _index("keys", _schema("k"), "KEYS_ONLY"),
            _index("some", _schema("g"), "INCLUDE", "included"),
        ],
        "LocalSecondaryIndexes": [_index("local", _schema(PK, "l"), "INCLUDE", "included")],
        "StreamSpecification": _BOTH_IMAGES,
    }


def _multi() -> dict[str, Any]:
    four = [
        {"AttributeName": name, "KeyType": kind}
        for name, kind in (("h1", "HASH"), ("h2", "HASH"), ("r1", "RANGE"), ("r2", "RANGE"))
    ]
    return _simple() | {
        "AttributeDefinitions": _types(**{PK: "S", "h1": "S", "h2": "N", "r1": "S", "r2": "N"}),
        "GlobalSecondaryIndexes": [_index("multi", four, "ALL")],
    }


def _slow_index() -> dict[str, Any]:
    slow = _index("slow", _schema("g"), "ALL") | {"ProvisionedThroughput": _units(1)}
    return {
        "KeySchema": _schema(PK),
        "AttributeDefinitions": _types(**{PK: "S", "g": "S"}),
        "ProvisionedThroughput": _units(20),
        "GlobalSecondaryIndexes": [slow],
    }


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "simple": ("on demand, stream of both images", _simple() | {"StreamSpecification": _BOTH_IMAGES}),
    "sorted": ("on demand, with a sort key; its time to live is set", _sorted()),
    "indexed": ("on demand, three global indexes and a local one, stream of both images", _indexed()),
    "scanned": ("on demand, with a sort key; 60 small items that only scans read", _sorted()),
    "keys-stream": (
        "on demand, stream of keys only",
        _simple() | {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}},
    ),
    "multi": ("on demand, an index with two hash and two sort attributes", _multi()),
    "changing": (
        "on demand; its stream is switched off and on, and it is made again",
        _simple() | {"StreamSpecification": _BOTH_IMAGES},
    ),
    "slow": (
        "provisioned: 1 read and 1 write unit, until it throttles",
        {
            "KeySchema": _schema(PK),
            "AttributeDefinitions": _types(**{PK: "S"}),
            "ProvisionedThroughput": _units(1),
        },
    ),
    "slow-index": ("provisioned: 20 units, its index 1, until that throttles", _slow_index()),
    "capped": (
        "on demand, 1 read and 1 write request unit at the most, until it throttles",
        _simple() | {"OnDemandThroughput": {"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 1}},
    ),
}
"""Kind of table: what it is in words, and the parameters of CreateTable without the name."""

PROVISIONED_UNITS = {"slow": 2, "slow-index": 42}
"""Units that tables of a kind hold, reads counted as writes."""
