"""The folder of an export, in S3 or on disk: its checked manifests and the paths of its files."""

from collections.abc import AsyncIterator, Callable

from refire_async.errors import RefusedError, UsageError
from refire_async.model.table import Table
from refire_async.sources.export import (
    CHECKSUM_SUFFIXES,
    FILES,
    MAX_MANIFEST_BYTES,
    SUMMARY,
    DataFile,
    ExportSummary,
    check_manifest,
    check_summary,
    parse_files,
)


class ExportFolder:
    """One export. It never changes, so the hash of its `manifests` is its fingerprint."""

    def __init__(self, folder: str, chunks: Callable[[str], AsyncIterator[bytes]]) -> None:
        """`folder` is a path or `s3://bucket/prefix`; `chunks` reads a file by its full name."""
        self.folder = folder
        self._chunks = chunks
        self.manifests: list[bytes] = []

    async def read(self, table: Table) -> tuple[ExportSummary, list[DataFile]]:
        """Read and check the manifests.

        Raises:
            UsageError: there is no export in the folder.
            RefusedError: it is damaged, cannot be read, or is of another table.
        """
        summary = check_summary(await self._manifest(SUMMARY), table)
        return summary, parse_files(await self._manifest(FILES), summary.export_id)

    def path(self, name: str) -> str:
        """The full name of a file of the export."""
        folder = self.folder
        while name.startswith("../"):
            folder, name = folder.rpartition("/")[0], name.removeprefix("../")
        return f"{folder}/{name}"

    async def _manifest(self, name: str) -> bytes:
        data = await self._read(f"{name}.json")
        try:
            checksum = await self._read(name + CHECKSUM_SUFFIXES[0])
        except UsageError:
            checksum = await self._read(name + CHECKSUM_SUFFIXES[1])
        check_manifest(data, checksum, f"{name}.json")
        self.manifests.append(data)
        return data

    async def _read(self, name: str) -> bytes:
        data = bytearray()
        async for chunk in self._chunks(self.path(name)):
            data += chunk
            if len(data) > MAX_MANIFEST_BYTES:
                raise RefusedError(
                    f"{name} of the export is larger than 64 MB", "give the folder of an export"
                )
        return bytes(data)
