"""Create and delete a checkpoint table."""

import anyio

from refire_async.aws.errors import AwsError, Disposition
from refire_async.checkpoint.dynamodb.places import CATALOG, FORMAT, FORMAT_NAME, META, RUN
from refire_async.checkpoint.dynamodb.table import CheckpointTable, number
from refire_async.errors import RefusedError, StoppedError

READY_WITHIN_S = 120.0
POLL_S = 0.5


async def create_table(table: CheckpointTable) -> bool:
    """Create the table, on demand, encrypted, with TTL, and wait until it is ready; False if it is there already.

    Raises:
        RefusedError: no permission, or a table of this name that is no checkpoint table.
        StoppedError: it was not ready in time.
    """
    request = {
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "name", "AttributeType": "S"},
        ],
        "KeySchema": [
            {"AttributeName": "id", "KeyType": "HASH"},
            {"AttributeName": "name", "KeyType": "RANGE"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
        "SSESpecification": {"Enabled": True},
        "Tags": [{"Key": "refire", "Value": "checkpoint"}],
    }
    made = True
    try:
        await table.call("CreateTable", request)
    except AwsError as error:
        if error.name != "ResourceInUse":
            raise _refused(error) from error
        made = False
    await _ready(table)
    if made:
        await _expire(table)
        await table.put(META, FORMAT_NAME, {"version": number(FORMAT)})
    elif await table.get(META, FORMAT_NAME) is None:
        raise RefusedError(
            f"table {table.name} exists and is no checkpoint table",
            "choose another name, or delete that table",
        )
    return made


async def unfinished_runs(table: CheckpointTable) -> list[str]:
    """The ids of the runs that are not complete. Raises CheckpointRefusedError if there is no such table."""
    found = []
    async for item in table.query(CATALOG, ""):
        run_id = item["name"]["S"]
        run = await table.get(run_id, RUN)
        if run is not None and run["run_status"]["S"] != "complete":
            found.append(run_id)
    return found


async def delete_table(table: CheckpointTable) -> None:
    """Delete the table. Raises RefusedError."""
    try:
        await table.call("DeleteTable", {})
    except AwsError as error:
        raise _refused(error) from error


async def _ready(table: CheckpointTable) -> None:
    with anyio.move_on_after(READY_WITHIN_S):
        while True:
            try:
                found = await table.call("DescribeTable", {})
            except AwsError as error:
                if error.disposition is Disposition.FATAL and error.name != "ResourceNotFound":
                    raise _refused(error) from error
                found = {}
            if found.get("Table", {}).get("TableStatus") == "ACTIVE":
                return
            await anyio.sleep(POLL_S)
    raise StoppedError(f"table {table.name} was not ready in {READY_WITHIN_S:.0f} s", "try again")


async def _expire(table: CheckpointTable) -> None:
    request = {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "expires_at"}}
    try:
        await table.call("UpdateTimeToLive", request)
    except AwsError as error:
        raise _refused(error) from error


def _refused(error: AwsError) -> RefusedError:
    return RefusedError(error.message, error.action or "check the permissions of the checkpoint table")
