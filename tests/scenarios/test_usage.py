"""Bad input gives one line that says what to do, exit code 2 and no traceback; no request is sent to AWS."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Cli
from tests.support.processes import free_port

BAD = {
    "no command": ((), "refire"),
    "unknown command": (("rnu",), "run"),
    "unknown option": (("run", "--table", "orders", "--no-such-option"), "--no-such-option"),
    "misspelt option": (("run", "--tabel", "orders"), "--table"),
    "no table": (("run",), "--table"),
    "option without value": (("run", "--table"), "--table"),
    "argument too many": (("run", "--table", "orders", "surplus"), "surplus"),
    "no segments": (("run", "--table", "orders", "--segments", "0"), "--segments"),
    "too many segments": (("run", "--table", "orders", "--segments", "1000001"), "1,000,000"),
    "segments in words": (("run", "--table", "orders", "--segments", "many"), "--segments"),
    "no workers": (("run", "--table", "orders", "--workers", "0"), "--workers"),
    "negative rate": (("run", "--table", "orders", "--max-rate", "-1"), "--max-rate"),
    "rate of nothing": (("run", "--table", "orders", "--max-rate", "0"), "--max-rate"),
    "endless rate": (("run", "--table", "orders", "--max-rate", "inf"), "--max-rate"),
    "not a number": (("run", "--table", "orders", "--max-wcu", "nan"), "--max-wcu"),
    "no units": (("run", "--table", "orders", "--max-rcu", "0"), "--max-rcu"),
    "over 100 percent": (("run", "--table", "orders", "--wcu-percent", "101"), "--wcu-percent"),
    "no items": (("run", "--table", "orders", "--max-items", "0"), "--max-items"),
    "unknown writer": (("run", "--table", "orders", "--writer", "pigeon"), "partiql"),
    "unknown marker": (("run", "--table", "orders", "--marker", "cross"), "revision"),
    "empty marker attribute": (("run", "--table", "orders", "--marker-attribute", ""), "--marker-attribute"),
    "unknown key type": (("run", "--table", "orders", "--key-value", "1", "--key-type", "X"), "--key-type"),
    "key name alone": (("run", "--table", "orders", "--key-name", "pk"), "--key-value"),
    "unknown log level": (("run", "--table", "orders", "--log-level", "loud"), "--log-level"),
    "two selections": (("run", "--table", "orders", "--keys-file", __file__, "--index", "by-day"), "--index"),
    "run id with a path": (("run", "--table", "orders", "--run-id", "../x"), "--run-id"),
    "checkpoint in no folder": (
        ("run", "--table", "orders", "--checkpoint", "/no/such/folder/x"),
        "--checkpoint",
    ),
    **{
        f"table {name!r:.12}": (("run", "--table", name), "--table")
        for name in ("x", "no spaces", "a/b", "t" * 256, "")
    },
    **{
        f"region {name!r:.12}": (("run", "--table", "orders", "--region", name), "--region")
        for name in ("not a region", "eu_west_1", "x" * 100, "")
    },
    **{
        f"endpoint {url}": (("run", "--table", "orders", "--endpoint-url", url), "--endpoint-url")
        for url in ("127.0.0.1:8000", "ftp://127.0.0.1", "http://", "nonsense")
    },
    "resume of nothing": (("resume",), "RUN_ID"),
    "unknown finding to ignore": (("run", "--table", "orders", "--ignore", "everything"), "stream-disabled"),
    "sandbox on no port": (("sandbox", "--port", "70000"), "--port"),
    "demo of no items": (("demo", "--items", "0"), "--items"),
}


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Cli]:
    """The command line with an endpoint on which no server listens: bad input must not get that far."""
    cli = Cli(tmp_path, f"http://127.0.0.1:{free_port()}")
    yield cli
    cli.close()


@pytest.mark.parametrize(("arguments", "hint"), BAD.values(), ids=BAD)
def test_bad_input(offline: Cli, arguments: tuple[str, ...], hint: str) -> None:
    """One line on standard error with the hint, nothing on standard output, exit code 2."""
    result = offline.run(*arguments)
    assert result.code == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert hint in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["run", "resume", "status", "sandbox", "demo"])
def test_help(offline: Cli, command: str) -> None:
    """Every command has a help text with examples."""
    result = offline.run(command, "--help")
    assert result.code == 0, result.stderr
    assert f"refire {command}" in result.stdout
    assert "xample" in result.stdout


def test_overall_help_and_version(offline: Cli) -> None:
    """`--help` lists the commands on one screen, `--version` prints the version."""
    help_text = offline.run("--help").stdout
    assert {"run", "resume", "status", "sandbox", "demo"} <= set(re.findall(r"[a-z]+", help_text))
    assert len(help_text.splitlines()) <= 23
    assert "0.1.0" in offline.run("--version").stdout
