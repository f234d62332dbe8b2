"""Refuses unknown environment variables that begin with REFIRE_: a misspelt limit would otherwise be missing."""

import difflib
import os
import re
from collections.abc import Mapping

import click

from refire_async.cli.params import Option, quoted
from refire_async.errors import UsageError

PREFIX = "REFIRE_"

_INTERNAL = re.compile(r"REFIRE_(KILL_AT|TEST_.*)")
"""Variables of the test suite."""

_SERVICE_LINK = re.compile(r"REFIRE_(.+_)?(SERVICE_(HOST|PORT(_.+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_.+)?)?)")
"""Variables that Kubernetes and Docker set in containers if a service is called refire or refire-…"""


def check_variables(ctx: click.Context) -> None:
    """Refuse a `REFIRE_` variable that no command knows. Raises UsageError, which suggests a similar name."""
    names = [name for name in os.environ if name.startswith(PREFIX) and not _INTERNAL.fullmatch(name)]
    root = ctx.find_root()
    if not names or not isinstance(root.command, click.Group):
        return
    known = _known(root, root.command)
    for name in sorted(names):
        if name not in known and not _is_service_link(name, os.environ):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
            action = f"did you mean {near[0]}?" if near else "unset it; refire config shows the options"
            raise UsageError(f"unknown environment variable {quoted(name)}", action)


def _known(root: click.Context, group: click.Group) -> list[str]:
    """The variables of all options of all commands."""
    commands = [group.get_command(root, name) for name in group.list_commands(root)]
    return sorted(
        {
            param.own_variable
            for command in commands
            if command is not None
            for param in command.params
            if isinstance(param, Option)
        }
    )


def _is_service_link(name: str, environ: Mapping[str, str]) -> bool:
    """Whether an orchestrator has set it. `…_PORT` is such a variable only if its value is an address."""
    if not _SERVICE_LINK.fullmatch(name):
        return False
    return not re.search(r"(?<!SERVICE)_PORT$", name) or "://" in environ[name]
