"""`refire config`: the effective options of a command, and where each comes from."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click
from click.core import ParameterSource

from refire_async.cli import options
from refire_async.cli.config_file import Config
from refire_async.cli.help import Command, LazyGroup
from refire_async.cli.params import CONFIG, OneOf, Option, variable_in_use
from refire_async.cli.streams import print_json, print_result
from refire_async.output.text import one_line, shorten

WIDTH = 80

_SOURCES = {
    ParameterSource.COMMANDLINE: "flag",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.DEFAULT_MAP: "file",
}


@dataclass(frozen=True, slots=True)
class EffectiveOption:
    """One option with its effective value. `origin` names the variable, or the file and the table in it.

    `words` are those that the value is one of, empty for any other kind of value.
    """

    name: str
    value: Any
    source: str
    origin: str
    text: str
    words: tuple[str, ...] = ()


@click.command(
    "config",
    cls=Command,
    unexpected="give one command",
    examples=(
        ("The effective options of refire run in this folder", "refire config"),
        ("The effective options of a resume with another file", "refire config resume --config ./night.toml"),
    ),
)
@click.argument("command_name", metavar="[COMMAND]", required=False, default="run")
@options.json_output
@click.pass_context
def command(ctx: click.Context, /, *, command_name: str, json: bool) -> int:
    """Show the effective options of a command (default: run) and where each comes from.

    The command line overrides the environment, which overrides the file, which overrides defaults.
    docs/configuration.md shows an example. Credentials are not options: they stay in the AWS configuration.
    """
    name, config, found = effective_options(ctx, command_name)
    print_json(_json(name, config, found)) if json else print_result(_text(name, config, found))
    return 0


def effective_options(
    ctx: click.Context, command_name: str
) -> tuple[str, Config | None, list[EffectiveOption]]:
    """The name of a command, the file that it reads, and its options. Raises UsageError if it would refuse one."""
    parent = ctx.parent
    group = parent.command if parent is not None else None
    assert parent is not None  # noqa: S101 - a command of the program
    assert isinstance(group, LazyGroup)  # noqa: S101 - the program is one
    name, target, _ = group.resolve_command(parent, [command_name])
    assert target is not None  # noqa: S101 - an unknown one is an error
    # The command that is shown reads the same file.
    own: Config | None = ctx.meta.get(CONFIG)
    arguments = ["--config", str(own.path)] if own is not None else []
    with target.make_context(name, arguments, parent=parent) as shown:
        config: Config | None = shown.meta.get(CONFIG)
        found = [_option(shown, config, param) for param in target.params if _is_shown(param)]
    return str(name), config, found


def _is_shown(param: click.Parameter) -> bool:
    return isinstance(param, Option) and param.expose_value


def _option(ctx: click.Context, config: Config | None, param: click.Parameter) -> EffectiveOption:
    assert isinstance(param, Option)  # noqa: S101 - see _is_shown
    assert param.name is not None  # noqa: S101 - options have one
    value = ctx.params[param.name]
    given = ctx.get_parameter_source(param.name)
    source = _SOURCES.get(given, "default") if given is not None else "default"
    origin = ""
    if source == "environment":
        origin = variable_in_use(param)
    elif source == "file" and config is not None:
        table = config.tables[param.name]
        origin = f"{config.path}{f' [{table}]' if table else ''}"
    if source == "default" and value in (None, (), False):
        return EffectiveOption(param.opts[0][2:], None, source, origin, param.unset or "-")
    if param.name == "endpoint_url":
        value = _without_user(value)
    words = param.type.words if isinstance(param.type, OneOf) else ()
    return EffectiveOption(param.opts[0][2:], _plain(value), source, origin, _format(value), words)


def _without_user(url: str) -> str:
    """The URL without the user name and password that it may contain."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _plain(value: Any) -> Any:
    """A value that JSON can represent."""
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value if isinstance(value, bool | int | float | str) else str(value)


def _format(value: Any) -> str:
    """A value as text."""
    match value:
        case True:
            return "yes"
        case float():
            return f"{value:g}"
        case tuple():
            return ", ".join(_format(part) for part in value)
        case _:
            return str(value)


def _json(name: str, config: Config | None, found: list[EffectiveOption]) -> str:
    import orjson  # noqa: PLC0415 - not needed to show help

    settings = [
        {"name": one.name, "value": one.value, "source": one.source, "from": one.origin or None}
        for one in found
    ]
    file = None if config is None else str(config.path)
    return orjson.dumps({"command": name, "file": file, "settings": settings}).decode()


def _text(name: str, config: Config | None, found: list[EffectiveOption]) -> str:
    """The options that are set come first, then those at their defaults."""
    changed = [one for one in found if one.source != "default"]
    rest = [one for one in found if one.source == "default"]
    file = "no refire.toml in this folder" if config is None else f"file: {config.path}"
    lines = [f"refire {name}: {len(changed)} set, {len(rest)} at their defaults; {file}"]
    names, origins = max(len(one.name) for one in found), max(len(one.origin) for one in found)
    room = max(WIDTH - names - origins - 6, 12)
    for group in (changed, rest):
        if group:
            lines.append("")
        for one in group:
            # A value without an origin may extend into that column.
            text = shorten(one_line(one.text), room if one.origin else WIDTH - names - 4)
            lines.append(f"  {one.name:<{names}}  {text:<{room}}  {one.origin}".rstrip())
    return "\n".join(lines)
