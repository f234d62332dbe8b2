"""`refire run`: fire the stream event of every selected item again."""

from dataclasses import replace
from typing import Any

import click

from refire_async.cli import options
from refire_async.cli.help import Command
from refire_async.cli.hints import Hints
from refire_async.cli.options_to_settings import (
    make_ignore,
    make_monitored_output,
    make_pacing,
    make_run,
    make_tuning,
)
from refire_async.cli.params import RunId
from refire_async.cli.parsed_options import RunOptions
from refire_async.errors import UsageError
from refire_async.settings import RunSettings


@click.command(
    "run",
    cls=Command,
    unexpected="name the table with --table {0}",
    examples=(
        ("Preview items, time and cost (reads the whole selection)", "refire run --table orders --dry-run"),
        (
            "Fire one customer's orders again, slowly",
            "refire run --table orders --key-value c-42 --max-rate 50",
        ),
    ),
)
@options.table
@options.connection
@options.selection
@options.marker
@options.budget
@options.pacing
@options.segments
@options.workers
@options.max_items
@options.give_up_after
@options.run_checkpoint
@options.archive
@options.tasks
@options.option(
    "Safety",
    "--run-id",
    RunId("for example --run-id fix-2026-01-31"),
    "Name of the run; default: generated from the time.",
)
@options.flag(
    "Safety",
    "--dry-run",
    "Write nothing: read the whole selection and report the items, time and cost of a run.",
)
@options.stream_arn
@options.canary
@options.verify
@options.ignore
@options.yes
@options.output
@options.log_file
@options.monitoring
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Fire the stream event of every selected item again, exactly once.

    Adds 1 to an attribute of each item, within the table's write budget. Nothing else changes: no item is
    created, no update of another writer is lost. Stop it with Ctrl-C, continue with refire resume.
    """
    parsed = RunOptions(**given)
    settings = make_settings(ctx, parsed)
    output = make_monitored_output(ctx, parsed)

    from refire_async.cli import session  # noqa: PLC0415 - brings the engine, which is slow to import

    return session.execute(settings, output, Hints(settings, settings.checkpoint))


def make_settings(ctx: click.Context, parsed: RunOptions) -> RunSettings:
    """The settings of a new run. Raises UsageError."""
    for name, value in (("verify", parsed.verify), ("canary", parsed.canary)):
        if parsed.dry_run and value:
            raise UsageError(
                f"--dry-run and --{name} cannot be combined",
                "a dry run writes nothing, so there are no events to verify",
            )
    return replace(
        make_run(ctx, parsed),
        pacing=make_pacing(parsed),
        tuning=make_tuning(parsed, parsed.segments),
        checkpoint=parsed.checkpoint,
        archive=parsed.archive,
        tasks=parsed.tasks,
        task=parsed.task,
        run_id=parsed.run_id,
        verify=parsed.verify,
        canary=parsed.canary,
        assume_yes=parsed.yes,
        dry_run=parsed.dry_run,
        ignore=make_ignore(parsed),
        stream_arn=parsed.stream_arn,
    )
