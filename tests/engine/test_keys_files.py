"""Runs over a list of keys: each item fires once, from any kind of list and with any interruptions."""

import gzip
import io
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

from refire_async.engine import run as engine
from refire_async.errors import CheckpointRefusedError, ExitCode, StoppedError, UsageError
from refire_async.events import KeysRead, RunStarted
from refire_async.model.counts import Counts
from refire_async.model.stop import StopRequest
from refire_async.settings import Budget, RunSettings, SelectionSettings
from refire_async.sources import key_lines, plain_lines
from refire_async.sources.key_list import list_path
from tests.engine.conftest import Runs, Service
from tests.support.inprocess_server import WRITES, InProcess, table_spec


def shop(service: Service, count: int = 60, **options: Any) -> InProcess:
    db = service(table_spec(), **options)
    db.fill("orders", [{"pk": {"S": f"o-{n:03}"}, "other": {"S": "x"}} for n in range(count)])
    return db


def write(path: Path, names: list[str]) -> SelectionSettings:
    path.write_text("".join(json.dumps({"pk": name}) + "\n" for name in names))
    return SelectionSettings(keys_file=str(path))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_duplicates_and_missing_keys(service: Service, runs: Runs, tmp_path: Path):
    """Only listed items fire, each once; the log has the number of skipped lines, the summary adds up."""
    db = shop(service)
    selection = write(tmp_path / "k", ["o-001", "o-003", "o-001", "missing", "o-003", "o-005"])
    result = await runs.run(selection=selection)
    assert result.summary.counts == Counts(scanned=4, touched=3, vanished=1)
    assert db.fired("orders") == Counter(["o-001", "o-003", "o-005"])
    assert runs.of(KeysRead)[-1] == KeysRead(6, 4, 0)
    assert runs.of(RunStarted)[0].expected_items == 4


async def test_look_ups_cost_half_a_unit_each_and_are_counted(service: Service, runs: Runs, tmp_path: Path):
    """They are eventually consistent; only missing keys are read again, at the price of a consistent read."""
    shop(service)
    result = await runs.run(selection=write(tmp_path / "k", [f"o-{n:03}" for n in range(40)] + ["no", "nor"]))
    assert result.summary.rcu == 42 * 0.5 + 2 * 1.0
    assert result.summary.counts == Counts(scanned=42, touched=40, vanished=2)


@pytest.mark.parametrize("packed", [False, True])
async def test_a_stopped_run_resumes_without_the_file(
    service: Service, runs: Runs, tmp_path: Path, packed: bool
):
    """The run has its own list: the file may have been changed, moved, deleted, or a pipe."""
    db = shop(service)
    selection = write(tmp_path / "k", [f"o-{n:03}" for n in range(50)])
    file = tmp_path / "k"
    if packed:
        file.write_bytes(gzip.compress(file.read_bytes()))
    first = await runs.run(selection=selection, max_items=20)
    assert first.exit_code is ExitCode.STOPPED
    file.unlink()
    assert list_path(runs.checkpoint).exists()
    result = await runs.resume()
    # Keys are personal data, so the list is removed when it is no longer needed.
    assert not list_path(runs.checkpoint).exists()
    assert result.exit_code is ExitCode.COMPLETE
    assert result.summary.counts == Counts(scanned=50, touched=50)
    assert db.fired("orders") == Counter(f"o-{n:03}" for n in range(50))


async def test_the_same_file_continues_the_run_and_another_file_is_refused(
    service: Service, runs: Runs, tmp_path: Path
):
    db = shop(service)
    names = [f"o-{n:03}" for n in range(50)]
    selection = write(tmp_path / "k", names)
    await runs.run(selection=selection, max_items=20)
    write(tmp_path / "k", names[1:])
    with pytest.raises(CheckpointRefusedError, match=r"has changed since run .* began"):
        await runs.run(selection=selection)
    write(tmp_path / "other", names)
    with pytest.raises(CheckpointRefusedError, match="belongs to another selection"):
        await runs.run(selection=SelectionSettings(keys_file=str(tmp_path / "other")))
    write(tmp_path / "k", names)
    result = await runs.run(selection=selection)
    assert result.exit_code is ExitCode.COMPLETE
    assert db.fired("orders") == Counter(names)


