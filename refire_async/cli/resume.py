"""`refire resume`: resume a run that was stopped."""

from typing import Any

import click

from refire_async.cli import options
from refire_async.cli.destination import check_delivery_destination, check_destination
from refire_async.cli.help import Command
from refire_async.cli.hints import Hints
from refire_async.cli.options_to_settings import (
    make_budget,
    make_connection,
    make_ignore,
    make_monitored_output,
    make_pacing,
    make_tuning,
)
from refire_async.cli.parsed_options import ResumeOptions
from refire_async.cli.saved import is_delivery, locate_one, saved_run, table_address
from refire_async.settings import ResumeSettings


@click.command(
    "resume",
    cls=Command,
    unexpected="one run at a time",
    examples=(
        ("Resume a run; refire status lists them", "refire resume 20260131T120000Z-3f2a1b"),
        (
            "Resume from a checkpoint elsewhere, at half the speed",
            "refire resume --checkpoint ./orders.refire --wcu-percent 40",
        ),
    ),
)
@saved_run
@options.connection
@options.budget
@options.pacing
@options.workers
@options.max_items
@options.give_up_after
@options.archive
@options.task
@options.verify
@options.ignore
@options.yes
@options.output
@options.log_file
@options.monitoring
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Resume a run that was stopped, killed or cut off, where it left off. No item fires twice.

    Resumes a replay or redrive too: it reports which batches may have run twice.

    RUN_ID may be a prefix of an id, or latest. It is optional if only one run can be resumed.
    """
    parsed = ResumeOptions(**given)
    output = make_monitored_output(ctx, parsed)
    address = table_address(parsed)
    if parsed.run_id is None and parsed.checkpoint is None:
        from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite

        checkpoint = catalog.only_stopped()
    elif address is None:
        checkpoint = locate_one(parsed)
    settings = ResumeSettings(
        checkpoint=address or checkpoint,
        archive=parsed.archive,
        task=parsed.task,
        connection=make_connection(parsed),
        budget=make_budget(parsed),
        pacing=make_pacing(parsed),
        tuning=make_tuning(parsed),
        max_items=parsed.max_items,
        ignore=make_ignore(parsed),
        verify=parsed.verify,
        assume_yes=parsed.yes,
    )
    if address is not None:
        from refire_async.cli import session  # noqa: PLC0415 - brings the engine, which is slow to import

        return session.execute(settings, output, Hints(settings, address))
    if is_delivery(checkpoint):
        from refire_async.cli import delivery_session  # noqa: PLC0415 - brings the engine, which is slow to import

        check_delivery_destination(ctx, checkpoint, settings.connection, assume_yes=parsed.yes)
        return delivery_session.resume(settings, output)
    check_destination(ctx, checkpoint, make_connection(parsed), assume_yes=parsed.yes)

    from refire_async.cli import session  # noqa: PLC0415 - brings the engine, which is slow to import

    return session.execute(settings, output, Hints(settings, parsed.checkpoint))
