"""A handler in this process: it gets what Lambda would pass, and what it does is said as Lambda would."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from refire_async.delivery.target import Answer
from refire_async.delivery.targets.python_handler import PythonHandler, load_handler
from refire_async.errors import UsageError

EVENT = b'{"Records":[{"eventID":"1","dynamodb":{"ApproximateCreationDateTime":1.5}}]}'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """A directory to run in; gives what writes modules there. They are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    known = set(sys.modules)

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    yield write
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(tmp_path)):
            del sys.modules[name]


async def invoke(to: str) -> Answer:
    return await load_handler(to).invoke(EVENT)


async def test_event_and_context(here: Callable[[str, str], None]) -> None:
    """Modules of the current directory, packages too, with whatever they import from there."""
    here("consumer_app/__init__.py", "")
    here("consumer_app/names.py", "KEY = 'ids'")
    here(
        "consumer_app/main.py",
        "from consumer_app.names import KEY\n"
        "def handler(event, context):\n"
        "    assert 0 < context.get_remaining_time_in_millis() <= 900_000\n"
        "    return {KEY: [r['eventID'] for r in event['Records']], 'name': context.function_name,\n"
        "            'arn': context.invoked_function_arn.split(':')[6], 'id': context.aws_request_id,\n"
        "            'version': context.function_version, 'memory': int(context.memory_limit_in_mb),\n"
        "            'log': context.log_group_name}\n",
    )
    answers = [await invoke("python:consumer_app.main.handler") for _ in range(2)]
    first, second = (json.loads(answer.payload) for answer in answers)
    assert first["ids"] == ["1"]
    assert (first["name"], first["arn"], first["version"], first["memory"]) == (
        "handler",
        "handler",
        "$LATEST",
        128,
    )
    assert first["id"] != second["id"]
    assert answers[0].function_error is None


async def test_runs_in_a_thread_one_at_a_time(here: Callable[[str, str], None]) -> None:
    """As one environment of Lambda: the loop goes on meanwhile, and modules with state are safe."""
    here(
        "slow_app.py",
        "import threading, time\n"
        "main, inside = threading.main_thread(), 0\n"
        "def handler(event, context):\n"
        "    global inside\n"
        "    assert threading.current_thread() is not main\n"
        "    inside += 1\n"
        "    assert inside == 1\n"
        "    time.sleep(0.01)  # so that two calls would overlap\n"
        "    inside -= 1\n",
    )
    target = load_handler("python:slow_app.handler")
    answers: list[Answer] = []

    async def call() -> None:
        answers.append(await target.invoke(EVENT))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(call)
    assert [(answer.payload, answer.function_error) for answer in answers] == [(b"null", None)] * 5


@pytest.mark.parametrize("how", ["async def handler", "def handler"])
async def test_coroutines(here: Callable[[str, str], None], how: str) -> None:
    """An async function, and a function that returns a coroutine."""
    body = (
        "    return 7\n"
        if how.startswith("async")
        else "    return other(event)\nasync def other(event): return 7\n"
    )
    here("coroutine_app.py", f"{how}(event, context):\n{body}")
    assert (await invoke("python:coroutine_app.handler")).payload == b"7"


async def test_decimals_are_numbers(here: Callable[[str, str], None]) -> None:
    """As in Lambda's runtime for Python."""
    here(
        "decimal_app.py",
        "from decimal import Decimal\ndef handler(event, context): return [Decimal('1.5')]\n",
    )
    assert json.loads((await invoke("python:decimal_app.handler")).payload) == [1.5]


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("raise KeyError('k')", "KeyError", "'k'"),
        ("raise SystemExit(3)", "Runtime.ExitError", "3"),
        ("return {1, 2}", "Runtime.MarshalError", "set is not JSON"),
        ("a = []; a.append(a); return a", "Runtime.MarshalError", "Circular"),
    ],
)
@pytest.mark.parametrize("how", ["def", "async def"])
async def test_failures_are_function_errors(
    here: Callable[[str, str], None], how: str, line: str, kind: str, message: str
) -> None:
    """With the payload that Lambda has for them; the trace has the handler's frames only."""
    here("failing_app.py", f"{how} handler(event, context):\n    {line}\n")
    answer = await invoke("python:failing_app.handler")
    assert answer.function_error == "Unhandled"
    payload = json.loads(answer.payload)
    assert (payload["errorType"], message in payload["errorMessage"]) == (kind, True)
    assert payload["requestId"]
    if not kind.startswith("Runtime.M"):
        (frame,) = payload["stackTrace"]
        assert "failing_app.py" in frame
        assert line in frame


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("python:", "names no handler"),
        ("python:handler", "names no handler"),
        ("python:a..b", "names no handler"),
        ("python:no_such_app.handler", "no Python module no_such_app"),
        ("python:no_such_app.sub.handler", "no Python module no_such_app"),
        ("python:good_app.missing", "good_app has no function missing"),
        ("python:good_app.VALUE", "good_app has no function VALUE"),
        ("python:broken_app.handler", "broken_app cannot be imported: ZeroDivisionError"),
        ("python:exits_app.handler", "exits_app cannot be imported: SystemExit"),
        ("python:typo_app.handler", "typo_app cannot be imported: SyntaxError"),
        (
            "python:needs_app.handler",
            "needs_app cannot be imported: ModuleNotFoundError: No module named 'absent'",
        ),
    ],
)
def test_handlers_that_are_not_there(here: Callable[[str, str], None], to: str, says: str) -> None:
    """One line that says what to correct."""
    here("good_app.py", "VALUE = 1\n")
    here("broken_app.py", "1 / 0\n")
    here("exits_app.py", "raise SystemExit(3)\n")
    here("typo_app.py", "def handler(:\n")
    here("needs_app.py", "import absent\n")
    with pytest.raises(UsageError) as caught:
        load_handler(to)
    assert says in caught.value.message
    assert "\n" not in str(caught.value)
    assert caught.value.action


def test_a_pipes_target_wants_arrays() -> None:
    """What is passed on is the same."""
    handler: Callable[..., Any] = print
    assert PythonHandler("python:m.f", handler, wants_array=True).wants_array
    assert not PythonHandler("python:m.f", handler).wants_array
