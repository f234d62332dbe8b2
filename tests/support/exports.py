"""DynamoDB exports in the service's layout, made from items of a test."""

import gzip
import hashlib
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXPORT_ID = "01693685827463-2d8752fd"


def _plain(value: bytes | set[str]) -> str | list[str]:
    """A binary value or a set of boto3 in DynamoDB JSON."""
    return b64encode(value).decode() if isinstance(value, bytes) else sorted(value)


def md5(data: bytes) -> str:
    """The MD5 digest in base64, the form of manifests."""
    return b64encode(hashlib.md5(data).digest()).decode()


@dataclass
class Export:
    """Files of an export by their path below `prefix/AWSDynamoDB/`."""

    table_arn: str
    table_id: str
    incremental: bool = False
    export_id: str = EXPORT_ID
    files: dict[str, bytes] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    _items: int = 0
    _entries: list[dict[str, Any]] = field(default_factory=list)

    def add(self, lines: Sequence[dict[str, Any]]) -> None:
        """Add a data file."""
        data = gzip.compress(
            "".join(json.dumps(line, default=_plain) + "\n" for line in lines).encode(), mtime=0
        )
        folder = "data" if self.incremental else f"{self.export_id}/data"
        name = f"{folder}/file{len(self._entries)}.json.gz"
        self.files[name] = data
        self._items += len(lines)
        entry = {"itemCount": len(lines), "md5Checksum": md5(data), "etag": "x"}
        self._entries.append({**entry, "dataFileS3Key": f"some/prefix/AWSDynamoDB/{name}"})

    def seal(self) -> None:
        """Write the manifests."""
        summary = {
            "version": "2023-08-01" if self.incremental else "2020-06-30",
            "exportArn": f"{self.table_arn}/export/{self.export_id}",
            "tableArn": self.table_arn,
            "tableId": self.table_id,
            "manifestFilesS3Key": f"some/prefix/AWSDynamoDB/{self.export_id}/manifest-files.json",
            "itemCount": self._items,
            "outputFormat": "DYNAMODB_JSON",
            **({"exportType": "INCREMENTAL_EXPORT", "outputView": "NEW_IMAGE"} if self.incremental else {}),
            **self.summary,
        }
        manifests = {
            "manifest-summary": json.dumps(summary).encode(),
            "manifest-files": "".join(json.dumps(entry) + "\n" for entry in self._entries).encode(),
        }
        for name, data in manifests.items():
            self.files[f"{self.export_id}/{name}.json"] = data
            self.files[f"{self.export_id}/{name}.md5"] = md5(data).encode()

    def write(self, folder: Path) -> str:
        """Put the files below `folder`; returns the folder of the export."""
        for name, data in self.files.items():
            path = folder / "AWSDynamoDB" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return str(folder / "AWSDynamoDB" / self.export_id)

    def upload(self, client: Any, bucket: str) -> str:
        """Put the files in a bucket; returns the folder of the export."""
        for name, data in self.files.items():
            client.put_object(Bucket=bucket, Key=f"some/prefix/AWSDynamoDB/{name}", Body=data)
        return f"s3://{bucket}/some/prefix/AWSDynamoDB/{self.export_id}"


def full_export(table: dict[str, Any], items: Sequence[dict[str, Any]], files: int = 3) -> Export:
    """A full export of `items`; `table` is from DescribeTable."""
    export = Export(table["TableArn"], table["TableId"])
    for number in range(files):
        export.add([{"Item": item} for item in items[number::files]])
    export.seal()
    return export
