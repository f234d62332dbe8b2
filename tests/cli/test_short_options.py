"""One-letter options, the format of logs, and percentages with and without the sign."""

from collections.abc import Callable

import anyio
import orjson
import pytest

from refire_async.errors import ExitCode
from refire_async.events import Emit, PageRead, Waiting
from refire_async.model.run import Result
from refire_async.settings import RunSettings
from tests.cli.conftest import Ended, FakeEngine
from tests.output.samples import started, summary

RUN = ("run", "-t", "orders")


async def course(emit: Emit, _stop: object) -> Result:
    """Log at each level."""
    await anyio.lowlevel.checkpoint()
    emit(started())
    emit(PageRead(0, 3, 0.5, 0.01))
    emit(Waiting("ConnectionReset", 30.0))
    return Result(summary(), ExitCode.COMPLETE)


@pytest.mark.parametrize(
    ("options", "events"),
    [
        ((), ["run.started", "run.waiting"]),
        (("-q",), ["run.waiting"]),
        (("-v",), ["run.started", "page.read", "run.waiting"]),
        (("--quiet", "--log-level", "error"), []),
    ],
)
def test_log_level(
    refire: Callable[..., Ended], fake_engine: FakeEngine, options: tuple[str, ...], events: list[str]
) -> None:
    """Quiet leaves warnings, verbose shows all; a given level overrides both."""
    fake_engine.course = course
    ended = refire(*RUN, *options)
    assert ended.code == 0
    assert [orjson.loads(line)["event"] for line in ended.err.splitlines()] == events
    (seen,) = fake_engine.seen
    assert isinstance(seen, RunSettings)
    assert seen.table == "orders"


def test_format(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """Text can be chosen without a terminal."""
    fake_engine.course = course
    assert "[warning] run.waiting" in refire(*RUN, "--log-format", "text").err
    lines = refire(*RUN, "--log-format", "json").err.splitlines()
    assert [orjson.loads(line)["level"] for line in lines] == ["info", "warning"]


@pytest.mark.parametrize("sign", ["", "%"])
def test_percentages(refire: Callable[..., Ended], fake_engine: FakeEngine, sign: str) -> None:
    """50 and 50% are the same for every share."""
    words = ("--wcu-percent", f"50{sign}", "--headroom", f"20{sign}", "--sample", f"2.5{sign}")
    assert refire(*RUN, *words).code == 0
    (seen,) = fake_engine.seen
    assert isinstance(seen, RunSettings)
    assert seen.budget.wcu_percent == 50
    assert seen.pacing.headroom_percent == 20
    assert seen.selection.sample == 2.5
