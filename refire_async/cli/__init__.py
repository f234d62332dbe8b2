"""The command line. Each command is a module of this package with the same name."""

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from refire_async import __version__
from refire_async.cli.boundary import guarded, open_streams
from refire_async.cli.help import LazyGroup, printing_option

COMMANDS = {
    "run": "Fire the stream event of every selected item again.",
    "resume": "Go on with a run that was stopped.",
    "rate": "See or change how fast a run is while it works.",
    "check": "Say what stands against a run: table, stream, consumers.",
    "verify": "Prove from the stream that a run's events fired, once.",
    "plan": "Tell what a run would take: units, time, money.",
    "status": "List runs, finished and unfinished.",
    "iam-policy": "Print the AWS permissions that a command needs.",
    "sandbox": "Run a DynamoDB on this machine to try things on.",
    "demo": "Show how it works, in a sandbox.",
}

START = (
    ("refire demo", "See it work, without an AWS account."),
    ("refire check --table NAME", "What stands against it?"),
    ("refire run --table NAME --dry-run", "What would be touched, at what cost."),
    ("refire run --table NAME", "Fire every item's event again, once."),
)


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    start=START,
    no_args_is_help=False,
    subcommand_metavar="COMMAND ...",
    options_metavar="",
    epilog="Every command has --help, with examples; refire --version tells the version.",
)
@printing_option("--version", help="Show the version and exit.", text=lambda _ctx: f"refire {__version__}")
def program() -> None:
    """Make DynamoDB Streams fire again for items that are already in a table."""


def invoke(arguments: Sequence[str]) -> int:
    """Run the program with these arguments and give its exit code. Never raises."""

    def work() -> int:
        with program.make_context("refire", list(arguments)) as ctx:
            return int(program.invoke(ctx) or 0)

    return guarded(work)


def main() -> NoReturn:
    """`refire` and `python -m refire_async`."""
    open_streams()
    sys.exit(invoke(sys.argv[1:]))
