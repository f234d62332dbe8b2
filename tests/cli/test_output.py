"""Standard output has results only, standard error the rest."""

from collections.abc import Callable
from dataclasses import replace

import anyio
import orjson
import pytest

from refire_async.errors import ExitCode
from refire_async.events import Emit, RunEnded
from refire_async.model.marker import Marker
from refire_async.model.run import DryRun, Result
from tests.cli.conftest import Ended, FakeEngine
from tests.output.samples import SPEC, started, summary

RUN = ("run", "--table", "orders", "--endpoint-url", "http://127.0.0.1:8000")


def ending(fake_engine: FakeEngine, result: Result, *, marker: Marker = SPEC.marker) -> None:
    """Make the engine emit these events and return this result."""

    async def course(emit: Emit, _stop: object) -> Result:
        emit(started(spec=replace(SPEC, marker=marker)))
        await anyio.lowlevel.checkpoint()
        emit(RunEnded(result.summary))
        return result

    fake_engine.course = course


def last(ended: Ended) -> str:
    """The last line of standard output, which is the summary."""
    return ended.out.splitlines()[-1]


def test_json(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """Events, then the summary with exactly its fields; the log on standard error is JSON lines."""
    done = Result(summary(scanned=5, touched=5), ExitCode.COMPLETE)
    ending(fake_engine, done)
    ended = refire(*RUN, "--json")
    assert ended.code == 0
    start, end = ended.out.splitlines()
    assert orjson.loads(start)["event"] == "start"
    assert end == orjson.dumps(done.summary.to_json()).decode()
    assert [orjson.loads(line)["event"] for line in ended.err.splitlines()] == ["run.started", "run.ended"]


def test_human(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """Without --json the summary is text, without escape codes if there is no terminal."""
    ending(fake_engine, Result(summary(scanned=5, touched=5), ExitCode.COMPLETE))
    ended = refire(*RUN)
    assert ended.out.startswith("Run run-1 of table orders: complete\n")
    assert "\x1b" not in ended.out + ended.err


def test_quiet(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """At level error only the result is written."""
    ending(fake_engine, Result(summary(), ExitCode.COMPLETE))
    assert refire(*RUN, "--log-level", "error", "--no-progress").err == ""


def test_dry_run(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """As JSON it is a normal summary; the text says what would be touched and what it would cost."""
    looked = summary("dry-run", scanned=10, touched=10)
    found = DryRun(items=10, wcu=20.0, rcu=1.5, more=True, seconds=72.0, bound_by="--max-wcu", cost_usd=1.2)
    ending(fake_engine, Result(looked, ExitCode.COMPLETE, dry_run=found))
    assert orjson.loads(last(refire(*RUN, "--dry-run", "--json"))) == looked.to_json()
    shown = refire(*RUN, "--dry-run").out
    assert "would touch  10 items in what was read; there are more" in shown
    assert "would take   1 min 12 s, limited by --max-wcu" in shown
    assert "would cost   $1.20 (prices of us-east-1" in shown


def test_stopped_as_json(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """The reason and the resume command are on standard error, with the given endpoint."""
    ending(fake_engine, Result(summary("stopped"), ExitCode.STOPPED, "the limit of --max-items is reached"))
    ended = refire(*RUN, "--max-items", "5", "--json")
    assert ended.code == 3
    assert orjson.loads(last(ended))["status"] == "stopped"
    assert ended.err.splitlines()[-1] == (
        "refire: the limit of --max-items is reached; "
        "resume with: refire resume run-1 --endpoint-url http://127.0.0.1:8000"
    )


@pytest.mark.parametrize(
    ("marker", "options"),
    [
        (Marker("revision", "revision", "run-1"), ""),
        (Marker("revision", "odd name", "run-1"), " --marker-attribute 'odd name'"),
        (Marker("stamp", "refire_run_id", "run-1"), " --marker stamp"),
    ],
)
def test_failed_items(
    refire: Callable[..., Ended], fake_engine: FakeEngine, marker: Marker, options: str
) -> None:
    """Exit code 4 and the command that touches the failed keys again, with the run's marker."""
    failed = summary(scanned=5, touched=3, failed=2, failed_keys_file="/state/f.jsonl")
    ending(fake_engine, Result(failed, ExitCode.SOME_FAILED), marker=marker)
    ended = refire(*RUN)
    assert ended.code == 4
    assert ended.out.endswith(
        "To retry them once the causes are fixed: refire run --table orders --keys-file /state/f.jsonl "
        f"--endpoint-url http://127.0.0.1:8000{options}\n"
    )
