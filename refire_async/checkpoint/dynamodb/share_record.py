"""The record of the shares of a run's budget, as an item of its checkpoint table."""

from refire_async.checkpoint.dynamodb.places import BUDGET
from refire_async.checkpoint.dynamodb.table import CheckpointTable, Condition, number


class TableRecord:
    """See `refire_async.pacing.share_lease.SharedRecord`. Raises RefireError as the table does."""

    def __init__(self, table: CheckpointTable, run_id: str) -> None:
        self._table = table
        self._run_id = run_id

    async def read(self) -> tuple[int, bytes]:
        """See `SharedRecord.read`."""
        fields = await self._table.get(self._run_id, BUDGET)
        return (0, b"") if fields is None else (int(fields["changes"]["N"]), fields["shares"]["S"].encode())

    async def replace(self, version: int, content: bytes) -> bool:
        """See `SharedRecord.replace`. A write whose answer was lost counts as one that was not made."""
        fields = {"changes": number(version + 1), "shares": {"S": content.decode()}}
        condition = (
            Condition("changes = :version", {":version": number(version)})
            if version
            else Condition("attribute_not_exists(id)", {})
        )
        return await self._table.put(self._run_id, BUDGET, fields, condition)
