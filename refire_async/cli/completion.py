"""`refire completion`: the script that lets a shell complete commands, options and run ids."""

import os
from pathlib import Path

import click
from click.shell_completion import ShellComplete, get_completion_class

from refire_async.cli.help import Command
from refire_async.cli.params import OneOf
from refire_async.cli.streams import print_result
from refire_async.errors import UsageError
from refire_async.private import replacing

VARIABLE = "_REFIRE_COMPLETE"
"""The variable with which the script asks the program for completions."""

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    cls=Command,
    unexpected="give one shell",
    examples=(
        ("Install it for the shell that you use", "refire completion install"),
        (
            "Install it by hand for bash",
            "refire completion bash > ~/.local/share/bash-completion/completions/refire",
        ),
    ),
)
@click.argument("shell", metavar="SHELL|install", type=OneOf("SHELL", *SHELLS, "install"))
@click.argument("which", metavar="[SHELL]", required=False, type=OneOf("SHELL", *SHELLS))
@click.pass_context
def command(ctx: click.Context, /, *, shell: str, which: str | None) -> int:
    """Print the script for bash, zsh or fish that completes commands, options, option values and run ids.

    With install it writes the script to the folder that the shell reads. The shell is that of the variable SHELL if
    none is given.
    """
    if shell == "install":
        chosen = which or _own_shell()
        path, more = _place(chosen)
        _write(path, _script(ctx, chosen))
        print_result(f"Completion for {chosen} is in {path}; {more}")
        return 0
    if which is not None:
        raise UsageError(f"unexpected argument {which!r}", "give one shell")
    print_result(_script(ctx, shell))
    return 0


def _script(ctx: click.Context, shell: str) -> str:
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has these three
    # BashComplete.source checks the version of bash first and warns if there is none; the script is the same.
    return ShellComplete.source(kind(ctx.find_root().command, {}, "refire", VARIABLE))


def _own_shell() -> str:
    """The user's shell, from the variable SHELL. Raises UsageError."""
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        what = f"there is no completion for the shell {name!r}" if name else "the variable SHELL is not set"
        raise UsageError(what, f"give the shell: refire completion install {'|'.join(SHELLS)}")
    return name


def _place(shell: str) -> tuple[Path, str]:
    """The file from which a shell loads the user's completion, and what remains to be done. Raises UsageError."""
    try:
        home = Path.home()
    except RuntimeError:
        raise UsageError("there is no home folder: HOME is not set", "set HOME") from None
    match shell:
        case "bash":
            data = os.environ.get("XDG_DATA_HOME") or home / ".local" / "share"
            folder = Path(data) / "bash-completion" / "completions"
            return folder / "refire", "new shells use it (with the package bash-completion)"
        case "fish":
            config = os.environ.get("XDG_CONFIG_HOME") or home / ".config"
            return Path(config) / "fish" / "completions" / "refire.fish", "new shells use it"
        case _:
            folder = home / ".zfunc"
            return folder / "_refire", "add to ~/.zshrc: fpath+=(~/.zfunc); autoload -Uz compinit; compinit"


def _write(path: Path, script: str) -> None:
    """Write the script in one step, in place of an existing file or link. Raises UsageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(f"{script}\n".encode())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "print it instead: refire completion SHELL"
        ) from None