async def test_standard_input_is_read_once(service: Service, runs: Runs, monkeypatch: pytest.MonkeyPatch):
    """A pipe cannot be read again, so its keys are in the run's list."""
    db = shop(service)
    data = b"pk\n" + b"".join(b"o-%03d\n" % n for n in range(50))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
    first = await runs.run(selection=SelectionSettings(keys_file="-"), max_items=20)
    assert first.exit_code is ExitCode.STOPPED
    assert (await runs.resume()).exit_code is ExitCode.COMPLETE
    assert db.fired("orders") == Counter(f"o-{n:03}" for n in range(50))


async def test_bad_lines_refuse_the_run_unless_they_are_ignored(service: Service, runs: Runs, tmp_path: Path):
    """Before the first write. Ignored lines are skipped, and the log has their number."""
    db = shop(service)
    path = tmp_path / "keys.jsonl"
    path.write_text('{"pk": "o-001"}\nnonsense\n{"pk": 5}\n{"pk": "o-002"}\n')
    selection = SelectionSettings(keys_file=str(path))
    message = r"keys.jsonl line 2 is not JSON; 2 bad lines in all: 2, 3; .*--ignore bad-lines"
    with pytest.raises(UsageError, match=message) as caught:
        await runs.run(selection=selection)
    assert caught.value.exit_code is ExitCode.USAGE
    assert not any(db.calls[operation] for operation in WRITES)
    result = await runs.run(selection=selection, ignore=frozenset(["bad-lines"]))
    assert result.summary.counts == Counts(scanned=2, touched=2)
    assert runs.of(KeysRead)[-1] == KeysRead(2, 2, 2)


@pytest.mark.parametrize("bad", [[7], [0, 1, 149], range(40, 60)])
@pytest.mark.parametrize("stops", [False, True])
async def test_an_invalid_key_in_an_older_list_fails_alone(
    service: Service,
    runs: Runs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bad: Sequence[int],
    *,
    stops: bool,
):
    """The service rejects the whole look-up; halving finds the key, and it fails with the service's reason."""
    db = shop(service, 150)
    monkeypatch.setattr(key_lines, "MAX_HASH_BYTES", 1 << 20)  # as in versions without this check
    monkeypatch.setattr(plain_lines, "MAX_HASH_BYTES", 1 << 20)
    names = [f"o-{n:03}" + ("x" * 2_100 if n in bad else "") for n in range(150)]
    selection = write(tmp_path / "k", names)
    if stops:
        assert (await runs.run(selection=selection, max_items=20)).exit_code is ExitCode.STOPPED
        result = await runs.resume()
    else:
        result = await runs.run(selection=selection)
    good = 150 - len(bad)
    assert result.exit_code is ExitCode.SOME_FAILED
    assert result.summary.counts == Counts(scanned=150, touched=good, failed=len(bad))
    assert db.fired("orders") == Counter(name for name in names if len(name) < 100)
    path = Path(result.summary.failed_keys_file or "")
    failed = [json.loads(line) for line in (await to_thread.run_sync(path.read_text)).splitlines()]
    assert sorted(line["key"]["pk"]["S"] for line in failed) == [names[n] for n in bad]
    assert {line["code"] for line in failed} == {"ValidationException"}
    assert all(line["reason"] for line in failed)


async def test_a_sample_of_a_list_equals_that_of_the_table(service: Service, runs: Runs, tmp_path: Path):
    db = shop(service)
    await runs.run(selection=SelectionSettings(sample=40.0))
    chosen = set(db.fired("orders"))
    assert 10 < len(chosen) < 40
    again = Runs(tmp_path / "again.refire")
    names = [f"o-{n:03}" for n in range(0, 60, 2)]
    result = await again.run(
        selection=SelectionSettings(keys_file=write(tmp_path / "k", names).keys_file, sample=40.0)
    )
    assert result.summary.counts.scanned == result.summary.counts.touched == len(chosen & set(names))
    assert {name for name, times in db.fired("orders").items() if times == 2} == chosen & set(names)


async def test_a_dry_run_of_a_list_leaves_nothing(service: Service, runs: Runs, tmp_path: Path):
    db = shop(service)
    selection = write(tmp_path / "k", ["o-001", "o-002", "missing"])
    result = await runs.run(selection=selection, dry_run=True)
    assert result.dry_run is not None
    assert result.dry_run.items == 2
    assert names_in(tmp_path) == ["k"]
    assert not any(db.calls[operation] for operation in WRITES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "k is empty: it names no key; give a list"),
        ("\n\n", "k is empty"),
        ("pk\n", "k is empty"),
        ("[]", "k is empty"),
        ('{"Items": [], "Count": 0, "ScannedCount": 0}', "k is empty"),
        ('{"id": "a"}\n' * 73, "k names no key: each of its 73 lines has no 'pk'; give lines that name pk"),
        ("pk,x\n" + ",1\n" * 7, "k names no key: each of its 7 lines has an empty key attribute"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"dry_run": True}, {"ignore": frozenset(["bad-lines"])}])
