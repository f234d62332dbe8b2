"""The text of `--help`: one screen for the program, grouped options and two examples per command."""

import difflib
import itertools
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import click

from refire_async.cli.config_file import config_option
from refire_async.cli.params import Option
from refire_async.cli.streams import print_result
from refire_async.cli.variables import check_variables
from refire_async.errors import UsageError

CONTEXT = {"help_option_names": [], "max_content_width": 100}


def printing_option(
    *names: str,
    text: Callable[[click.Context], str],
    help: str,  # noqa: A002 - click's name for it
) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """An option that prints `text` as a result and ends the program."""

    def show(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's interface
        if value and not ctx.resilient_parsing:
            print_result(text(ctx))
            ctx.exit()

    return click.option(*names, is_flag=True, is_eager=True, expose_value=False, callback=show, help=help)


def _add_help(command: click.Command) -> None:
    """Add -h and --help. Click's own help option fails if the reader of standard output has closed it."""
    printing_option("-h", "--help", text=click.Context.get_help, help="Show this message and exit.")(command)


class Command(click.Command):
    """A command with examples and grouped options. Arguments that it cannot parse raise UsageError."""

    def __init__(
        self,
        *args: Any,
        examples: Sequence[tuple[str, str]] = (),
        unexpected: str = "",
        **settings: Any,
    ) -> None:
        given = settings.get("context_settings", {})
        settings["context_settings"] = {**CONTEXT, "allow_extra_args": True, **given}
        super().__init__(*args, **settings)
        self.examples = examples
        self.unexpected = unexpected
        if any(isinstance(param, Option) for param in self.params):
            self.params.append(config_option())
        _add_help(self)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click, but the error for an unexpected argument says how to give it."""
        if not ctx.resilient_parsing:
            self._check_values(ctx, args)
        try:
            rest = super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise
        if ctx.args and not ctx.resilient_parsing:
            action = self.unexpected.format(ctx.args[0]) or f"see {ctx.command_path} --help"
            raise UsageError(f"unexpected argument {ctx.args[0]!r}", action)
        if not ctx.resilient_parsing:
            check_variables(ctx)
        return rest

    def _check_values(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse an option without its value, which would take the next option, such as --dry-run, for its value."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        names = {name for option in options for name in option.opts}
        with_value = {name for option in options if not option.is_flag for name in option.opts}
        for word, following in itertools.pairwise(args):
            if word == "--":
                return
            if word in with_value and following.partition("=")[0] in names:
                raise UsageError(
                    f"{word} needs a value, and {following} is an option",
                    f"write {word}={following} if it is the value",
                )

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The purpose of the command, then its examples."""
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for comment, line in self.examples:
                    formatter.write_text(f"# {comment}")
                    formatter.write(f"{' ' * formatter.current_indent}{line}\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options under the headings of their groups, in the order in which they were declared."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            # Arguments are in the usage line and the examples.
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                # --help goes with the last group.
                group = param.group if isinstance(param, Option) else next(reversed(groups), "Options")
                also = getattr(param, "variables", ())[1:]
                text = record[1] + (f" [also: {', '.join(also)}]" if also else "")
                groups.setdefault(group, []).append((record[0], text))
        # Groups share one left column.
        widest = max((len(name) for rows in groups.values() for name, _ in rows), default=0)
        for group, rows in groups.items():
            with formatter.section(group):
                formatter.write_dl([(f"{name:<{widest}}", text) for name, text in rows], col_max=widest)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """How to set options in a file or in the environment."""
        variables = [param.own_variable for param in self.params if isinstance(param, Option)]
        if variables:
            formatter.write_paragraph()
            formatter.write_text(
                f"Every option can also be set in the file refire.toml, or in the environment: {variables[0]} for "
                f"{_flag_of(variables[0])}, and so on, with 1 or 0 for flags."
            )


def _flag_of(variable: str) -> str:
    return "--" + variable.removeprefix("REFIRE_").replace("_", "-").lower()


_SYNONYMS = {
    **dict.fromkeys(("pause", "unpause"), "rate RUN_ID pause"),
    **dict.fromkeys(("speed", "throttle", "limit"), "rate RUN_ID 50%"),
    **dict.fromkeys(("list", "ls", "ps", "runs", "show"), "status"),
    **dict.fromkeys(("continue", "restart", "retry"), "resume"),
    **dict.fromkeys(("start", "touch", "refire", "fire"), "run"),
    **dict.fromkeys(("clean", "cleanup", "prune"), "status --clean"),
    **dict.fromkeys(("policy", "iam", "permissions"), "iam-policy"),
    **dict.fromkeys(("prove", "proof"), "verify"),
    **dict.fromkeys(("estimate", "cost", "price"), "plan"),
}
"""Names of commands in other programs, with the command of this one that does the same."""

SIMILARITY = 0.7
"""Similarity (difflib's ratio) above which a name is suggested in place of another."""


def _suggest(word: str, names: Sequence[str]) -> str | None:
    """The command that the user probably means by `word`; None if no name is similar."""
    synonym = _SYNONYMS.get(word.lower())
    if synonym is not None and synonym.split()[0] in names:
        return synonym
    cutoff = SIMILARITY - 0.1 if len(word) < 5 else SIMILARITY
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=cutoff)
    return near[0] if near else None


class LazyGroup(click.Group):
    """The program. A command's module is imported when the command is used, so that `--help` is fast."""

    def __init__(
        self,
        *args: Any,
        names: Sequence[str],
        overview: Sequence[tuple[str, str]],
        start: Sequence[tuple[str, str]],
        **settings: Any,
    ) -> None:
        super().__init__(*args, context_settings=CONTEXT, **settings)
        self._names = names
        self._overview = overview
        self._start = start
        _add_help(self)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click, but a missing command raises UsageError."""
        rest = super().parse_args(ctx, args)
        if not args and not ctx.resilient_parsing:
            raise UsageError("no command given", "start with refire demo, or see refire --help")
        return rest

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """Names in the order in which users need them."""
        return list(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, imported now."""
        if cmd_name not in self._names:
            return None
        command: click.Command = import_module(f"refire_async.cli.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click, but the error for an unknown command suggests a similar one."""
        if args[0] not in self._names:
            if ctx.resilient_parsing:
                return None, None, []
            near = _suggest(args[0], self._names)
            action = f"did you mean refire {near}?" if near else "see refire --help"
            raise UsageError(f"unknown command {args[0]!r}", action)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """First steps, then all commands. The epilog has --help and --version, so that all fits one screen."""
        with formatter.section("Start here"):
            formatter.write_dl(self._start, col_max=40)
        with formatter.section("Commands"):
            formatter.write_dl(self._overview)
