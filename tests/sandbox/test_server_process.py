"""The sandbox as a process: how it starts, says what is wrong, and never outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import orjson
import pytest

from refire_async.sandbox import SandboxConfig, SandboxError, SandboxProcess, start_sandbox
from refire_async.sandbox.server import capacity_settings
from tests.sandbox.server_support import client, schema


async def test_start_sandbox_serves_for_the_time_of_the_block() -> None:
    """The URL answers inside of the block; afterwards nothing listens there."""
    table = {"TableName": "given", **schema(pk="S"), "BillingMode": "PAY_PER_REQUEST"}
    config = SandboxConfig(tables=({**table, "Items": [{"pk": {"S": "a"}}]},))
    async with start_sandbox(config) as url:
        found = await anyio.to_thread.run_sync(lambda: client(url).scan(TableName="given"))
        assert found["Items"] == [{"pk": {"S": "a"}}]
    port = int(url.rpartition(":")[2])
    with pytest.raises(OSError, match="connect"):
        await anyio.connect_tcp("127.0.0.1", port)


def test_a_port_that_is_taken_is_told_in_one_line(sandbox_url: str) -> None:
    """Starting a second one on the same port raises and leaves nothing behind."""
    port = int(sandbox_url.rpartition(":")[2])
    second = SandboxProcess(SandboxConfig(port=port))
    with pytest.raises(SandboxError, match=f"cannot listen on 127.0.0.1 port {port}") as caught:
        second.start()
    assert "\n" not in str(caught.value)


def test_a_table_that_cannot_be_made_is_told_in_one_line() -> None:
    """What is wrong in a tables file comes back from the child as the reason."""
    config = SandboxConfig(tables=({"TableName": "x", **schema(pk="S"), "BillingMode": "PAY_PER_REQUEST"},))
    with pytest.raises(SandboxError, match=r"^the sandbox cannot start: table x: Invalid table/index name\."):
        SandboxProcess(config).start()


def test_the_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """kill -9 of the parent closes the pipe that the child waits for."""
    script = (
        "import sys, time; from refire_async.sandbox import SandboxProcess; p = SandboxProcess(); p.start();"
        "print(p.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 30
    while _runs(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_ends_on_a_signal(number: signal.Signals) -> None:
    """The main of `refire sandbox` prints its URL and exits with 0 when it is stopped."""
    script = (
        "from refire_async.sandbox import SandboxConfig, run;"
        "run(SandboxConfig(), on_ready=lambda url: print(url, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        url = server.stdout.readline().decode().strip()
        assert client(url).list_tables()["TableNames"] == []
        server.send_signal(number)
        assert server.wait(30) == 0
        assert server.stderr.read() == b""


def test_a_host_that_others_can_reach_is_warned_about() -> None:
    """Listening beyond loopback works and says so on standard error."""
    script = (
        "from refire_async.sandbox import SandboxConfig, run;"
        "run(SandboxConfig(host='0.0.0.0'), on_ready=lambda url: print(url, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        port = server.stdout.readline().decode().strip().rpartition(":")[2]
        assert client(f"http://127.0.0.1:{port}").list_tables()["TableNames"] == []
        server.terminate()
        assert b"warning: the sandbox listens on 0.0.0.0" in server.stderr.read()


@pytest.mark.parametrize(("given", "seconds"), [(None, 600.0), (2.5, 2.5), ("never", None)])
def test_splitting_for_heat_can_be_turned_off(given: Any, seconds: float | None) -> None:
    """What is said of splits reaches the capacity model, across the process boundary; unsaid it is ten minutes."""
    config = SandboxConfig(split_after=given).validate()
    assert capacity_settings(SandboxConfig.from_json(config.to_json())).split_after == seconds


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"port": 70_000}, "port: 70000 is not between 0 and 65535"),
        ({"burst_seconds": -1}, "burst seconds: -1 is not between 0 and 86400"),
        ({"partitions": 0}, "partitions: 0 is not between 1 and 100000"),
        ({"split_after": 0.0}, "split after: 0.0 seconds is not more than 0; use never to turn it off"),
        ({"latency": "soon"}, "latency 'soon': 'soon' is not a time like 5ms"),
        ({"faults": {"faults": [{"kind": "meteor"}]}}, "the list of kinds has no 'meteor'"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], message: str) -> None:
    """Every setting that is out of range is named with its bounds."""
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        SandboxConfig(**settings).validate()  # type: ignore[arg-type]


def test_files_are_read_and_checked(tmp_path: Path) -> None:
    """Missing files, broken JSON and wrong shapes are told with option and file name."""
    good = tmp_path / "tables.json"
    good.write_bytes(orjson.dumps([{"TableName": "orders"}]))
    faults = tmp_path / "faults.json"
    faults.write_bytes(b'{"faults": []}')
    config = SandboxConfig.from_files(tables_file=good, faults_file=faults, port=1234)
    assert (config.tables, config.faults, config.port) == (({"TableName": "orders"},), {"faults": []}, 1234)
    assert SandboxConfig.from_json(config.to_json()) == config
    broken = tmp_path / "broken.json"
    broken.write_text("[{]")
    cases = [
        ({"tables_file": tmp_path / "none"}, "--tables .*none: No such file or directory"),
        ({"tables_file": broken}, "--tables .*broken.json: not valid JSON"),
        ({"tables_file": faults}, "--tables .*faults.json: must hold a JSON list of tables"),
        ({"faults_file": good}, "--faults .*tables.json: must hold a JSON object"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            SandboxConfig.from_files(**arguments)
