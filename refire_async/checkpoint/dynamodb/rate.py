"""The operator's rate of a run in a checkpoint table, which its tasks follow."""

from refire_async.checkpoint.dynamodb.places import RATE
from refire_async.checkpoint.dynamodb.table import DAMAGED, CheckpointTable, from_text, text
from refire_async.checkpoint.shapes import conforms
from refire_async.model.operator_rate import OperatorRate


async def read_rate(table: CheckpointTable, run_id: str) -> OperatorRate | None:
    """The rate; None if none was ever set. Raises CheckpointRefusedError if it is damaged."""
    fields = await table.get(run_id, RATE)
    if fields is None:
        return None
    try:
        found = OperatorRate(**from_text(fields, "data"))
    except DAMAGED as error:
        raise table.damaged(run_id, error) from error
    if not conforms(found, OperatorRate):
        raise table.damaged(run_id, "its rate has a value of the wrong type")
    return found


async def save_rate(table: CheckpointTable, run_id: str, rate: OperatorRate) -> None:
    """Set the rate. Raises RefireError."""
    data = {"rate": rate.rate, "paused": rate.paused, "by": rate.by, "at": rate.at}
    await table.put(run_id, RATE, {"data": text(data)})
