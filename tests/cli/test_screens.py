"""What users see, kept as text: a change of any of these screens is seen in review.

`WRITE_SCREENS=1 pytest tests/cli/test_screens.py -n 0` writes them anew.
"""

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from rich.console import Console

from refire_async.errors import ExitCode, RefusedError
from refire_async.events import Emit, RunEnded, Waiting
from refire_async.model.finding import Finding
from refire_async.model.run import DryRun, Result
from refire_async.output.findings import findings_text
from refire_async.output.screen import render
from refire_async.output.stats import RunStats
from tests.cli.conftest import Ended, FakeEngine
from tests.output.samples import started, summary
from tests.output.test_screen import BUSY

Refire = Callable[..., Ended]
SCREENS = Path(__file__).parent / "screens"
SIZES = {80: 24, 200: 50}
RUN = ("run", "--table", "orders")


@pytest.fixture(params=SIZES, ids=lambda columns: f"{columns}x{SIZES[columns]}")
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    """A terminal of this width and its height; a working directory without a refire.toml."""
    monkeypatch.setenv("COLUMNS", str(request.param))
    monkeypatch.setenv("LINES", str(SIZES[request.param]))
    monkeypatch.chdir(tmp_path)
    return int(request.param)


def check(name: str, columns: int, text: str) -> None:
    """Compare a screen with its stored text; no line is wider than the terminal."""
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    path = SCREENS / f"{name}-{columns}.txt"
    if os.environ.get("WRITE_SCREENS") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
    # Error lines and commands are not wrapped, so that they can be copied.
    if name not in ("typos", "wrong-table", "stopped", "failed"):
        assert max(map(len, text.splitlines())) <= columns


def test_help(refire: Refire, columns: int) -> None:
    """The first screen of a new user. Those of commands grow with their options: see test_help.py."""
    check("help", columns, refire("--help").out)


def test_typos(refire: Refire, fake_engine: FakeEngine, columns: int) -> None:
    """Typical first mistakes."""
    typed = (
        (),
        ("rnu",),
        ("run",),
        ("run", "orders"),
        ("run", "--tabel", "orders"),
        (*RUN, "--max-wcu", "fast"),
        (*RUN, "--key-name", "id"),
        ("resume",),
        ("status", "no-such-run"),
    )
    shown = [f"$ refire {' '.join(words)}\n{refire(*words).err}" for words in typed]
    check("typos", columns, "".join(shown))
    assert fake_engine.seen == []


def test_wrong_table(refire: Refire, fake_engine: FakeEngine, columns: int) -> None:
    """The engine's refusal."""

    async def course(_emit: Emit, _stop: object) -> Result:
        await anyio.lowlevel.checkpoint()
        raise RefusedError("there is no table orders in eu-west-1", "check --table, --region and --profile")

    fake_engine.course = course
    check("wrong-table", columns, refire(*RUN).err)


def test_ends(refire: Refire, fake_engine: FakeEngine, columns: int) -> None:
    """Complete, stopped, with failed items, and a dry run."""
    ends = {
        "complete": Result(summary(scanned=1_234_567, touched=1_234_500, vanished=67), ExitCode.COMPLETE),
        "stopped": Result(summary("stopped", scanned=500, touched=500), ExitCode.INTERRUPTED, "interrupted"),
        "failed": Result(
            summary(scanned=500, touched=490, failed=10, failed_keys_file="/state/run-1.failed.jsonl"),
            ExitCode.SOME_FAILED,
        ),
        "dry-run": Result(
            summary("dry-run", scanned=500, touched=500),
            ExitCode.COMPLETE,
            dry_run=DryRun(
                items=500, wcu=1000, rcu=62.5, more=False, seconds=12.4, bound_by="--max-wcu", cost_usd=0.03
            ),
        ),
    }
    for name, end in ends.items():

        async def course(emit: Emit, _stop: object, end: Result = end) -> Result:
            emit(started())
            await anyio.lowlevel.checkpoint()
            emit(RunEnded(end.summary))
            return end

        fake_engine.course = course
        check(name, columns, refire(*RUN, "--max-wcu", "500").out)


def test_config(refire: Refire, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sources of options."""
    Path("refire.toml").write_text('table = "orders"\n[status]\njson = true\n')
    monkeypatch.setenv("REFIRE_YES", "1")
    check("config", columns, refire("config", "status").out)


@pytest.mark.parametrize("name", ["busy", "waiting", "starting"])
def test_panel(columns: int, name: str) -> None:
    """At work, waiting for the service, and before the start."""
    stats = RunStats(0.0)
    if name != "starting":
        stats.handle(replace(started(1000), billing="PAY_PER_REQUEST"))
        stats.sample(0.0)
        for event in BUSY:
            stats.handle(event)
    if name == "waiting":
        stats.handle(Waiting("no network: the name of the service cannot be resolved", 42.0))
    console = Console(
        file=io.StringIO(), width=columns, height=SIZES[columns], color_system=None, force_terminal=True
    )
    console.print(render(stats.sample(10.0), columns))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert len(text.splitlines()) < SIZES[columns]
    check(f"panel-{name}", columns, text)


def test_findings(columns: int) -> None:
    """The findings of a check."""
    found = [
        Finding("stream-disabled", "stop", "the stream of table orders is off", "turn it on, or --ignore it"),
        Finding(
            "index-scarce",
            "warn",
            "index by-day has 5 WCU and projects revision",
            "raise it, or use --max-wcu",
        ),
        Finding("pitr-off", "info", "point-in-time recovery of table orders is off", "turn it on before"),
    ]
    check("findings", columns, findings_text("orders", found, colors=False))
