"""A credential provider that fails at the start is a line and exit code 10; during a run the run waits for it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.backends import on_one_backend
from tests.support.cli import Cli, Running
from tests.support.judge import assert_summary
from tests.support.rows import hash_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]

pytestmark = on_one_backend

PAGE = "<html>please log in</html>"
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_SESSION_TOKEN": None}


class Process:
    """A credential process of profile `corp`, which prints the content of a file."""

    def __init__(self, cli: Cli) -> None:
        self._says = cli.home / "said"
        config = cli.home / "corp-config"
        program = cli.home / "process"
        program.write_text(f'#!/bin/sh\ncat "{self._says}"\n')
        program.chmod(0o700)
        config.write_text(f"[profile corp]\ncredential_process = {program}\n")
        self.environment = {**NO_KEYS, "AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "corp"}
        self._access_key = cli.access_key

    def says(self, text: str | None) -> None:
        """Print this from now on; None: credentials that expire soon, so that new ones are requested."""
        soon = datetime.now(UTC) + timedelta(seconds=30)
        keys = {
            "Version": 1,
            "AccessKeyId": self._access_key,
            "SecretAccessKey": "scenario",
            "Expiration": soon.isoformat(),
        }
        new = self._says.with_suffix(".new")
        new.write_text(json.dumps(keys) if text is None else text)
        new.rename(self._says)


@pytest.fixture
def process(cli: Cli) -> Process:
    return Process(cli)


def touched(table: Table) -> int:
    """The number of items with the marker."""
    return sum("revision" in item for item in table.items().values())


def under_way(cli: Cli, process: Process, table: Table, *options: str) -> Running:
    """A slow run that has touched some items."""
    process.says(None)
    arguments = ("run", "--table", table.name, "--json", "--max-wcu", "40", *options)
    running = cli.start(*arguments, env=process.environment)
    running.wait_until(lambda: touched(table) > 0)
    return running


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_run_waits_for_a_provider(
    cli: Cli, make_table: MakeTable, process: Process, processes: str
) -> None:
    """A login page in place of credentials: logged after a while, and the run continues when credentials return."""
    table = make_table()
    table.fill(hash_rows(120))
    running = under_way(cli, process, table, "--processes", processes)
    process.says(PAGE)
    running.wait_until(lambda: "run.waiting" in running.stderr.read_text())
    process.says(None)
    result = running.wait()
    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=120)
    assert "Traceback" not in result.stderr
    assert result.error_lines == []


def test_a_provider_that_keeps_failing_stops_the_run(
    cli: Cli, make_table: MakeTable, process: Process
) -> None:
    """After --give-up-after: exit code 3, one line that names profile and provider, and nothing lost."""
    table = make_table()
    table.fill(hash_rows(120))
    running = under_way(cli, process, table, "--processes", "2", "--give-up-after", "2s")
    process.says(PAGE)
    result = running.wait()
    assert result.code == 3, result.stderr
    (line,) = result.error_lines
    assert "profile corp from credential_process" in line
    assert "Traceback" not in result.stderr

    process.says(None)
    resumed = cli.run("resume", result.json["run_id"], "--json", "--max-wcu", "1000", env=process.environment)
    assert resumed.code == 0, resumed.stderr
    assert touched(table) == 120


def refused(cli: Cli, table: Table, *options: str, **env: str) -> str:
    """The only line of a run that cannot start."""
    result = cli.run("run", "--table", table.name, "--json", *options, env={**NO_KEYS, **env})
    assert result.code == 10, result.stderr
    (line,) = result.error_lines
    assert "bug" not in line
    assert touched(table) == 0
    return line


def test_providers_that_fail_at_the_start(cli: Cli, make_table: MakeTable, process: Process) -> None:
    """Typical failures: a pod without its token, a process that prints a page, MFA without a terminal."""
    table = make_table()
    table.fill(hash_rows(3))
    token = cli.home / "token"
    role = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/any"}
    assert (
        f"profile default from web identity are not available (No such file or directory: {token})"
        in refused(cli, table, **role)
    )
    token.mkdir()
    assert "Is a directory" in refused(cli, table, **role)

    process.says(PAGE)
    environment = {name: value for name, value in process.environment.items() if value is not None}
    for options in ((), ("--processes", "2")):
        assert "profile corp from credential_process" in refused(cli, table, *options, **environment)
    Path(process.environment["AWS_CONFIG_FILE"] or "").write_text(
        "[profile corp]\nrole_arn = arn:aws:iam::123456789012:role/any\nsource_profile = base\n"
        "mfa_serial = arn:aws:iam::123456789012:mfa/ann\n"
        "[profile base]\naws_access_key_id = A\naws_secret_access_key = B\n"
    )
    assert "profile corp from assume role are not available (it needs an MFA code" in refused(
        cli, table, **environment
    )
