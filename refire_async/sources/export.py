"""DynamoDB exports to S3, full and incremental, in DynamoDB JSON: manifests, and the lines of data files. No I/O.

Layout and members as in the DynamoDB Developer Guide: DynamoDB table export output format.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from refire_async.errors import RefusedError, UsageError
from refire_async.model.keys import Item, Key, KeySchema
from refire_async.model.table import Table
from refire_async.sources.key_lines import BadLineError, check_key
from refire_async.sources.lines import Lines
from refire_async.sources.unpacking import Unpacker

SUMMARY, FILES = "manifest-summary", "manifest-files"
CHECKSUM_SUFFIXES = (".md5", ".checksum")
"""Suffixes of the files with a manifest's MD5: exports have the first, the documentation names the second."""

MAX_MANIFEST_BYTES = 64 << 20
"""A manifest has about 300 bytes per data file."""

_TAKE_AGAIN = "copy the export again, or create a new one"


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of an export. `name` is relative to the export's folder, `md5` in base64."""

    name: str
    md5: str
    items: int


def check_manifest(data: bytes, checksum: bytes, name: str) -> None:
    """Compare a manifest with the MD5 (base64 or hex) in the file beside it. Raises RefusedError."""
    digest = hashlib.md5(data, usedforsecurity=False)
    if checksum.decode(errors="replace").strip() not in (
        b64encode(digest.digest()).decode(),
        digest.hexdigest(),
    ):
        raise RefusedError(f"{name} of the export does not match its MD5", _TAKE_AGAIN)


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export is of: the changes of [`start`, `end`) (seconds since the epoch), or all items at `start`.

    `start` and `end` are equal for a full export, and None if the manifest does not say them. `old_images`: changes
    are with both images.
    """

    export_id: str
    incremental: bool
    start: float | None
    end: float | None
    old_images: bool
    items: int


def check_summary(data: bytes, table: Table) -> ExportSummary:
    """Refuse an export that is not one of `table` or cannot be read. Raises RefusedError."""
    summary = _object(data, SUMMARY)
    if summary.get("outputFormat") != "DYNAMODB_JSON":
        raise RefusedError(
            f"the export is in the format {summary.get('outputFormat')}", "create one in DynamoDB JSON"
        )
    if summary.get("tableArn") != table.arn:
        raise RefusedError(
            f"the export is of {summary.get('tableArn')}, not of {table.arn}", "give one of this table"
        )
    if summary.get("tableId") not in (None, table.table_id):
        raise RefusedError(
            f"the export is of an earlier table {table.name} (another TableId)",
            "create one of the present table",
        )
    incremental = summary.get("exportType") == "INCREMENTAL_EXPORT"
    begin, end = ("exportFromTime", "exportToTime") if incremental else ("exportTime", "exportTime")
    items = summary.get("itemCount")
    return ExportSummary(
        export_id=str(summary.get("manifestFilesS3Key", "")).split("/")[-2:][0],
        incremental=incremental,
        start=_time(summary.get(begin)),
        end=_time(summary.get(end)),
        old_images=summary.get("outputView") == "NEW_AND_OLD_IMAGES",
        items=items if isinstance(items, int) else 0,
    )


def _time(value: Any) -> float | None:
    """Seconds since the epoch of a time as manifests write it (ISO 8601, or a number)."""
    if isinstance(value, int | float):
        return float(value)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def parse_files(data: bytes, export_id: str) -> list[DataFile]:
    """The data files that the manifest lists. Raises RefusedError."""
    files = []
    for line in data.splitlines():
        entry = _object(line, FILES)
        try:
            *_, folder, parent, name = ["", "", *str(entry["dataFileS3Key"]).split("/")]
            # The data of an incremental export are in a folder that it shares with others.
            below = "data" if folder == export_id else "../data"
            files.append(DataFile(f"{below}/{name}", str(entry["md5Checksum"]), int(entry["itemCount"])))
        except (KeyError, ValueError):
            raise RefusedError(f"{FILES}.json of the export is not understood", _TAKE_AGAIN) from None
        if parent != "data" or not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            raise RefusedError(f"{FILES}.json names no data file: {name[:60]!r}", _TAKE_AGAIN)
    return files


class ExportLines:
    """Lines of one data file, held against what the manifest says of it. `items` counts them."""

    def __init__(self, file: DataFile) -> None:
        self._file = file
        self._unpacker = Unpacker(file.name)
        self._splitter = Lines(file.name)
        self._digest = hashlib.md5(usedforsecurity=False)
        self.items = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Lines that `chunk` completes. Raises UsageError or RefusedError for a damaged file."""
        self._digest.update(chunk)
        for plain in self._unpacker.feed(chunk):
            yield from self._counted(self._splitter.feed(plain))

    def finish(self) -> Iterator[bytes]:
        """The last lines. Raises RefusedError if the file does not match the manifest."""
        if b64encode(self._digest.digest()).decode() != self._file.md5:
            raise RefusedError(f"{self._file.name} of the export does not match its MD5", _TAKE_AGAIN)
        for plain in self._unpacker.finish():
            yield from self._counted(self._splitter.feed(plain))
        yield from self._counted(self._splitter.finish())
        if self.items != self._file.items:
            raise RefusedError(
                f"{self._file.name} of the export holds {self.items:,} items, not {self._file.items:,}",
                _TAKE_AGAIN,
            )

    def bad(self, why: str) -> UsageError:
        """What to raise for the latest line."""
        return UsageError(f"{self._file.name} item {self.items:,} of the export {why}", _TAKE_AGAIN)

    def _counted(self, lines: list[bytes]) -> Iterator[bytes]:
        for line in lines:
            if line and not line.isspace():
                self.items += 1
                yield line


class ExportDecoder:
    """Decodes the items of one data file: their keys, and those of `attributes` that they have.

    The lines of an incremental export have the new image, or only a key if the item was deleted in its time window.
    """

    def __init__(self, file: DataFile, keys: KeySchema, attributes: Sequence[str]) -> None:
        self._lines = ExportLines(file)
        self._keys = keys
        self._attributes = attributes

    def feed(self, chunk: bytes) -> Iterator[tuple[Key, Item]]:
        """The items that `chunk` completes. Raises UsageError or RefusedError for a damaged file."""
        return self._decode(self._lines.feed(chunk))

    def finish(self) -> Iterator[tuple[Key, Item]]:
        """The last items. Raises RefusedError if the file does not match the manifest."""
        return self._decode(self._lines.finish())

    def _decode(self, lines: Iterator[bytes]) -> Iterator[tuple[Key, Item]]:
        key_of, attributes = self._keys.key_of, self._attributes
        for line in lines:
            try:
                data = orjson.loads(line)
                image = data.get("Item")
                if image is None:
                    image = {**data["Keys"], **data.get("NewImage", {})}
                key = key_of(image)
                check_key(key, self._keys)
                yield key, {name: image[name] for name in attributes if name in image}
            except BadLineError as error:
                raise self._lines.bad(str(error)) from None
            except (ValueError, KeyError, TypeError, AttributeError):
                raise self._lines.bad("is not understood") from None


def _object(data: bytes, name: str) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise RefusedError(f"{name}.json of the export is not JSON", _TAKE_AGAIN)
    return found
