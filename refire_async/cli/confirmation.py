"""Confirmation on the terminal before a command does something, outside of a run's event loop."""

import sys
from collections.abc import Iterable

import click

from refire_async.errors import RefireError
from refire_async.output.text import visible


def has_terminal() -> bool:
    """Whether standard input and standard error are terminals."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(lines: Iterable[str], question: str, no_terminal: RefireError) -> bool:
    """Whether the user answers yes to `question`, which follows `lines`. Any other answer is no.

    Raises `no_terminal` if standard input or standard error is not a terminal.
    """
    if not has_terminal():
        raise no_terminal
    for line in lines:
        click.echo(visible(line), err=True)
    try:
        return click.confirm(visible(question), err=True)
    except click.Abort:  # Ctrl-C, or the end of input
        return False
