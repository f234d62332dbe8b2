"""The boundary of the program: every error becomes one line on standard error and an exit code."""

import difflib
from collections.abc import Callable, Mapping, Sequence

import click

from refire_async.cli.streams import flush, say_error
from refire_async.cli.system_errors import from_system
from refire_async.errors import ExitCode, RefireError, UsageError
from refire_async.output.text import visible

_READ = ("REFIRE_", "AWS_", "DynamoTable", "HashKeyName", "HashKeyValue")
"""Prefixes of the variables that this program or botocore reads."""


def check_text(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Refuse arguments and variables that are not UTF-8: they cannot be stored or sent. Raises UsageError.

    Python decodes invalid bytes as lone surrogates (PEP 383).
    """
    for word in arguments:
        if not _is_text(word):
            raise UsageError(
                f"argument {visible(word)} is not UTF-8", "rename the file, or write the value in UTF-8"
            )
    for name, value in environment.items():
        if name.startswith(_READ) and not _is_text(name + value):
            raise UsageError(f"variable {visible(name)} is not UTF-8", "set it to text in UTF-8, or unset it")


def _is_text(word: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in word)


def guarded(work: Callable[[], int]) -> int:
    """The exit code of `work`, or of the error that ended it, which is printed as one line."""
    try:
        code = work()
    except KeyboardInterrupt:
        say_error("interrupted before anything was written")
        code = ExitCode.INTERRUPTED
    except click.exceptions.Exit as ending:
        code = ending.exit_code
    except Exception as error:  # noqa: BLE001 - every error becomes one line here
        code = report(error)
    flush()
    return int(code)


def report(error: Exception) -> int:
    """Print the error as one line and return its exit code. Write a report on an error that no user can cause."""
    cause = single(error)
    match cause:
        case RefireError():
            say_error(str(cause))
            return cause.exit_code
        case click.ClickException():
            return report(_usage_error(cause))
        case _ if (refused := from_system(cause)) is not None:
            return report(refused)
        case _:
            from refire_async.cli.bug import write_report  # noqa: PLC0415 - rarely needed

            path = write_report(error)
            report_with = f"with {path}" if path is not None else "(no report file could be written)"
            say_error(f"this is a bug: {type(cause).__name__}; please report it {report_with}")
            return ExitCode.BUG


def single(error: BaseException) -> BaseException:
    """The one error inside of groups. Of several, one that is a bug if there is one, so that it is not hidden."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [single(inner) for inner in error.exceptions]
    bugs = [cause for cause in causes if not isinstance(cause, RefireError) and from_system(cause) is None]
    return (bugs or causes)[0]


def _usage_error(error: click.ClickException) -> RefireError:
    """An error of click's parser as a UsageError."""
    ctx = getattr(error, "ctx", None)
    see = f"see {ctx.command_path} --help" if ctx is not None else "see refire --help"
    match error:
        case click.NoSuchOption():
            return UsageError(f"unknown option {error.option_name}", _nearest(error, ctx) or see)
        case click.MissingParameter():
            name = error.param.opts[0] if error.param is not None and error.param.opts else "a value"
            return UsageError(f"{name} is missing", see)
        case click.BadOptionUsage() if "requires" in error.message:
            return UsageError(f"{error.option_name} needs a value", see)
        case click.BadOptionUsage() if "take" in error.message:
            return UsageError(f"{error.option_name} takes no value", see)
        case _:
            return UsageError(error.format_message().rstrip("."), see)


def _nearest(error: click.NoSuchOption, ctx: click.Context | None) -> str:
    if not error.option_name.startswith("--"):
        return "options begin with two dashes, except -t, -q, -v and -h"
    known = [name for param in ctx.command.get_params(ctx) for name in param.opts] if ctx is not None else []
    near = difflib.get_close_matches(error.option_name, known, n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else ""
