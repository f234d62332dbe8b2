"""`refire completion`: the script that lets a shell complete commands, options and run ids."""

from typing import Any

import click
from click.shell_completion import ShellComplete, get_completion_class

from refire_async.cli.help import Command
from refire_async.cli.params import OneOf
from refire_async.cli.streams import print_result

VARIABLE = "_REFIRE_COMPLETE"
"""Set by the script when it asks the program what there is to complete."""

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    cls=Command,
    unexpected="give one shell",
    examples=(
        (
            "For bash, which reads it from there when it needs it",
            "refire completion bash > ~/.local/share/bash-completion/completions/refire",
        ),
        ("For fish, once", "refire completion fish > ~/.config/fish/completions/refire.fish"),
    ),
)
@click.argument("shell", metavar="SHELL", type=OneOf("SHELL", *SHELLS))
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Print the script for bash, zsh or fish that completes commands, options, their words, and run ids."""
    kind = get_completion_class(given["shell"])
    assert kind is not None  # noqa: S101 - click has these three
    # That of bash looks for bash first and complains where there is none; the script is the same.
    print_result(ShellComplete.source(kind(ctx.find_root().command, {}, "refire", VARIABLE)))
    return 0
