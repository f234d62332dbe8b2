"""The command line in this process, with a fake engine."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pytest

from refire_async import cli
from refire_async.engine import run as engine
from refire_async.errors import ExitCode
from refire_async.events import Emit
from refire_async.model.run import Result
from refire_async.model.stop import StopRequest
from refire_async.settings import ResumeSettings, RunSettings
from tests.output.samples import summary
from tests.support.web_hook import hook

__all__ = ["hook"]

Course: TypeAlias = Callable[[Emit, StopRequest], Awaitable[Result]]


@dataclass
class FakeEngine:
    """Records the settings of each call and does what `course` does."""

    seen: list[RunSettings | ResumeSettings] = field(default_factory=list)
    course: Course | None = None

    async def __call__(
        self,
        settings: RunSettings | ResumeSettings,
        *,
        emit: Emit,
        stop: StopRequest,
        confirm: object = None,  # noqa: ARG002 - the interface of the engine
    ) -> Result:
        self.seen.append(settings)
        if self.course is not None:
            return await self.course(emit, stop)
        return Result(summary(scanned=5, touched=5), ExitCode.COMPLETE)


@dataclass(frozen=True)
class Ended:
    """Exit code and output of the program."""

    code: int
    out: str
    err: str


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Replaces the engine."""
    fake = FakeEngine()
    monkeypatch.setattr(engine, "run", fake)
    monkeypatch.setattr(engine, "resume", fake)
    return fake


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder, and no REFIRE_ variables."""
    for name in [*os.environ]:
        if name.startswith("REFIRE_") or name in ("DynamoTable", "HashKeyName", "HashKeyValue"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "state"


@pytest.fixture
def refire(state: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs the program with these arguments."""

    def run(*arguments: str) -> Ended:
        capfd.readouterr()
        code = cli.invoke(arguments)
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return run
