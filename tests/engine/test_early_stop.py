"""A stop that is requested before a run has begun."""

from pathlib import Path

import anyio
import pytest

from refire_async.engine import run as engine
from refire_async.errors import ExitCode, StoppedError
from refire_async.model.stop import StopReason, StopRequest
from refire_async.settings import Connection, RunSettings
from tests.aws.hostile import dripping, silence
from tests.aws.raw_server import Act, RawServer, Talk

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


def then(act: Act, reached: anyio.Event) -> Act:
    """Set `reached` at the request, and continue with `act`."""

    async def play(talk: Talk) -> None:
        reached.set()
        await act(talk)

    return play


@pytest.mark.parametrize(
    ("reason", "code"), [("interrupted", ExitCode.INTERRUPTED), ("terminated", ExitCode.STOPPED)]
)
@pytest.mark.parametrize("act", [silence, dripping(HEAD)], ids=["silence", "drip"])
async def test_the_run_ends_while_it_waits_for_the_table(
    act: Act, reason: StopReason, code: ExitCode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At once, with the exit code of the signal; no checkpoint remains."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "scenario")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "scenario")
    stop, reached = StopRequest(), anyio.Event()
    async with RawServer() as server:
        server.plays(then(act, reached))
        connection = Connection(region="eu-west-1", endpoint_url=server.url)
        checkpoint = tmp_path / "run.checkpoint"
        settings = RunSettings(table="orders", connection=connection, checkpoint=checkpoint)
        async with anyio.create_task_group() as tasks:

            async def request_stop() -> None:
                await reached.wait()
                stop.request(reason)

            tasks.start_soon(request_stop)
            with anyio.fail_after(5), pytest.raises(StoppedError, match="nothing was written") as caught:
                await engine.run(settings, emit=lambda _event: None, stop=stop)
    assert caught.value.exit_code is code
    assert not checkpoint.exists()
