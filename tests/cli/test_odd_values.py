"""Odd values for every option of every command: refused in one line, or accepted; never a bug."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from refire_async.cli import COMMANDS, program
from refire_async.cli.params import Option
from refire_async.errors import UsageError
from tests.cli.conftest import Ended, FakeEngine

ODD = {
    "empty": "",
    "blank": " ",
    "dash": "-",
    "not a number": "nan",
    "negative": "-1",
    "huge": "9" * 400,
    "long": "x" * 5000,
    "long for a name": "x" * 230,
    "line end": "a\nb",
    "escape": "\x1b[31m",
    "brackets": "[red]{0}%s",
    "digits of another script": "٣",
    "no text": b"\xff\xfe".decode("utf-8", "surrogateescape"),
    "folder": "/",
    "device": "/dev/full",
}

_LOCAL = ("run", "resume", "status", "config", "iam-policy")
"""Commands that end at once for any value: the others would query a table or keep running."""


def options_of(name: str) -> list[Option]:
    command = program.get_command(click.Context(program), name)
    assert command is not None
    return [param for param in command.params if isinstance(param, Option) and not param.is_flag]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name in _LOCAL])
def test_odd_values(
    refire: Callable[..., Ended],
    fake_engine: FakeEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """Exit code 2 (or another documented one) with one line, or success. No traceback, no report of a bug."""
    monkeypatch.chdir(tmp_path)
    needed = {"run": ["--table", "orders"]}.get(name, [])
    for option in options_of(name):
        for word in ODD.values():
            ended = refire(name, *needed, f"{option.opts[0]}={word}")
            assert ended.code in (0, 2, 10, 11), (option.opts[0], word, ended)
            if ended.code:
                assert len(ended.err.splitlines()) == 1, (option.opts[0], word, ended.err)
                assert ended.err.startswith("refire: ")
                assert "\x1b" not in ended.err
                assert len(ended.err) < 1100
    assert not list(tmp_path.glob("**/bug-*.log"))


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in _LOCAL and name != "completion"])
def test_odd_values_are_parsed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for the other commands, up to the parsed options."""
    monkeypatch.chdir(tmp_path)
    command = program.get_command(click.Context(program), name)
    assert command is not None
    needed = (
        [__file__]
        if any(isinstance(param, click.Argument) and param.required for param in command.params)
        else []
    )
    for option in options_of(name):
        for word in ODD.values():
            with click.Context(program, info_name="refire") as root, contextlib.suppress(UsageError):
                command.make_context(name, [f"{option.opts[0]}={word}", *needed], parent=root).close()
    assert not list(tmp_path.iterdir())
