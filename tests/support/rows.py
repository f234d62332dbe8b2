"""Items to fill tables with."""

from tests.support.tables import Item


def composite_rows(count: int, *, collections: int = 97) -> list[Item]:
    """Items of a (`pk` S, `sk` N) table with several hash keys and other attributes."""
    return [
        {
            "pk": {"S": f"customer-{n % collections}"},
            "sk": {"N": str(n)},
            "total": {"N": f"{n}.25"},
            "note": {"S": f"żółw {n} " + "x" * (n % 200)},
            "raw": {"B": n.to_bytes(4, "big")},
        }
        for n in range(count)
    ]


def hash_rows(count: int, prefix: str = "item") -> list[Item]:
    """Items of a (`pk` S) table."""
    return [{"pk": {"S": f"{prefix}-{n}"}, "payload": {"S": f"payload {n}"}} for n in range(count)]


EVERY_TYPE: Item = {
    "text": {"S": "zażółć gęślą jaźń \U0001f40e \u0000 end"},
    "empty text": {"S": ""},
    "number": {"N": "-0.00000000000000000000000000000000000000000000012345678901234567890123456789012345678"},
    "binary": {"B": bytes(range(256))},
    "empty binary": {"B": b""},
    "yes": {"BOOL": True},
    "nothing": {"NULL": True},
    "texts": {"SS": ["b", "a", "ä"]},
    "numbers": {"NS": ["1", "-2.5", "300000000000000000000"]},
    "binaries": {"BS": [b"\x00", b"\xff\xfe"]},
    "list": {"L": [{"N": "1"}, {"L": []}, {"M": {}}, {"S": "x"}]},
    "map": {"M": {"inner": {"M": {"revision": {"N": "5"}}}, "dotted.name": {"NULL": True}}},
}
"""Attributes of every DynamoDB type, with unusual values."""
