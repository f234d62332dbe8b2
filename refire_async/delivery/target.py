"""What receives events: the protocol that each module in targets/ implements."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from refire_async.errors import ExitCode, RefireError

EVENT_LIMIT = 6 * 1024 * 1024
"""Bytes of an event at most (Lambda Developer Guide: Lambda quotas, synchronous invocation payload)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the target answered. `payload` is its JSON, empty if it answers nothing.

    `function_error` is the kind of a function error (`Unhandled`), None if there was none. `log_tail` is the end of
    the invocation's log, at most 4 KB. `version` is the version that ran.
    """

    payload: bytes = b""
    function_error: str | None = None
    log_tail: str = ""
    version: str = "$LATEST"


class Fate(Enum):
    """What an invocation that was not answered means for its batch."""

    THROTTLED = "throttled"
    """Refused for lack of concurrency or rate: not run, uses no attempt."""
    WAIT = "wait"
    """Refused for a passing reason: not run, uses no attempt."""
    TOO_LARGE = "too-large"
    """The event is too large: not run; split the batch."""
    STOP = "stop"
    """Nothing can be delivered until the user has changed something: not run."""
    UNKNOWN = "unknown"
    """The answer is lost: the function may have run."""


class InvocationError(RefireError):
    """An invocation without an answer of the function. `code` is the service's short name for the error.

    `reason` is that of a 429 (`ReservedFunctionConcurrentInvocationLimitExceeded`, …), `retry_after_s` what the
    service asks to wait, in seconds.
    """

    def __init__(
        self,
        code: str,
        message: str,
        fate: Fate,
        *,
        action: str = "",
        reason: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, action)
        self.code = code
        self.fate = fate
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.exit_code = ExitCode.REFUSED if fate is Fate.STOP else ExitCode.STOPPED


class Target(Protocol):
    """Receives events, several at a time. `open_target` (targets/opening.py) makes one."""

    @property
    def name(self) -> str:
        """For people and for the ledger: a function's ARN, a file's path."""
        ...

    @property
    def wants_array(self) -> bool:
        """Whether an event is the bare array of records (a Pipe's target) and not `{"Records": [...]}`."""
        ...

    async def invoke(self, event: bytes) -> Answer:
        """Deliver one event and wait for its end. Raises InvocationError."""
        ...
