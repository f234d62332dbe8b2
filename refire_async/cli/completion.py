"""`refire completion`: the script that lets a shell complete commands, options and run ids."""

import os
import tempfile
from pathlib import Path

import click
from click.shell_completion import ShellComplete, get_completion_class

from refire_async.cli.help import Command
from refire_async.cli.params import OneOf
from refire_async.cli.streams import print_result
from refire_async.errors import UsageError

VARIABLE = "_REFIRE_COMPLETE"
"""Set by the script when it asks the program what there is to complete."""

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

    With install it is written where the shell looks for it: the shell given, else the one in the variable SHELL.
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
    # That of bash looks for bash first and complains where there is none; the script is the same.
    return ShellComplete.source(kind(ctx.find_root().command, {}, "refire", VARIABLE))


def _own_shell() -> str:
    """The user's shell, by the variable SHELL. Raises UsageError."""
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        what = f"the shell {name!r} is not one of them" if name else "the variable SHELL is not set"
        raise UsageError(what, f"name it: refire completion install {'|'.join(SHELLS)}")
    return name


def _place(shell: str) -> tuple[Path, str]:
    """Where a shell looks for completions of the user's, and what is left to do. Raises UsageError."""
    try:
        home = Path.home()
    except RuntimeError:
        raise UsageError("there is no home folder: HOME is not set", "set HOME") from None
    match shell:
        case "bash":
            data = os.environ.get("XDG_DATA_HOME") or home / ".local" / "share"
            folder = Path(data) / "bash-completion" / "completions"
            return folder / "refire", "new shells have it (with the package bash-completion)"
        case "fish":
            config = os.environ.get("XDG_CONFIG_HOME") or home / ".config"
            return Path(config) / "fish" / "completions" / "refire.fish", "new shells have it"
        case _:
            folder = home / ".zfunc"
            return folder / "_refire", "in ~/.zshrc: fpath+=(~/.zfunc); autoload -Uz compinit; compinit"


def _write(path: Path, script: str) -> None:
    """Put the script in its place in one step; a link that is there is replaced. Raises UsageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=path.parent, prefix=".refire-")
        scratch = Path(name)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(script + "\n")
            scratch.chmod(0o644)
            scratch.replace(path)
        except BaseException:
            scratch.unlink()
            raise
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "print it instead: refire completion SHELL"
        ) from None