async def test_a_list_without_a_key_is_refused(
    service: Service, runs: Runs, tmp_path: Path, text: str, message: str, *, options: dict[str, Any]
):
    """Even if bad lines are ignored: no item would fire, and the run would report that it is complete."""
    db = shop(service)
    (tmp_path / "k").write_text(text)
    with pytest.raises(UsageError, match=message):
        await runs.run(selection=SelectionSettings(keys_file=str(tmp_path / "k")), **options)
    assert names_in(tmp_path) in (["k"], ["k", "run.refire.lock"])
    assert not any(db.calls[operation] for operation in WRITES)


async def test_an_impossible_key_is_a_bad_line(service: Service, runs: Runs, tmp_path: Path):
    """The service would reject its look-up, with 99 others in the same request."""
    db = shop(service)
    names = ["o-001", "x" * 2_049, "", "o-002", "ü" * 1_025, "y" * 2_048]
    with pytest.raises(
        UsageError, match=r"line 2 has a hash key of 2,049 bytes, .* bad lines in all: 2, 3, 5"
    ):
        await runs.run(selection=write(tmp_path / "k", names))
    result = await runs.run(selection=write(tmp_path / "k", names), ignore=frozenset(["bad-lines"]))
    assert result.summary.counts == Counts(scanned=3, touched=2, vanished=1)
    assert db.fired("orders") == Counter(["o-001", "o-002"])


async def test_a_run_with_a_deleted_list_cannot_be_resumed(service: Service, runs: Runs, tmp_path: Path):
    shop(service)
    await runs.run(selection=write(tmp_path / "k", [f"o-{n:03}" for n in range(50)]), max_items=20)
    list_path(runs.checkpoint).unlink()
    with pytest.raises(CheckpointRefusedError, match=r"list of keys .* cannot be read"):
        await runs.resume()


@pytest.mark.parametrize(("reason", "code"), [("interrupted", 130), ("terminated", 3)])
async def test_a_stop_during_the_import_leaves_no_files(
    service: Service, runs: Runs, tmp_path: Path, reason: Any, code: int
):
    """The run has not begun, so there is nothing to resume."""
    db = shop(service)
    stop = StopRequest()
    stop.request(reason)
    with pytest.raises(StoppedError, match="nothing was written") as caught:
        await runs.run(stop, selection=write(tmp_path / "k", ["o-001"]))
    assert caught.value.exit_code == code
    assert names_in(tmp_path) == ["k"]
    assert not any(db.calls[operation] for operation in WRITES)


async def test_look_ups_stay_within_a_small_read_budget(service: Service, runs: Runs, tmp_path: Path):
    """A BatchGetItem consumes at most the budget's burst, although it could hold more keys."""
    db = shop(service)
    sizes = []

    def note(operation: str, request: dict[str, Any]) -> None:
        if operation == "BatchGetItem":
            sizes.append(len(request["RequestItems"]["orders"]["Keys"]))

    db.watch = note
    started = anyio.current_time()
    await runs.run(
        selection=write(tmp_path / "k", [f"o-{n:03}" for n in range(60)]), budget=Budget(max_rcu=10.0)
    )
    assert sum(sizes) == 60
    assert max(sizes) <= 2
    assert anyio.current_time() - started > 2.5


async def test_a_question_that_is_interrupted_leaves_no_list(
    service: Service, runs: Runs, tmp_path: Path
) -> None:
    """Ctrl-C while the question is on the screen: nothing is there, neither checkpoint nor keys."""
    shop(service)
    settings = RunSettings(
        table="orders",
        checkpoint=runs.checkpoint,
        selection=write(tmp_path / "keys", [f"o-{n:03}" for n in range(60)]),
    )
    asked = False
    with anyio.CancelScope() as scope:

        async def interrupted(_: object) -> bool:
            nonlocal asked
            asked = list_path(runs.checkpoint).exists()
            scope.cancel()
            await anyio.sleep_forever()
            return False

        await engine.run(settings, stop=StopRequest(), confirm=interrupted)
    assert asked
    assert not list_path(runs.checkpoint).exists()
    assert not runs.checkpoint.exists()
