"""`refire demo`: a guided tour in a local sandbox."""

import click

from refire_async.cli import options
from refire_async.cli.help import Command
from refire_async.cli.options_to_settings import OutputSettings
from refire_async.cli.params import Whole
from refire_async.cli.streams import say_error
from refire_async.errors import ExitCode

TOUCHED = 100_000
REPLAYED = 5_000
"""Items of the two demos."""


@click.command(
    "demo",
    cls=Command,
    examples=(
        ("The whole demo, in less than a minute", "refire demo"),
        ("A consumer with a bug, its failed batches, and their redrive", "refire demo --replay"),
    ),
)
@options.option(
    "Demo",
    "--items",
    Whole("N", "--items 100000", 2, 2_000_000),
    "Items to fill the table with; default 100000, with --replay 5000.",
    unset="100000, with --replay 5000",
)
@options.flag("Demo", "--replay", "Show replay and redrive instead: a consumer with a bug is made whole.")
@options.json_output
@options.flag("Output", "--no-progress", "Show no progress on standard error.")
def command(*, items: int | None, replay: bool, json: bool, no_progress: bool) -> int:
    """Show how refire works in a local sandbox: no AWS account, nothing to set up, nothing left behind.

    Fills a table, shows why writing items back unchanged fires nothing, fires all of them again, stops half-way
    and resumes, then counts in the stream that each item fired exactly once.
    """
    # The demo prints its steps; logs would repeat them.
    output = OutputSettings(json=json, log_level="error", progress=not no_progress)
    if replay:
        from refire_async.cli.demo_replay import run_demo_of_replay  # noqa: PLC0415 - brings the engine

        code = run_demo_of_replay(items or REPLAYED, output)
    else:
        from refire_async.cli.demo_steps import run_demo  # noqa: PLC0415 - brings the engine, which is slow to import

        code = run_demo(items or TOUCHED, output)
    if code in (ExitCode.INTERRUPTED, ExitCode.STOPPED):
        say_error("the demo was stopped; nothing is left on this machine")
    return code
