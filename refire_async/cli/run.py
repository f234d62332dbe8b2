"""`refire run`: fire every selected item's event again."""

from dataclasses import replace
from typing import Any

import click

from refire_async.cli import options
from refire_async.cli.help import Command
from refire_async.cli.hints import Hints
from refire_async.cli.options_to_settings import (
    make_ignore,
    make_output,
    make_pacing,
    make_run,
    make_tuning,
)
from refire_async.cli.params import RunId
from refire_async.errors import UsageError
from refire_async.settings import RunSettings


@click.command(
    "run",
    cls=Command,
    unexpected="name the table with --table {0}",
    examples=(
        ("What would it touch, take and cost? (reads all of it)", "refire run --table orders --dry-run"),
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
@options.checkpoint
@options.option(
    "Safety",
    "--run-id",
    RunId("for example --run-id fix-2026-01-31"),
    "Name of the run; else made from the time.",
)
@options.flag(
    "Safety", "--dry-run", "Write nothing: read all of it, and say what a run would touch, take and cost."
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
    created, no update of another writer is lost. Stop it with Ctrl-C, go on with refire resume.
    """
    settings = make_settings(ctx, given)
    output = make_output(given)

    from refire_async.cli import session  # noqa: PLC0415 - brings the engine, which is slow to import

    return session.execute(settings, output, Hints(settings, settings.checkpoint))


def make_settings(ctx: click.Context, given: dict[str, Any]) -> RunSettings:
    """The settings of a new run. Raises UsageError."""
    for name in ("verify", "canary"):
        if given["dry_run"] and given.get(name):
            raise UsageError(f"--dry-run and --{name} do not go together", "a dry run fires nothing to prove")
    return replace(
        make_run(ctx, given),
        pacing=make_pacing(given),
        tuning=make_tuning(given),
        checkpoint=given["checkpoint"],
        run_id=given["run_id"],
        verify=given["verify"],
        canary=given["canary"],
        assume_yes=given["yes"],
        dry_run=given["dry_run"],
        ignore=make_ignore(given),
        stream_arn=given["stream_arn"],
    )
