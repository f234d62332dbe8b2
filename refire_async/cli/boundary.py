"""The edge of the program: whatever happens inside becomes one line on standard error and an exit code."""

import contextlib
import difflib
import os
import sys
from collections.abc import Callable

import click

from refire_async.errors import ExitCode, RefireError, UsageError
from refire_async.report.text import one_line, shorten

_LONGEST_LINE = 1_000


def open_streams() -> None:
    """Put the null device where the caller closed standard output or error (`>&-`).

    Python has None there then, and the next file to be opened, such as a checkpoint, would get its number.
    """
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", encoding="utf-8"))


def guarded(work: Callable[[], int]) -> int:
    """The exit code of `work`, or of the error that ended it, which is told in one line."""
    try:
        code = work()
    except KeyboardInterrupt:
        say_error("interrupted before anything was written")
        code = ExitCode.INTERRUPTED
    except click.exceptions.Exit as ending:
        code = ending.exit_code
    except Exception as error:  # noqa: BLE001 - this is the place that turns every error into a line
        code = report(error)
    _flush()
    return int(code)


def report(error: Exception) -> int:
    """Tell the error in one line and give its exit code. What no user can cause is a bug, with a file about it."""
    cause = single(error)
    match cause:
        case RefireError():
            say_error(str(cause))
            return cause.exit_code
        case click.ClickException():
            return report(_usage_error(cause))
        case _:
            from refire_async.cli.bug import write_report  # noqa: PLC0415 - rarely needed

            say_error(f"this is a bug: {type(cause).__name__}; please report it with {write_report(error)}")
            return ExitCode.BUG


def say_error(text: str) -> None:
    """`refire: text` as exactly one line on standard error, and not an endless one."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"refire: {shorten(one_line(text), _LONGEST_LINE)}\n")
        sys.stderr.flush()


def print_note(line: str) -> None:
    """Write a line that is no result to standard error, as it is. One that cannot be written is lost."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def print_result(text: str) -> None:
    """Write a result to standard output. A reader that has gone away changes nothing about how the run ended."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _close_stdout()


def _flush() -> None:
    try:
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        _close_stdout()


def _close_stdout() -> None:
    """Give the interpreter something to flush at its end that does not fail again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def single(error: BaseException) -> BaseException:
    """The one error inside of groups. Of several, one that is a bug, because it must not go unseen."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [single(inner) for inner in error.exceptions]
    bugs = [cause for cause in causes if not isinstance(cause, RefireError)]
    return (bugs or causes)[0]


def _usage_error(error: click.ClickException) -> RefireError:
    """An error of click's parser in our words."""
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
        return "options begin with two dashes"
    known = [name for param in ctx.command.get_params(ctx) for name in param.opts] if ctx is not None else []
    near = difflib.get_close_matches(error.option_name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else ""
