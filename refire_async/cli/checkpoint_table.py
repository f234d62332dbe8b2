"""`refire checkpoint-table`: create or delete a table for checkpoints."""

from functools import partial
from typing import Any

import click

from refire_async.cli import options
from refire_async.cli.confirmation import confirmed
from refire_async.cli.help import Command
from refire_async.cli.options_to_settings import make_connection
from refire_async.cli.params import OneOf, Word
from refire_async.cli.parsed_options import ConnectionOptions
from refire_async.cli.streams import print_json, print_result
from refire_async.errors import StoppedError, UsageError
from refire_async.settings import Connection


@click.command(
    "checkpoint-table",
    cls=Command,
    unexpected="one table at a time",
    examples=(
        ("Once per account and region", "refire checkpoint-table create refire-runs"),
        ("When no run needs it any more", "refire checkpoint-table delete refire-runs"),
    ),
)
@click.argument("what", metavar="create|delete", type=OneOf("create|delete", "create", "delete"))
@click.argument(
    "table",
    metavar="TABLE",
    type=Word("TABLE", r"[a-zA-Z0-9_.-]{3,255}", "the name of a table", "for example refire-runs"),
)
@options.connection
@options.yes
@options.json_output
@click.pass_context
def command(ctx: click.Context, /, what: str, table: str, **given: Any) -> int:
    """Create or delete a table that holds the checkpoints of runs.

    The table is on demand and encrypted; what a complete run leaves in it is deleted after 90 days. A table with
    unfinished runs is not deleted. Create does nothing if the table exists.
    """
    del ctx
    yes, as_json = given.pop("yes"), given.pop("json")
    connection = make_connection(ConnectionOptions(**given))

    import orjson  # noqa: PLC0415 - not needed to show help

    from refire_async.engine.event_loop import run_loop  # noqa: PLC0415 - brings the client

    if what == "delete" and not yes and not _confirmed(table):
        raise StoppedError(f"table {table} was not deleted", "nothing was changed")
    changed = run_loop(partial(_work, what, table, connection))
    if as_json:
        print_json(
            orjson.dumps({"table": table, "created" if what == "create" else "deleted": changed}).decode()
        )
    elif what == "create":
        print_result(f"Created {table}" if changed else f"{table} exists already")
        print_result(f"Use it with: --checkpoint dynamodb://{table}/RUN_ID")
    else:
        print_result(f"Deleted {table}")
    return 0


def _confirmed(table: str) -> bool:
    return confirmed(
        [f"Checkpoint table {table}, with what is kept of its runs."],
        "Delete it?",
        UsageError(
            f"table {table} would be deleted, and there is no terminal for confirmation",
            "give --yes to delete without asking",
        ),
    )


async def _work(what: str, table: str, connection: Connection) -> bool:
    """Create or delete; whether something changed. Raises RefireError."""
    from refire_async.aws.session import open_session  # noqa: PLC0415 - brings the client
    from refire_async.checkpoint.dynamodb import lifecycle  # noqa: PLC0415
    from refire_async.checkpoint.dynamodb.table import CheckpointTable  # noqa: PLC0415

    async with open_session(connection, 8) as session:
        place = CheckpointTable(table, session.data)
        if what == "create":
            return await lifecycle.create_table(place)
        unfinished = await lifecycle.unfinished_runs(place)
        if unfinished:
            more = f" and {len(unfinished) - 1} more" if len(unfinished) > 1 else ""
            raise UsageError(f"table {table} has unfinished runs: {unfinished[0]}{more}", "finish them first")
        await lifecycle.delete_table(place)
        return True
