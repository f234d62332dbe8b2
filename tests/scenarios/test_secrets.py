"""Nothing secret is written anywhere, whatever happens. That ordinary runs do not either is checked after every
scenario: see `Cli`.
"""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.backends import Backend, on_one_backend
from tests.support.cli import SECRETS, Cli, Result
from tests.support.judge import assert_summary
from tests.support.proxy import Call, Hold, Proxy, Reply, proxy_before
from tests.support.rows import hash_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]
PASSWORD = SECRETS[2]


def behind(proxy_url: str) -> dict[str, str | None]:
    """The environment of a program that uses a proxy with a password."""
    url = proxy_url.replace("http://", f"http://ann:{PASSWORD}@")
    return {"HTTP_PROXY": url, "http_proxy": url, "NO_PROXY": None, "no_proxy": None}


@on_one_backend
def test_password_of_a_proxy(cli: Cli, backend: Backend, make_table: MakeTable) -> None:
    """It is sent to the proxy, and is in no log, checkpoint or command line, also of child processes."""
    table = make_table()
    table.fill(hash_rows(300))
    cli.forks = False
    with proxy_before(backend.url) as proxy, Hold(lambda call: call.operation in WRITES) as hold:
        proxy.afterwards = hold
        child = cli.start(
            "run",
            "--table",
            table.name,
            "--json",
            "--processes",
            "2",
            "--log-level",
            "debug",
            env=behind(proxy.url),
        )
        child.wait_until(lambda: hold.reached)
        lines = command_lines(child.process.pid)
        hold.release()
        result = child.wait()
        assert result.code == 0, result.stderr
        assert_summary(result.json, touched=300)
        assert {call.proxy_user for call in proxy.calls} == {
            "Basic " + base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
        }
    assert len(lines) >= 3, "the program and two processes"
    for line in lines:
        assert not any(secret in line for secret in SECRETS)


WRITES = ("BatchExecuteStatement", "UpdateItem")


def command_lines(pid: int) -> list[str]:
    """The output of `ps` for a process and its children."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(process.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if pid in (int(process.name), parent):
                found.append(process.joinpath("cmdline").read_text().replace("\0", " "))
        except OSError:  # gone meanwhile
            continue
    return found


def refused(result: Result) -> None:
    assert result.code == 10, result.stderr
    assert len(result.error_lines) == 1
    assert "proxy" in result.stderr.lower()
    assert PASSWORD not in result.stderr


@on_one_backend
def test_proxy_that_refuses(cli: Cli, backend: Backend) -> None:
    """A refusal that quotes the request is not shown."""
    with proxy_before(backend.url) as proxy:
        proxy.instead = lambda call: Reply(407, f"no: ann:{PASSWORD} {call.proxy_user}".encode())
        refused(cli.run("run", "--table", "any-table", "--json", env=behind(proxy.url)))


@on_one_backend
@pytest.mark.parametrize("operation", ["Scan", "BatchExecuteStatement"])
def test_service_that_quotes_what_it_was_sent(
    proxied_cli: Cli, proxy: Proxy, make_table: MakeTable, operation: str
) -> None:
    """As in the message of a refused signature, or in a gateway's page. Permanently, so that it is the final error."""
    table = make_table()
    table.fill(hash_rows(40))
    words = f"token {SECRETS[1]} and key {SECRETS[0]} of item-7"
    kinds = iter(("InvalidSignatureException", "IncompleteSignatureException"))

    def refuse(call: Call) -> Reply | None:
        if call.operation != operation:
            return None
        return Reply.error(400, next(kinds, "InvalidSignatureException"), words)

    proxy.instead = refuse
    result = proxied_cli.refire(table.name, "--log-level", "debug")

    assert result.code == 10, result.stderr
    assert len(result.error_lines) == 1
    assert "signature" in result.stderr
    assert "item-7" not in result.stderr
