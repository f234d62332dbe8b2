"""Lists of a null table's items in files: keys as JSON lines and as CSV, and an export."""

from __future__ import annotations

import gzip
import hashlib
import random
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import orjson

from benchmarks.framework.null_backend import ARN, TABLE_ID, NullTable

EXPORT_FILES = 8
_EXPORT_ID = "01693685827463-2d8752fd"
_STEP = 7_368_787
"""A prime above any number of items that is measured: its multiples visit each number once, far apart."""

_TEXTS = 64


def numbers(table: NullTable) -> Iterator[int]:
    """The number of each item once, in an order that has nothing to do with it."""
    return (place * _STEP % table.count for place in range(table.count))


def write_json_lines(table: NullTable, path: Path) -> Path:
    """A key per line, in DynamoDB JSON. Gives `path`."""
    with path.open("wb") as file:
        file.writelines(orjson.dumps(table.key(number)) + b"\n" for number in numbers(table))
    return path


def write_packed_csv(table: NullTable, path: Path) -> Path:
    """A header and a key per line, packed with gzip. Gives `path`."""
    with gzip.open(path, "wt", compresslevel=6, newline="") as file:
        file.write(",".join(table.key(0)) + "\n")
        for number in numbers(table):
            file.write(",".join(value["S"] for value in table.key(number).values()) + "\n")
    return path


def write_export(table: NullTable, folder: Path, item_bytes: int) -> Path:
    """A full export with manifests, as the DynamoDB Developer Guide describes it; gives its folder.

    Items have about `item_bytes` bytes, of text that packs about as well as people's data.
    """
    export = folder / "AWSDynamoDB" / _EXPORT_ID
    (export / "data").mkdir(parents=True)
    texts = _texts(item_bytes - len(orjson.dumps(table.item(0))))
    entries = []
    per_file = -(-table.count // EXPORT_FILES)
    order = numbers(table)
    for place in range(EXPORT_FILES):
        name = f"file{place}.json.gz"
        items = 0
        with gzip.open(export / "data" / name, "wb", compresslevel=1) as file:
            for number, _ in zip(order, range(per_file), strict=False):
                item = {**table.item(number), "text": {"S": texts[number % _TEXTS]}}
                file.write(orjson.dumps({"Item": item}) + b"\n")
                items += 1
        entries.append(
            {
                "itemCount": items,
                "md5Checksum": _md5((export / "data" / name).read_bytes()),
                "etag": "0",
                "dataFileS3Key": f"AWSDynamoDB/{_EXPORT_ID}/data/{name}",
            }
        )
    summary = {
        "version": "2020-06-30",
        "tableArn": f"{ARN}{table.name}",
        "tableId": TABLE_ID,
        "manifestFilesS3Key": f"AWSDynamoDB/{_EXPORT_ID}/manifest-files.json",
        "itemCount": table.count,
        "outputFormat": "DYNAMODB_JSON",
    }
    manifests = {
        "manifest-summary": orjson.dumps(summary),
        "manifest-files": b"".join(orjson.dumps(entry) + b"\n" for entry in entries),
    }
    for name, data in manifests.items():
        (export / f"{name}.json").write_bytes(data)
        (export / f"{name}.md5").write_text(_md5(data))
    return export


def _texts(length: int) -> list[str]:
    """Words by chance, always the same."""
    draw = random.Random(7)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(500)]
    return [" ".join(draw.choices(words, k=length // 4 + 1))[: max(0, length)] for _ in range(_TEXTS)]


def _md5(data: bytes) -> str:
    return b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
