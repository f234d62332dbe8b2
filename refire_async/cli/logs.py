"""The logs of a command, on standard error and in the file of --log-file."""

import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rich.console import Console

from refire_async import __version__
from refire_async.cli.bug import describe
from refire_async.cli.exit_codes import single
from refire_async.cli.options_to_settings import OutputSettings
from refire_async.errors import RefireError, UsageError
from refire_async.output.logs import LibraryLog, Logger, LogLevel, make_logger
from refire_async.private import NOFOLLOW


@dataclass(frozen=True, slots=True)
class Logs:
    """`screen` logs to standard error, `file` to --log-file (if given). `terminal`: standard error is a terminal."""

    screen: Logger
    file: Logger | None
    terminal: bool

    def info(self, event: str, **fields: object) -> None:
        """Log to both."""
        for logger in filter(None, (self.screen, self.file)):
            logger.info(event, **fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log to both, as a warning."""
        for logger in filter(None, (self.screen, self.file)):
            logger.warning(event, **fields)


@contextmanager
def open_logs(
    output: OutputSettings, console: Console, lost: Callable[[OSError], None] | None = None
) -> Iterator[Logs]:
    """Open the logs for the block, and log warnings of libraries. An error that ends the block is logged to the file.

    `lost` is called with the error if standard error cannot be written.

    Raises:
        UsageError: the file cannot be written.
    """
    terminal = sys.stderr.isatty()
    colors = terminal and not console.no_color and not console.is_dumb_terminal
    human = terminal if output.log_format is None else output.log_format == "text"
    screen = make_logger(output.log_level, human=human, colors=colors, lost=lost)
    with ExitStack() as stack:
        stack.enter_context(_library_log(screen))
        file = None
        if output.log_file is not None:
            stream = stack.enter_context(_opened(output.log_file))
            # A file is read afterwards, so it has the info events too.
            level: LogLevel = "debug" if output.log_level == "debug" else "info"
            file = make_logger(level, human=False, stream=stream)
            stack.enter_context(_library_log(file))
            file.info("program.started", version=__version__)
        logs = Logs(screen, file, terminal)
        if output.config is not None:
            logs.info("config.read", file=str(output.config))
        try:
            yield logs
        except Exception as error:
            if file is not None:
                _log_end(file, error)
            raise


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UsageError(
                f"--log-file {path} is a link, which is not followed", "name the file itself"
            ) from None
        raise UsageError(
            f"--log-file {path} cannot be written: {error.strerror}", "choose another file"
        ) from None
    stream = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace")
    try:
        yield stream
    finally:
        with suppress(OSError):  # a full disk: the rest of the log is lost, the run continues
            stream.close()


def _log_end(logger: Logger, error: Exception) -> None:
    cause = single(error)
    if isinstance(cause, RefireError):
        logger.error("program.error", text=str(cause), exit_code=int(cause.exit_code))
    else:
        logger.error("program.bug", type=type(cause).__name__, traceback=describe(error))


@contextmanager
def _library_log(logger: Logger) -> Iterator[None]:
    handler = LibraryLog(logger)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
