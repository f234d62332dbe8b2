"""`refire rate`: its requests to the run, and the text of the responses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from anyio.from_thread import start_blocking_portal

from refire_async.checkpoint import catalog
from refire_async.checkpoint.lock import locked
from refire_async.checkpoint.store import Store
from refire_async.pacing.control.protocol import RefusedVerbError
from refire_async.pacing.control.server import open_listener, serve
from refire_async.settings import Connection
from tests.cli.conftest import Ended
from tests.output.samples import SPEC

HOLDS = {
    "run_id": "run-1",
    "by": "options",
    "set": "the budget of the options",
    "paused": False,
    "wcu": 800.0,
    "rcu": 12.5,
    "max_rate": None,
    "capacity": 1_000.0,
    "why": "80% of the table's provisioned capacity",
}


ABOVE = (
    "Run run-1: 3,000 WCU/s, 12.5 RCU/s: x. "
    "This exceeds the table's capacity of 1,000 WCU/s: expect throttling, also of other writers\n"
)


@pytest.fixture
def checkpoint(state: Path) -> Path:
    path = catalog.path_of("run-1")
    Store.create(path, SPEC, Connection()).close()
    return path


@contextmanager
def at_work(checkpoint: Path, answer: Callable[[Any], Any]) -> Iterator[None]:
    """A run in a thread that holds the lock and gives this response to `rate`."""
    with locked(checkpoint), start_blocking_portal() as portal:
        found = portal.call(open_listener, checkpoint)
        assert found is not None
        served = portal.start_task_soon(serve, *found, {"rate": answer})
        yield
        served.cancel()


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (("run-1",), {}),
        (("run-1", "50%"), {"value": "50%"}),
        (("--checkpoint", "FILE"), {}),
        (("--checkpoint", "FILE", "3000"), {"value": "3000"}),
        (("--checkpoint", "FILE", "run-1", "auto"), {"value": "auto"}),
    ],
)
def test_a_run_and_a_rate(
    refire: Callable[..., Ended], checkpoint: Path, words: tuple[str, ...], given: dict[str, str]
) -> None:
    """By its id or its checkpoint; with a checkpoint the one argument is the rate."""
    seen: list[Any] = []
    with at_work(checkpoint, lambda asked: seen.append(dict(asked)) or HOLDS):
        ended = refire("rate", *(str(checkpoint) if word == "FILE" else word for word in words), "--json")
    assert (ended.code, ended.err) == (0, "")
    assert orjson.loads(ended.out) == HOLDS
    assert seen == [given]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "Run run-1: 800 WCU/s, 12.5 RCU/s: 80% of the table's provisioned capacity\n"),
        ({"max_rate": 50.0, "why": "x"}, "Run run-1: 800 WCU/s, 12.5 RCU/s, 50 items/s at most: x\n"),
        (
            {"wcu": 3_000.0, "why": "x"},
            ABOVE,
        ),
        ({"paused": True, "why": "paused by refire rate"}, "Run run-1 is paused: paused by refire rate\n"),
    ],
)
def test_text(refire: Callable[..., Ended], checkpoint: Path, changes: dict[str, Any], line: str) -> None:
    """One line with the current rate and its reason."""
    with at_work(checkpoint, lambda _: {**HOLDS, **changes}):
        assert refire("rate", "run-1").out == line


def test_a_run_that_refuses(refire: Callable[..., Ended], checkpoint: Path) -> None:
    """The reason is the run's own message."""

    def refuse(_: Any) -> Any:
        raise RefusedVerbError("no such rate")

    with at_work(checkpoint, refuse):
        ended = refire("rate", "run-1", "5")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("refire: run run-1 refuses: no such rate; ")


def test_a_run_that_cannot_be_reached(refire: Callable[..., Ended], checkpoint: Path) -> None:
    """It holds its checkpoint, so the error says that it is in progress."""
    with locked(checkpoint):
        ended = refire("rate", "run-1", "5")
    assert (ended.code, ended.out) == (2, "")
    assert "run run-1 is in progress but cannot be reached" in ended.err


def test_a_run_that_is_not_in_progress(refire: Callable[..., Ended], checkpoint: Path) -> None:
    ended = refire("rate", "run-1")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "refire: run run-1 is not in progress; resume it: refire resume run-1\n"


def test_run_and_checkpoint_of_another(refire: Callable[..., Ended], checkpoint: Path) -> None:
    ended = refire("rate", "--checkpoint", str(checkpoint), "other", "50%")
    assert ended.code == 2
    assert "belongs to run run-1, not to other" in ended.err
