"""Long runs, with real processes and connections: credentials expire, the network fails."""

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.backends import Backend, on_one_backend
from tests.support.cli import SECRETS, Cli
from tests.support.gate import Gate, gate_before
from tests.support.judge import Snapshot, assert_summary
from tests.support.proxy import Call, Proxy, Reply
from tests.support.rows import hash_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]

ISSUER = """#!{python}
# Gives credentials like a company's own tool: a new key each time, sometimes none at all.
import datetime, json, os, pathlib, sys
calls = pathlib.Path({calls!r})
number = len(calls.read_text()) + 1 if calls.exists() else 1
calls.write_text("x" * number)
trouble = calls.with_name("trouble")
if number in {fails} or trouble.exists():
    trouble.unlink(missing_ok=True)
    sys.exit(os.environ["PLANTED_KEY"] + ": the login server is away")
expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds={lifetime_s})
print(json.dumps({{
    "Version": 1, "AccessKeyId": f"AKIAISSUED{{number}}",
    "SecretAccessKey": os.environ["PLANTED_KEY"], "SessionToken": os.environ["PLANTED_TOKEN"],
    "Expiration": expires.isoformat(),
}}))
"""


def issue(home: Path, *, lifetime_s: int, fails: tuple[int, ...] = ()) -> tuple[dict[str, str | None], Path]:
    """An AWS configuration with a credential process; its environment and a file with an x per call."""
    calls, script = home / "calls", home / "issuer"
    script.write_text(
        ISSUER.format(python=sys.executable, calls=str(calls), fails=fails, lifetime_s=lifetime_s)
    )
    script.chmod(stat.S_IRWXU)
    config = home / "aws-config"
    config.write_text(f"[default]\ncredential_process = {script}\n")
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    planted = {"PLANTED_KEY": SECRETS[0], "PLANTED_TOKEN": SECRETS[1]}
    return {**dict.fromkeys(names), **planted, "AWS_CONFIG_FILE": str(config)}, calls


@on_one_backend
def test_credentials_that_expire_during_a_run(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """The service reports them as expired: the run requests new ones, and retries while there are none."""
    table = make_table()
    table.fill(hash_rows(200))
    before = Snapshot.of(table)
    env, calls = issue(proxied_cli.home, lifetime_s=7200, fails=(2, 3))

    def expire(call: Call) -> Reply | None:
        if call.operation == "BatchExecuteStatement" and call.access_key == "AKIAISSUED1" and call.number > 3:
            return Reply.error(
                400, "ExpiredTokenException", "The security token included in the request is expired"
            )
        return None

    proxy.instead = expire

    result = proxied_cli.run("run", "--table", table.name, "--json", "--workers", "1", env=env)

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=200)
    before.assert_fired()
    writers = {call.access_key for call in proxy.calls if call.operation == "BatchExecuteStatement"}
    assert writers == {"AKIAISSUED1", "AKIAISSUED4"}
    assert len(calls.read_text()) == 4
    assert "CredentialsUnavailable" in result.stderr


@on_one_backend
def test_credentials_are_renewed_before_they_expire(
    proxied_cli: Cli, proxy: Proxy, make_table: MakeTable
) -> None:
    """Their lifetime is seconds: each second signs with credentials that are valid then.

    A source that fails once while the present ones are good is asked again. What it says is in no log, as it may be
    anything: `Cli` looks for the planted secrets in all output.
    """
    table = make_table()
    table.fill(hash_rows(60))
    env, calls = issue(proxied_cli.home, lifetime_s=3)
    trouble = proxied_cli.home / "trouble"

    def make_trouble(call: Call) -> None:
        if call.operation == "BatchExecuteStatement" and call.number == 2:
            trouble.touch()

    proxy.instead = make_trouble

    result = proxied_cli.run("run", "--table", table.name, "--json", "--max-rate", "20", env=env)

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=60)
    assert len({call.access_key for call in proxy.calls}) >= 2
    assert len(calls.read_text()) >= 4
    assert not trouble.exists()


@pytest.fixture
def gate(backend: Backend):
    with gate_before(backend.url) as gate:
        yield gate


def events(stderr: str, name: str) -> list[dict[str, object]]:
    """Lines of the log for one event."""
    lines = [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


@on_one_backend
def test_a_network_that_recovers(cli: Cli, gate: Gate, make_table: MakeTable) -> None:
    """Connections are reset and refused for a while: the run waits, logs it, and continues."""
    table = make_table()
    table.fill(hash_rows(400))
    before = Snapshot.of(table)
    cli.endpoint_url = gate.url
    child = cli.start("run", "--table", table.name, "--json", "--max-rate", "100")
    child.wait_until(lambda: "run.started" in child.stderr.read_text())
    child.wait_until(lambda: any("revision" in item for item in table.items().values()))

    gate.close()
    child.wait_until(lambda: "run.waiting" in child.stderr.read_text())
    gate.open()
    result = child.wait()

    assert result.code == 0, result.stderr
    assert_summary(result.json, scanned=400, failed=0)
    before.assert_fired()
    (over,) = events(result.stderr, "run.recovered")
    assert float(str(over["after_s"])) >= 5


@on_one_backend
def test_a_network_that_does_not_recover(cli: Cli, gate: Gate, make_table: MakeTable) -> None:
    """After --give-up-after it stops: exit code 3, one line with the reason and the resume command, which works."""
    table = make_table()
    table.fill(hash_rows(400))
    before = Snapshot.of(table)
    cli.endpoint_url = gate.url
    wanted = ("--run-id", "r", "--max-rate", "100", "--give-up-after", "1s")
    child = cli.start("run", "--table", table.name, "--json", *wanted)
    child.wait_until(lambda: any("revision" in item for item in table.items().values()))

    gate.close()
    stopped = child.wait()

    assert stopped.code == 3, stopped.stderr
    assert len(stopped.error_lines) == 1
    assert "nothing went through for" in stopped.stderr
    assert "Connection refused" in stopped.stderr
    assert "resume with: refire resume r" in stopped.stderr
    assert "--give-up-after 1s" in stopped.stderr
    assert stopped.json["status"] == "stopped"
    gate.open()
    assert_summary(cli.resume("r").json, status="complete", scanned=400, failed=0)
    before.assert_fired()
