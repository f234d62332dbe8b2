"""A Python handler of a Lambda function, called in this process: to debug it with real events."""

import importlib
import inspect
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

import anyio
import anyio.to_thread

from refire_async.delivery.target import Answer
from refire_async.errors import UsageError

PREFIX = "python:"

LONGEST_S = 900.0
"""The timeout that a handler sees: Lambda's longest."""

_ACCOUNT = "000000000000"


class Context:
    """What Lambda passes to a handler beside the event (Lambda Developer Guide: Python context object).

    The ARN and the log's names are made up; `get_remaining_time_in_millis` counts down from `LONGEST_S`, and nothing
    ends the handler when it comes to 0.
    """

    function_version = "$LATEST"
    memory_limit_in_mb = "128"
    identity = None
    client_context = None

    def __init__(self, function_name: str) -> None:
        self.function_name = function_name
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        self.invoked_function_arn = f"arn:aws:lambda:{region}:{_ACCOUNT}:function:{function_name}"
        self.aws_request_id = str(uuid4())
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_stream_name = f"[$LATEST]{self.aws_request_id}"
        self._ends_at = time.monotonic() + LONGEST_S

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds to the timeout, 0 after it."""
        return max(0, int((self._ends_at - time.monotonic()) * 1000))


class PythonHandler:
    """A Target: one call at a time, as in one environment of Lambda. A synchronous handler runs in a thread."""

    def __init__(self, name: str, handler: Callable[..., Any], *, wants_array: bool = False) -> None:
        self.name = name
        self._handler = handler
        self.wants_array = wants_array
        self._turn = anyio.Lock()

    async def invoke(self, event: bytes) -> Answer:
        """See Target. What the handler raises becomes a function error."""
        async with self._turn:
            context = Context(self.name.rpartition(":")[2].rpartition(".")[2])
            try:
                value = await self._call(json.loads(event), context)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a handler may raise anything
                return Answer(_error_payload(error, context.aws_request_id), "Unhandled")
            try:
                return Answer(json.dumps(value, default=_default).encode())
            except (TypeError, ValueError) as error:
                failed = {
                    "errorMessage": f"Unable to marshal response: {error}",
                    "errorType": "Runtime.MarshalError",
                    "requestId": context.aws_request_id,
                    "stackTrace": [],
                }
                return Answer(json.dumps(failed).encode(), "Unhandled")

    async def _call(self, event: Any, context: Context) -> Any:
        if inspect.iscoroutinefunction(self._handler):
            return await self._handler(event, context)
        value = await anyio.to_thread.run_sync(self._handler, event, context)
        return await value if inspect.isawaitable(value) else value


def _default(value: Any) -> Any:
    """As in Lambda's runtime for Python: decimals are numbers, and nothing else is added to JSON."""
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _error_payload(error: BaseException, request_id: str) -> bytes:
    """What Lambda answers for an exception (Lambda Developer Guide: Python function errors)."""
    kind = "Runtime.ExitError" if isinstance(error, SystemExit) else type(error).__name__
    payload = {
        "errorMessage": str(error),
        "errorType": kind,
        "requestId": request_id,
        "stackTrace": traceback.format_list(traceback.extract_tb(_own(error.__traceback__))),
    }
    return json.dumps(payload).encode()


def _own(place: TracebackType | None) -> TracebackType | None:
    """The traceback from the handler on, without the frames that called it."""
    while place is not None and _calls_handlers(place.tb_frame.f_globals):
        place = place.tb_next
    return place


def _calls_handlers(module: dict[str, Any]) -> bool:
    return module is globals() or str(module.get("__name__")).partition(".")[0] == "anyio"


def load_handler(to: str, *, wants_array: bool = False) -> PythonHandler:
    """The handler that `python:MODULE.FUNCTION` names. The current directory is searched first.

    Raises UsageError: it cannot be imported, or is no function.
    """
    module_name, dot, function = to.removeprefix(PREFIX).rpartition(".")
    if not dot or not all(word.isidentifier() for word in (*module_name.split("."), function)):
        raise UsageError(
            f"{to!r} names no handler", "write python:MODULE.FUNCTION, for example python:app.handler"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _not_imported(module_name, error) from error
        raise UsageError(
            f"there is no Python module {error.name}",
            f"run this in the directory of {module_name}, or install it",
        ) from None
    except (Exception, SystemExit) as error:
        raise _not_imported(module_name, error) from error
    handler = getattr(module, function, None)
    if not callable(handler):
        raise UsageError(f"{module_name} has no function {function}", "check the name after --to python:")
    return PythonHandler(to, handler, wants_array=wants_array)


def _not_imported(module: str, error: BaseException) -> UsageError:
    said = " ".join(str(error).split())
    return UsageError(f"{module} cannot be imported: {type(error).__name__}: {said}", "correct the module")
