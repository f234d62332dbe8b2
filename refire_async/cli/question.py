"""A question on the terminal, outside of a run's event loop. Without a terminal it is an error that says so."""

import sys
from collections.abc import Iterable

import click

from refire_async.errors import RefireError
from refire_async.output.text import visible


def agreed(before: Iterable[str], question: str, unanswerable: RefireError) -> bool:
    """Whether the user says yes to `question`, shown after the lines `before`. Anything else is no.

    Raises `unanswerable` where there is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise unanswerable
    for line in before:
        click.echo(visible(line), err=True)
    try:
        return click.confirm(visible(question), err=True)
    except click.Abort:  # Ctrl-C, or the end of input
        return False
