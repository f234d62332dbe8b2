"""The folder of an export, in S3 or on disk: its manifests, held against their checksums, and where its files are."""

from collections.abc import AsyncIterator, Callable

from refire_async.errors import RefusedError, UsageError
from refire_async.model.table import Table
from refire_async.sources.export import (
    CHECKSUM_ENDS,
    FILES,
    LARGEST_MANIFEST,
    SUMMARY,
    DataFile,
    ExportSummary,
    check_manifest,
    check_summary,
    parse_files,
)


class ExportFolder:
    """One export. Its content does not change, so `manifests` are fingerprint enough."""

    def __init__(self, folder: str, pieces: Callable[[str], AsyncIterator[bytes]]) -> None:
        """`folder` is a path or `s3://bucket/prefix`; `pieces` reads a file by its full name."""
        self.folder = folder
        self._pieces = pieces
        self.manifests: list[bytes] = []

    async def read(self, table: Table) -> tuple[ExportSummary, list[DataFile]]:
        """What the manifests say.

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
            checksum = await self._read(name + CHECKSUM_ENDS[0])
        except UsageError:
            checksum = await self._read(name + CHECKSUM_ENDS[1])
        check_manifest(data, checksum, f"{name}.json")
        self.manifests.append(data)
        return data

    async def _read(self, name: str) -> bytes:
        data = bytearray()
        async for piece in self._pieces(self.path(name)):
            data += piece
            if len(data) > LARGEST_MANIFEST:
                raise RefusedError(
                    f"{name} of the export is larger than 64 MB", "give the folder of an export"
                )
        return bytes(data)
