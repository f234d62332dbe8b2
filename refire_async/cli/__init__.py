"""The command line. Each command is a module of this package with the same name."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from refire_async import __version__
from refire_async.cli.exit_codes import check_text, guarded
from refire_async.cli.help import LazyGroup, printing_option
from refire_async.cli.signals import ignore, restored
from refire_async.cli.streams import open_streams

COMMANDS = (
    *("run", "resume", "rate", "status", "forget", "plan", "check", "verify", "report", "iam-policy"),
    *("replay", "redrive"),
    *("checkpoint-table", "spark-submit"),
    *("sandbox", "demo", "config", "completion", "doctor"),
)

START = (
    ("refire demo", "See it work, without an AWS account."),
    ("refire check --table NAME", "Check for problems before a run."),
    ("refire run --table NAME", "Fire the event of every item again, once."),
)

OVERVIEW = (
    ("run, spark-submit", "Fire the stream event of every selected item again."),
    ("replay, redrive", "Deliver original events or failed batches again."),
    ("resume, rate", "Resume a stopped run; change the speed of one at work."),
    ("status, forget", "List runs, finished and unfinished; remove one."),
    ("plan, check", "Before a run: its time and cost; possible problems."),
    ("verify, report", "After a run: check its events; write an HTML report."),
    ("iam-policy", "Print the AWS permissions that a command needs."),
    ("checkpoint-table", "Create or delete a table for checkpoints."),
    ("sandbox, demo", "A local DynamoDB for experiments; a guided tour."),
    ("config, completion", "Where options come from; shell completion."),
    ("doctor", "Collect what a bug report needs in one file."),
)
"""All commands, in lines that fit one small screen with the rest of the help."""


@click.group(
    cls=LazyGroup,
    names=COMMANDS,
    overview=OVERVIEW,
    start=START,
    no_args_is_help=False,
    subcommand_metavar="COMMAND ...",
    options_metavar="",
    epilog="Every command has --help, with examples; refire --version shows the version.",
)
@printing_option("--version", help="Show the version and exit.", text=lambda _ctx: f"refire {__version__}")
def program() -> None:
    """Make DynamoDB Streams fire again for items that are already in a table."""


def invoke(arguments: Sequence[str]) -> int:
    """Run the program with these arguments and return its exit code. Restores signal handlers. Never raises."""
    with restored():
        return _exit_code(arguments)


def _exit_code(arguments: Sequence[str]) -> int:
    def work() -> int:
        check_text(arguments, os.environ)
        with program.make_context("refire", list(arguments)) as ctx:
            return int(program.invoke(ctx) or 0)

    return guarded(work)


def main() -> NoReturn:
    """`refire` and `python -m refire_async`."""
    open_streams()
    if "_REFIRE_COMPLETE" in os.environ:
        sys.exit(_complete(os.environ["_REFIRE_COMPLETE"]))
    code = _exit_code(sys.argv[1:])
    ignore()
    sys.exit(code)


def _complete(instruction: str) -> int:
    """Print completions for a shell (see `refire completion`) and return the exit code. Prints no errors."""
    from click.shell_completion import shell_complete  # noqa: PLC0415 - rarely needed

    try:
        return shell_complete(program, {}, "refire", "_REFIRE_COMPLETE", instruction)
    except Exception:  # noqa: BLE001 - the shell would show an error in the middle of the user's input
        return 1
