"""`refire resume`: resume a run that was stopped."""

from collections.abc import Callable
from pathlib import Path
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
from refire_async.cli.params import ExistingFile, RunId
from refire_async.cli.parsed_options import ResumeOptions, SavedRunOptions
from refire_async.errors import UsageError
from refire_async.settings import ResumeSettings


def saved_run(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument and the option that name an existing run."""
    checkpoint = options.option(
        "Run",
        "--checkpoint",
        ExistingFile("FILE"),
        "The run's checkpoint file, if it is not in your state folder.",
    )
    run_id = click.argument(
        "run_id", metavar="[RUN_ID]", required=False, type=RunId("refire status lists the runs")
    )
    return run_id(checkpoint(function))


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
    if parsed.run_id is None and parsed.checkpoint is None:
        from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite

        checkpoint = catalog.only_stopped()
    else:
        checkpoint = locate(parsed.run_id, parsed.checkpoint)
    settings = ResumeSettings(
        checkpoint=checkpoint,
        connection=make_connection(parsed),
        budget=make_budget(parsed),
        pacing=make_pacing(parsed),
        tuning=make_tuning(parsed),
        max_items=parsed.max_items,
        ignore=make_ignore(parsed),
        verify=parsed.verify,
        assume_yes=parsed.yes,
    )
    if is_delivery(checkpoint):
        from refire_async.cli import delivery_session  # noqa: PLC0415 - brings the engine, which is slow to import

        check_delivery_destination(ctx, checkpoint, settings.connection, assume_yes=parsed.yes)
        return delivery_session.resume(settings, output)
    check_destination(ctx, checkpoint, make_connection(parsed), assume_yes=parsed.yes)

    from refire_async.cli import session  # noqa: PLC0415 - brings the engine, which is slow to import

    return session.execute(settings, output, Hints(settings, parsed.checkpoint))


def is_delivery(checkpoint: Path) -> bool:
    """Whether the checkpoint is that of a replay or redrive."""
    from refire_async.checkpoint.read_only import holds_delivery  # noqa: PLC0415 - brings SQLite

    return holds_delivery(checkpoint)


def locate(run_id: str | None, checkpoint: Path | None) -> Path:
    """The checkpoint with this run id or path. Raises UsageError or CheckpointRefusedError."""
    from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite

    if checkpoint is None:
        return catalog.find(run_id or "")
    if run_id is not None and not (found := run_id_of(checkpoint)).startswith(run_id):
        raise UsageError(
            f"checkpoint {checkpoint} belongs to run {found}, not to {run_id}",
            "give either the run id or --checkpoint",
        )
    return checkpoint


def run_id_of(checkpoint: Path) -> str:
    """The id of the run or delivery. Raises CheckpointRefusedError."""
    from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite
    from refire_async.delivery.saved import peek  # noqa: PLC0415

    return peek(checkpoint).spec.run_id if is_delivery(checkpoint) else catalog.describe(checkpoint).run_id


def locate_one(parsed: SavedRunOptions) -> Path:
    """The checkpoint of the run that the options name. Raises UsageError or CheckpointRefusedError."""
    if parsed.run_id is None and parsed.checkpoint is None:
        raise UsageError("no run given", "give its RUN_ID or its --checkpoint; refire status lists runs")
    return locate(parsed.run_id, parsed.checkpoint)
