"""The engine against a sandbox in the same loop, in virtual time."""

import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from refire_async.engine import run as engine
from refire_async.events import Event
from refire_async.model.run import Result
from refire_async.model.stop import StopRequest
from refire_async.settings import ResumeSettings, RunSettings
from tests.support.inprocess_server import InProcess
from tests.support.virtual_time import VIRTUAL_TIME

Service: TypeAlias = Callable[..., InProcess]


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """Returns a function that starts the DynamoDB of the engine with tables from `table_spec`."""

    def make(*tables: dict[str, Any], **options: Any) -> InProcess:
        made = InProcess(*tables, **options)
        monkeypatch.setattr(engine, "open_session", made.open_session)
        return made

    return make


class Runs:
    """Attempts of the engine with one checkpoint."""

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.events: list[Event] = []

    async def run(self, stop: StopRequest | None = None, **settings: Any) -> Result:
        """`refire run` on table `orders`."""
        chosen = RunSettings(**{"table": "orders", "checkpoint": self.checkpoint, **settings})
        return await self._attempt(functools.partial(engine.run, chosen), stop)

    async def resume(self, stop: StopRequest | None = None, **settings: Any) -> Result:
        """`refire resume`."""
        chosen = ResumeSettings(**{"checkpoint": self.checkpoint, **settings})
        return await self._attempt(functools.partial(engine.resume, chosen), stop)

    async def _attempt(self, attempt: Callable[..., Awaitable[Result]], stop: StopRequest | None) -> Result:
        self.events = []
        return await attempt(emit=self.events.append, stop=stop or StopRequest())

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of this kind in the last attempt."""
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Runs(tmp_path / "run.refire")
