"""Options from a file: `refire.toml` in the working directory, or the one that --config or REFIRE_CONFIG names.

Names at the top level apply to every command that has such an option. Names in a table such as [run] apply to that
command only and override the top level. The environment and the command line override both.
"""

import difflib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from refire_async.cli.params import CONFIG, ConfigFile, Option, quoted
from refire_async.errors import UsageError
from refire_async.private import why_foreign

DEFAULT = Path("refire.toml")

MAX_FILE_BYTES = 1 << 20
"""Maximum size of the file in bytes."""

_TABLES = ("names", "values")
"""Options whose values are JSON objects; in the file they can be TOML tables."""


@dataclass(frozen=True, slots=True)
class Config:
    """The options of one command in a file. `tables` has the table of each option in `values` ("": the top level)."""

    path: Path
    values: dict[str, Any]
    tables: dict[str, str]


def config_option() -> Option:
    """`--config`, an option of every command. It is processed before the others and sets their defaults."""
    return Option(
        ["--config"],
        group="Settings",
        type=ConfigFile("FILE"),
        is_eager=True,
        expose_value=False,
        callback=_apply,
        help="Options from this TOML file; default refire.toml, if it exists.",
    )


def _apply(ctx: click.Context, _param: click.Parameter, given: Path | None) -> None:
    path = given or _default()
    if ctx.resilient_parsing or path is None or str(path) == os.devnull:
        return
    root = ctx.find_root()
    group = root.command
    assert isinstance(group, click.Group)  # noqa: S101 - the program is one
    commands = {}
    for name in group.list_commands(root):
        command = group.get_command(root, name)
        assert command is not None  # noqa: S101 - it was listed
        commands[name] = {
            param.opts[0].removeprefix("--"): param
            for param in command.params
            if isinstance(param, Option) and param.expose_value
        }
    config = read_config(path, ctx.command.name or "", commands)
    ctx.meta[CONFIG] = config
    ctx.default_map = config.values


def _default() -> Path | None:
    """The file in the working directory, if there is one. Raises UsageError if other users can have written it.

    The user did not name this file: in another user's folder it would choose the table, endpoint and credentials.
    """
    try:
        statuses = (DEFAULT.lstat(), DEFAULT.stat())
    except OSError:
        return None
    if not stat.S_ISREG(statuses[1].st_mode):
        return None
    why = next(filter(None, map(why_foreign, statuses)), None)
    if why is not None:
        fix = f"chmod go-w {DEFAULT}, " if "written" in why else ""
        raise UsageError(
            f"{DEFAULT} in this folder {why}",
            f"{fix}name it with --config if you trust it, or ignore it with --config {os.devnull}",
        )
    return DEFAULT


def read_config(path: Path, command: str, commands: Mapping[str, Mapping[str, Option]]) -> Config:
    """The options for `command` in the file; `commands` has the options of each command by name.

    Raises:
        UsageError: the file cannot be read, is not TOML, or contains an unknown name.
    """
    values: dict[str, Any] = {}
    tables: dict[str, str] = {}
    at_top = {name: option for options in commands.values() for name, option in options.items()}
    loaded = _load(path)
    for name, value in loaded.items():
        if isinstance(value, dict) and name in commands:
            continue
        option = _find(path, "", name, at_top, commands if isinstance(value, dict) else ())
        own = commands[command].get(_dashed(name))
        if own is not None:
            values[str(own.name)], tables[str(own.name)] = _value(path, "", name, own, value), ""
        else:
            _value(path, "", name, option, value)
    for table, entries in loaded.items():
        if not (isinstance(entries, dict) and table in commands):
            continue
        for name, value in entries.items():
            option = _find(path, table, name, commands[table], ())
            converted = _value(path, table, name, option, value)
            if table == command:
                values[str(option.name)], tables[str(option.name)] = converted, table
    return Config(path, values, tables)


def _load(path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - not needed without a file

    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise UsageError(f"{path} has more than {MAX_FILE_BYTES >> 10:,} KB", "give a configuration file")
        return tomllib.loads(content.decode())
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply", "docs/configuration.md shows an example") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{path} is not valid TOML: {error}", "docs/configuration.md shows an example"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", "check its permissions, or name another file"
        ) from None


def _find(
    path: Path, table: str, name: str, options: Mapping[str, Option], also: Mapping[str, Any] | tuple[()]
) -> Option:
    found = options.get(_dashed(name))
    if found is not None:
        return found
    what = f"table [{name}]" if also else f"name {quoted(name)}{_in(table)}"
    near = difflib.get_close_matches(_dashed(name), [*options, *also], n=1, cutoff=0.65)
    see = f"refire {table} --help" if table else "refire run --help"
    raise UsageError(f"{path}: unknown {what}", f"did you mean {near[0]}?" if near else f"see {see}")


def _value(path: Path, table: str, name: str, option: Option, value: Any) -> Any:
    """A TOML value as the environment would give it; a list for an option that repeats. Raises UsageError."""
    if isinstance(value, dict) and option.name in _TABLES:
        return json.dumps(value, default=str)
    if isinstance(value, list) and option.multiple:
        return [_scalar(path, table, name, option, part) for part in value]
    scalar = _scalar(path, table, name, option, value)
    return [scalar] if option.multiple else scalar


def _scalar(path: Path, table: str, name: str, option: Option, value: Any) -> Any:
    if isinstance(value, bool) and not option.is_flag:
        raise UsageError(f"{path}: {name}{_in(table)} is {str(value).lower()}", "give a value")
    if isinstance(value, list | dict):
        what = "a list" if isinstance(value, list) else "a table"
        raise UsageError(f"{path}: {name}{_in(table)} is {what}", "give one value")
    return value if isinstance(value, bool | str) else str(value)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _in(table: str) -> str:
    return f" in [{table}]" if table else ""
