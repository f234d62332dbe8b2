"""`refire demo` and `refire sandbox` as a first-time user runs them."""

import http.client
import json
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backends import connected
from tests.support.cli import Cli, Running
from tests.support.judge import Snapshot, assert_summary
from tests.support.processes import free_port
from tests.support.rows import hash_rows
from tests.support.tables import create_table


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """The command line without an endpoint."""
    commands = Cli(tmp_path)
    yield commands
    commands.close()


def test_demo(cli: Cli) -> None:
    """The demo needs neither AWS nor an account, resumes its run once and proves one event per item."""
    without_aws = dict.fromkeys(name for name in cli.environment() if name.startswith("AWS_"))

    result = cli.run("demo", "--items", "2000", env=without_aws)

    assert result.code == 0, result.stderr
    assert "2,000" in result.stdout
    assert "exactly one" in result.stdout.lower() or "exactly once" in result.stdout.lower()
    assert "resume" in result.stdout.lower()


def sandbox_is_up(port: int) -> bool:
    """Whether the sandbox's statistics request gets a response on this port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_sandbox/stats")
        answer = connection.getresponse()
        return answer.status == 200 and isinstance(json.loads(answer.read()), dict)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def start_sandbox(cli: Cli, *arguments: str) -> tuple[Running, str]:
    """`refire sandbox` on a free port, ready; yields the process and its URL."""
    port = free_port()
    child = cli.start("sandbox", "--port", str(port), *arguments)
    child.wait_until(lambda: sandbox_is_up(port))
    return child, f"http://127.0.0.1:{port}"


def test_run_against_a_sandbox_of_the_command_line(cli: Cli) -> None:
    """A sandbox from the command line serves `refire run`, prints its URL, and ends with Ctrl-C."""
    child, url = start_sandbox(cli)
    assert url in child.stdout.read_text() + child.stderr.read_text()
    with connected("sandbox", url) as backend:
        table = create_table(backend)
        table.fill(hash_rows(100))
        before = Snapshot.of(table)

        result = cli.refire(table.name, "--endpoint-url", url)

        assert result.code == 0, result.stderr
        assert_summary(result.json, touched=100)
        before.assert_fired()
    child.signal(signal.SIGINT)
    assert child.wait(timeout_s=20).code in (0, 130)


def test_the_printed_command_works_without_an_aws_configuration(cli: Cli) -> None:
    """The command that `refire sandbox` prints has credentials and region: with a table's name it works."""
    child, url = start_sandbox(cli)
    child.wait_until(lambda: "refire run" in child.stdout.read_text())
    (line,) = [line for line in child.stdout.read_text().splitlines() if "refire run" in line]
    words = shlex.split(line)
    start = words.index("refire")
    env: dict[str, str | None] = dict.fromkeys(name for name in cli.environment() if name.startswith("AWS_"))
    env["AWS_EC2_METADATA_DISABLED"] = "true"
    assert cli.run("run", "--table", "orders", "--endpoint-url", url, "--yes", env=env).code == 10
    env.update(word.split("=", 1) for word in words[:start])
    with connected("sandbox", url) as backend:
        table = create_table(backend)
        table.fill(hash_rows(10))
        arguments = [table.name if word == "NAME" else word for word in words[start + 1 :]]

        result = cli.run(*arguments, "--yes", "--json", env=env)

        assert result.code == 0, result.stderr
        assert_summary(result.json, touched=10)


def test_port_in_use(cli: Cli) -> None:
    """A second sandbox on the same port ends with one line."""
    _, url = start_sandbox(cli)

    result = cli.run("sandbox", "--port", url.rpartition(":")[2])

    assert result.code == 2
    assert len(result.error_lines) == 1, result.stderr
    assert "port" in result.stderr
