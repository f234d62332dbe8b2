"""`refire check`: check a table and its consumers for problems before a run."""

import sys
from dataclasses import replace
from functools import partial
from typing import Any

import click

from refire_async.cli import options
from refire_async.cli.help import Command
from refire_async.cli.options_to_settings import make_run
from refire_async.cli.parsed_options import CheckOptions
from refire_async.cli.streams import print_json, print_styled
from refire_async.errors import ExitCode
from refire_async.settings import RunSettings, Tuning


@click.command(
    "check",
    cls=Command,
    unexpected="name the table with --table {0}",
    examples=(
        ("Are this table and its consumers ready for a run?", "refire check --table orders"),
        (
            "The same for a script: exit code 10 if a run would be refused",
            "refire check --table orders --max-wcu 500 --json",
        ),
    ),
)
@options.table
@options.connection
@options.selection
@options.max_items
@options.marker
@options.budget
@options.writer
@options.stream_arn
@options.output
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Check the table, its stream, indexes, items and consumers for problems before a run.

    Writes nothing. It samples up to 1,000 items within the read budget, and tests the write permission on a key
    that does not exist, which costs 1 WCU. docs/findings.md explains every finding. A run starts with the same checks.
    """
    parsed = CheckOptions(**given)
    settings = make_settings(ctx, parsed)

    from refire_async.engine import run as engine  # noqa: PLC0415 - slow to import, not needed to show help
    from refire_async.engine.event_loop import run_loop  # noqa: PLC0415
    from refire_async.output.findings import findings_json, findings_text  # noqa: PLC0415

    found = run_loop(partial(engine.check, settings))
    if parsed.json:
        print_json(findings_json(settings.table, found))
    else:
        print_styled(findings_text(settings.table, found, colors=sys.stdout.isatty()))
    stops = any(finding.level == "stop" for finding in found)
    return ExitCode.REFUSED if stops else ExitCode.COMPLETE


def make_settings(ctx: click.Context, parsed: CheckOptions) -> RunSettings:
    """The settings of the run to check. Raises UsageError."""
    return replace(
        make_run(ctx, parsed),
        tuning=Tuning(writer=parsed.writer or "partiql"),
        stream_arn=parsed.stream_arn,
    )
