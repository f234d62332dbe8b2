"""What can go wrong, what the user can do about it, and the exit code that says so.

Every error that a user can cause or meet is a `RefireError`: one line that says what happened and one that
says what to do. Everything else is a bug (exit code 1).
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `refire`. Scripts rely on them; see docs/scripting.md."""

    COMPLETE = 0
    BUG = 1
    USAGE = 2
    STOPPED = 3
    SOME_FAILED = 4
    UNPROVEN = 5
    REFUSED = 10
    CHECKPOINT_REFUSED = 11
    INTERRUPTED = 130


class RefireError(Exception):
    """Base of all errors with a cause outside this program.

    `message` says what happened, `action` what to do about it. Both are one line without a final stop.
    """

    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, message: str, action: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.action = action

    def __str__(self) -> str:
        return f"{self.message}; {self.action}" if self.action else self.message


def first_of(group: BaseExceptionGroup[RefireError]) -> RefireError:
    """The first error of a group that `except* RefireError` has sorted out, however deep it lies."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, RefireError)  # noqa: S101 - no others are in such a group
    return error


def alone(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group of `RefireError` alone, for callers that expect one; else the group itself.

    What is raised within `except*` becomes a group again, so this is for a plain `except`.
    """
    known, other = group.split(RefireError)
    return group if other is not None or known is None else first_of(known)


class UsageError(RefireError):
    """Bad option, file or value: nothing was tried."""

    exit_code = ExitCode.USAGE


class RefusedError(RefireError):
    """Table, credentials or permission do not allow the run: nothing was written."""

    exit_code = ExitCode.REFUSED


class CheckpointRefusedError(RefireError):
    """The checkpoint belongs to something else, is damaged or is in use; what it holds stays as it is."""

    exit_code = ExitCode.CHECKPOINT_REFUSED


class StoppedError(RefireError):
    """The run ended before its end and can be resumed."""

    exit_code = ExitCode.STOPPED
