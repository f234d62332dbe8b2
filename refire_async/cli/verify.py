"""`refire verify`: verify from the stream that every touched item fired exactly once."""

from typing import Any

import click

from refire_async.cli import options
from refire_async.cli.destination import check_destination
from refire_async.cli.help import Command
from refire_async.cli.options_to_settings import make_connection, make_output
from refire_async.cli.parsed_options import VerifyOptions
from refire_async.cli.saved import as_file, saved_run, table_address
from refire_async.settings import VerifySettings


@click.command(
    "verify",
    cls=Command,
    unexpected="one run at a time",
    examples=(
        ("Did every item of this run fire exactly once?", "refire verify 20260131T120000Z-3f2a1b"),
        ("The same for a script; exit code 5 if not", "refire verify --checkpoint ./orders.refire --json"),
    ),
)
@saved_run
@options.connection
@options.yes
@options.output
@options.log_file
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Verify from the stream that every item that a run touched fired exactly once.

    Reads the table's stream from the run's start and compares it with the checkpoint. Writes nothing except a
    file of missing keys. A stream keeps records for 24 hours: verify within that time.
    """
    parsed = VerifyOptions(**given)
    output = make_output(ctx, parsed)
    connection = make_connection(parsed)
    with as_file(parsed, connection, history=True) as checkpoint:
        settings = VerifySettings(checkpoint=checkpoint, connection=connection)
        address = table_address(parsed)
        if address is None:
            check_destination(ctx, checkpoint, connection, assume_yes=parsed.yes)

        from refire_async.cli import verify_run  # noqa: PLC0415 - brings the engine, which is slow to import

        return verify_run.execute(settings, output, address)
