"""DynamoDB exports to S3, full and incremental, in DynamoDB JSON: manifests, and the lines of data files. No I/O.

Layout and members as in the DynamoDB Developer Guide: DynamoDB table export output format.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from refire_async.errors import RefusedError, UsageError
from refire_async.model.keys import Item, Key, KeySchema
from refire_async.model.table import Table
from refire_async.sources.key_lines import BadLineError, check_key
from refire_async.sources.lines import Lines
from refire_async.sources.unpacking import Unpacker

SUMMARY, FILES = "manifest-summary", "manifest-files"
CHECKSUM_ENDS = (".md5", ".checksum")
"""How the files with a manifest's MD5 end: exports have the first, the documentation says the second."""

LARGEST_MANIFEST = 64 << 20
"""Bytes; some 300 for each data file."""

_TAKE_AGAIN = "copy the export again, or make a new one"


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of an export. `name` is relative to the export's folder, `md5` in base64."""

    name: str
    md5: str
    items: int


def check_manifest(data: bytes, checksum: bytes, name: str) -> None:
    """Hold a manifest against the MD5 (base64 or hex) that lies beside it. Raises RefusedError."""
    digest = hashlib.md5(data, usedforsecurity=False)
    if checksum.decode(errors="replace").strip() not in (
        b64encode(digest.digest()).decode(),
        digest.hexdigest(),
    ):
        raise RefusedError(f"{name} of the export does not match its MD5", _TAKE_AGAIN)


def check_summary(data: bytes, table: Table) -> str:
    """Refuse an export that is not one of `table` or cannot be read. Gives the export's id.

    Raises RefusedError.
    """
    summary = _object(data, SUMMARY)
    if summary.get("outputFormat") != "DYNAMODB_JSON":
        raise RefusedError(
            f"the export is in the format {summary.get('outputFormat')}", "make one in DynamoDB JSON"
        )
    if summary.get("tableArn") != table.arn:
        raise RefusedError(
            f"the export is of {summary.get('tableArn')}, not of {table.arn}", "give one of this table"
        )
    if summary.get("tableId") not in (None, table.table_id):
        raise RefusedError(
            f"the export is of an earlier table {table.name} (another TableId)",
            "make one of the table that is there now",
        )
    return str(summary.get("manifestFilesS3Key", "")).split("/")[-2:][0]


def parse_files(data: bytes, export_id: str) -> list[DataFile]:
    """The data files that the manifest lists. Raises RefusedError."""
    files = []
    for line in data.splitlines():
        entry = _object(line, FILES)
        try:
            *_, folder, parent, name = ["", "", *str(entry["dataFileS3Key"]).split("/")]
            # An incremental export's data lie in a folder that it shares with others.
            below = "data" if folder == export_id else "../data"
            files.append(DataFile(f"{below}/{name}", str(entry["md5Checksum"]), int(entry["itemCount"])))
        except (KeyError, ValueError):
            raise RefusedError(f"{FILES}.json of the export is not understood", _TAKE_AGAIN) from None
        if parent != "data" or not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            raise RefusedError(f"{FILES}.json names no data file: {name[:60]!r}", _TAKE_AGAIN)
    return files


class ExportDecoder:
    """Items of one data file: their keys, and those of `attributes` that they have.

    Of an incremental export's line that is the new image; what was deleted in its window has none, only a key.
    """

    def __init__(self, file: DataFile, keys: KeySchema, attributes: Sequence[str]) -> None:
        self._file = file
        self._keys = keys
        self._attributes = attributes
        self._unpacker = Unpacker(file.name)
        self._splitter = Lines(file.name)
        self._digest = hashlib.md5(usedforsecurity=False)
        self._items = 0

    def feed(self, piece: bytes) -> Iterator[tuple[Key, Item]]:
        """Items that `piece` completes. Raises UsageError or RefusedError for a damaged file."""
        self._digest.update(piece)
        for plain in self._unpacker.feed(piece):
            yield from self._decode(self._splitter.feed(plain))

    def finish(self) -> Iterator[tuple[Key, Item]]:
        """The last items. Raises RefusedError if the file is not what the manifest says."""
        if b64encode(self._digest.digest()).decode() != self._file.md5:
            raise RefusedError(f"{self._file.name} of the export does not match its MD5", _TAKE_AGAIN)
        for plain in self._unpacker.finish():
            yield from self._decode(self._splitter.feed(plain))
        yield from self._decode(self._splitter.finish())
        if self._items != self._file.items:
            raise RefusedError(
                f"{self._file.name} of the export holds {self._items:,} items, not {self._file.items:,}",
                _TAKE_AGAIN,
            )

    def _decode(self, lines: list[bytes]) -> Iterator[tuple[Key, Item]]:
        key_of, attributes = self._keys.key_of, self._attributes
        for line in lines:
            if not line or line.isspace():
                continue
            self._items += 1
            try:
                data = orjson.loads(line)
                image = data.get("Item")
                if image is None:
                    image = {**data["Keys"], **data.get("NewImage", {})}
                key = key_of(image)
                check_key(key, self._keys)
                yield key, {name: image[name] for name in attributes if name in image}
            except BadLineError as error:
                raise UsageError(
                    f"{self._file.name} item {self._items:,} of the export {error}", _TAKE_AGAIN
                ) from None
            except (ValueError, KeyError, TypeError, AttributeError):
                raise UsageError(
                    f"{self._file.name} item {self._items:,} of the export is not understood", _TAKE_AGAIN
                ) from None


def _object(data: bytes, name: str) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise RefusedError(f"{name}.json of the export is not JSON", _TAKE_AGAIN)
    return found
