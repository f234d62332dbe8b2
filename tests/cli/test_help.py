"""Help is short, complete and fast."""

import re
import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from refire_async.cli import COMMANDS, START, options, program
from refire_async.cli.help import Command
from refire_async.cli.params import Option
from refire_async.errors import UsageError
from refire_async.model.run import new_run_id
from refire_async.preflight.findings import KINDS
from tests.cli.conftest import Ended


def command_of(name: str) -> Command:
    """The command with this name."""
    command = program.get_command(click.Context(program), name)
    assert isinstance(command, Command)
    return command


@pytest.mark.parametrize("name", COMMANDS)
def test_run_ids_in_help_have_the_form_of_those_that_are_made(name: str) -> None:
    """A user may copy an id from the help and change it."""
    form = re.sub("[0-9a-f]", "x", new_run_id())
    command = command_of(name)
    text = command.get_help(click.Context(command, info_name=name))
    for shown in re.findall(r"\b20\d{6}T[0-9A-Za-z-]+", text):
        assert re.sub("[0-9a-f]", "x", shown) == form


def test_overall_help_fits_a_screen(refire: Callable[..., Ended]) -> None:
    """It fits 80x24 with the prompt; the three commands of a first-time user come first, then all."""
    ended = refire("--help")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    first, _, rest = ended.out.partition("Commands:")
    at = [first.index(line) for line, _ in START]
    assert at == sorted(at)
    assert len(at) == 3
    listed = [
        name for line in rest.splitlines()[1:-2] for name in line.strip().partition("  ")[0].split(", ")
    ]
    assert sorted(listed) == sorted(COMMANDS)


def test_every_command_has_a_module() -> None:
    """A name without a module would be a crash."""
    for name in COMMANDS:
        assert command_of(name).name == name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command(refire: Callable[..., Ended], name: str) -> None:
    """Two examples that parse, every option, how to set it in the environment, no line over 80 columns."""
    ended = refire(name, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert max(map(len, ended.out.splitlines())) <= 80
    command = command_of(name)
    assert len(command.examples) == 2
    for _, example in command.examples:
        assert f"  {example}\n" in ended.out
        program_name, command_name, *_ = example.split()
        assert (program_name, command_name) == ("refire", name)
    options = [param for param in command.params if isinstance(param, Option)]
    assert options or name == "completion"
    for option in options:
        assert option.opts[0] in ended.out
        assert option.help
        assert option.group
        assert option.own_variable == "REFIRE_" + option.opts[0][2:].replace("-", "_").upper()
    if options:
        assert f"{options[0].own_variable} for {options[0].opts[0]}" in " ".join(ended.out.split())


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("run", "--help"), ("run", "--tabel", "x")]
)
def test_nothing_heavy_is_imported(arguments: tuple[str, ...]) -> None:
    """Help and typos import neither the engine nor AWS or terminal libraries."""
    code = (
        "import sys\n"
        "from refire_async.cli import invoke\n"
        f"invoke({arguments!r})\n"
        "heavy = {'aioboto3', 'aiohttp', 'rich', 'structlog', 'anyio', 'orjson', 'refire_async.engine.run'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    child = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert child.stderr.splitlines()[-1] == "[]"


def test_ignore_accepts_every_finding() -> None:
    """Except markers that are impossible, which are always refused."""
    kind = options.Findings()
    refused = {"marker-key", "marker-index-key", "marker-ttl"}
    for finding in KINDS:
        if finding.id in refused:
            with pytest.raises(UsageError):
                kind.convert(finding.id, None, None)
        else:
            assert kind.convert(f"{finding.id}, table-status", None, None) == (finding.id, "table-status")
