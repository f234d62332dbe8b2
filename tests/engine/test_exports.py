"""Runs over a DynamoDB export: its items fire once, without a read of the table."""

import gzip
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from refire_async.errors import CheckpointRefusedError, ExitCode, RefusedError, UsageError
from refire_async.model.counts import Counts
from refire_async.sandbox.errors import ServiceError
from refire_async.settings import SelectionSettings
from tests.engine.conftest import Runs, Service
from tests.support.exports import EXPORT_ID, Export, full_export, md5
from tests.support.inprocess_server import WRITES, InProcess, table_spec

READS = ("Scan", "Query", "BatchGetItem", "GetItem")


def shop(service: Service, count: int = 60) -> InProcess:
    """A table in which every third item has a revision already."""
    db = service(table_spec())
    items = [{"pk": {"S": f"o-{n:03}"}, "other": {"S": "x"}} for n in range(count)]
    for item in items[::3]:
        item["revision"] = {"N": "7"}
    db.fill("orders", items)
    return db


def described(db: InProcess) -> dict[str, Any]:
    return db("DescribeTable", TableName="orders")["Table"]


def names(*numbers: int) -> Counter[str]:
    return Counter(f"o-{n:03}" for n in numbers)


async def test_an_export_is_fired_without_a_read_of_the_table(service: Service, runs: Runs, tmp_path: Path):
    """0 RCU: keys and markers come from the export."""
    db = shop(service)
    folder = full_export(described(db), db.items("orders")).write(tmp_path)
    db.calls.clear()
    result = await runs.run(selection=SelectionSettings(export=folder))
    assert result.exit_code is ExitCode.COMPLETE
    assert result.summary.counts == Counts(scanned=60, touched=60)
    assert result.summary.rcu == 0
    assert not any(db.calls[operation] for operation in READS)
    assert db.fired("orders") == names(*range(60))
    assert {item["revision"]["N"] for item in db.items("orders")} == {"1", "8"}


async def test_changes_since_the_export(service: Service, runs: Runs, tmp_path: Path):
    """Deleted: vanished, not created again. Another marker: looked up and touched once. New: not in the selection."""
    db = shop(service)
    folder = full_export(described(db), db.items("orders")).write(tmp_path)
    db("DeleteItem", TableName="orders", Key={"pk": {"S": "o-005"}})
    db("PutItem", TableName="orders", Item={"pk": {"S": "o-006"}, "revision": {"N": "40"}})
    db("PutItem", TableName="orders", Item={"pk": {"S": "o-007"}, "revision": {"S": "odd"}})
    db("PutItem", TableName="orders", Item={"pk": {"S": "new"}})
    before = db.fired("orders")
    result = await runs.run(selection=SelectionSettings(export=folder))
    assert result.exit_code is ExitCode.SOME_FAILED
    assert result.summary.counts == Counts(scanned=60, touched=58, conflicts=1, vanished=1, failed=1)
    found = {item["pk"]["S"]: item for item in db.items("orders")}
    assert "o-005" not in found
    assert found["o-006"]["revision"] == {"N": "41"}
    assert "revision" not in found["new"]
    assert db.fired("orders") - before == names(*(n for n in range(60) if n not in (5, 7)))


async def test_an_incremental_export_fires_the_changes_of_its_window(
    service: Service, runs: Runs, tmp_path: Path
):
    """New, changed and deleted items: one line each. Several exports share the folder of the data."""
    db = shop(service)
    table = described(db)
    export = Export(table["TableArn"], table["TableId"], incremental=True)
    metadata = {"WriteTimestampMicros": {"N": "1680109764000000"}}
    lines = []
    for n in range(10):
        key = {"pk": {"S": f"o-{n:03}"}}
        image = next(item for item in db.items("orders") if item["pk"] == key["pk"])
        lines.append(
            {"Metadata": metadata, "Keys": key, "NewImage": image, "OldImage": {**key, "a": {"S": "x"}}}
        )
    lines.append({"Metadata": metadata, "Keys": {"pk": {"S": "gone"}}, "OldImage": {"pk": {"S": "gone"}}})
    export.add(lines[:6])
    export.add([])
    export.add(lines[6:])
    export.seal()
    result = await runs.run(selection=SelectionSettings(export=export.write(tmp_path)))
    assert result.summary.counts == Counts(scanned=11, touched=10, vanished=1)
    assert db.fired("orders") == names(*range(10))
    assert "gone" not in {item["pk"]["S"] for item in db.items("orders")}


async def test_expired_items_are_known_from_the_export(service: Service, runs: Runs, tmp_path: Path):
    db = shop(service, 20)
    enabled = {"Enabled": True, "AttributeName": "ttl"}
    db("UpdateTimeToLive", TableName="orders", TimeToLiveSpecification=enabled)
    items = db.items("orders")
    items[0]["ttl"] = {"N": str(int(time.time()) - 86_400)}
    items[1]["ttl"] = {"N": str(int(time.time()) + 86_400)}
    selection = SelectionSettings(export=full_export(described(db), items).write(tmp_path))
    result = await runs.run(selection=selection)
    assert result.summary.counts == Counts(scanned=20, touched=19, expired=1)
    assert result.summary.rcu == 0


async def test_a_stopped_run_resumes_without_the_export_and_the_same_export_is_the_same_run(
    service: Service, runs: Runs, tmp_path: Path
):
    db = shop(service)
    table = described(db)
    selection = SelectionSettings(export=full_export(table, db.items("orders")).write(tmp_path))
    assert (await runs.run(selection=selection, max_items=20)).exit_code is ExitCode.STOPPED
    assert (await runs.run(selection=selection, max_items=20)).exit_code is ExitCode.STOPPED
    again = full_export(table, db.items("orders"), files=2).write(tmp_path)
    with pytest.raises(CheckpointRefusedError, match=r"export .* has changed since run"):
        await runs.run(selection=SelectionSettings(export=again))
    result = await runs.resume()
    assert result.exit_code is ExitCode.COMPLETE
    assert db.fired("orders") == names(*range(60))


@pytest.mark.parametrize("marker", ["revision", "stamp"])
async def test_a_killed_run_fires_no_item_twice(service: Service, runs: Runs, tmp_path: Path, marker: Any):
    """Killed between a write and its answer: the items in doubt are looked up."""
    db = shop(service)
    selection = SelectionSettings(export=full_export(described(db), db.items("orders")).write(tmp_path))
    with anyio.CancelScope() as scope:

        def cut_off(operation: str, _: dict[str, Any]) -> None:
            if operation in WRITES and db.calls[operation] > 1:
                scope.cancel()

        db.watch = cut_off
        await runs.run(selection=selection, marker=marker)
    assert scope.cancelled_caught
    db.watch = None
    result = await runs.resume()
    assert result.exit_code is ExitCode.COMPLETE
    assert result.summary.counts.settled == 60
    assert db.fired("orders") == names(*range(60))


async def test_a_stamp_distinguishes_runs_also_for_items_in_doubt(
    service: Service, runs: Runs, tmp_path: Path
):
    """The export is older than another run, so every marker in it is outdated; then the network loses answers."""
    db = shop(service, 30)
    selection = SelectionSettings(export=full_export(described(db), db.items("orders")).write(tmp_path))
    earlier = Runs(tmp_path / "earlier.refire")
    await earlier.run(selection=selection, marker="stamp", run_id="earlier")
    calls = Counter[str]()

    def lose(operation: str, _: dict[str, Any]) -> None:
        calls[operation] += 1
        if operation in WRITES and calls[operation] % 2:
            raise ServiceError("InternalServerError", "lost")

    db.watch = lose
    result = await runs.run(selection=selection, marker="stamp", run_id="later")
    db.watch = None
    assert result.summary.counts == Counts(scanned=30, touched=30, conflicts=30)
    assert {item["refire_run_id"]["S"] for item in db.items("orders")} == {"later"}
    assert set(db.fired("orders").values()) == {2}


def losing(db: InProcess, *, applied: bool, then: Callable[[], None] = lambda: None) -> None:
    """Lose the answer of the first write, before it is applied or after. `then` is called afterwards."""
    first = True

    def lose(operation: str, request: dict[str, Any]) -> None:
        nonlocal first
        if operation in WRITES and first:
            first = False
            if applied:
                db(operation, **request)
            then()
            raise ServiceError("InternalServerError", "lost")

    db.watch = lose


def revise(db: InProcess, *revisions: int, marker: str = "revision") -> None:
    """An application sets each of these markers on every item, one after the other."""
    for revision in revisions:
        new = (
            {"refire_run_id": {"S": f"{revision}"}}
            if marker == "stamp"
            else {"revision": {"N": f"{revision}"}}
        )
        for item in db.items("orders"):
            db("PutItem", TableName="orders", Item={**item, **new})


async def test_a_marker_that_always_differed_does_not_prove_firing(
    service: Service, runs: Runs, tmp_path: Path
):
    """The export is outdated and the first answer lost: no item has fired yet, and each fires once."""
    db = shop(service, 20)
    selection = SelectionSettings(export=full_export(described(db), db.items("orders")).write(tmp_path))
    revise(db, 40)
    before = db.fired("orders")
    losing(db, applied=False)
    result = await runs.run(selection=selection)
    assert result.summary.counts == Counts(scanned=20, touched=20, conflicts=20)
    assert db.fired("orders") - before == names(*range(20))
    assert {item["revision"]["N"] for item in db.items("orders")} == {"41"}


async def test_a_marker_that_equals_the_touched_value_counts_as_touched(
    service: Service, runs: Runs, tmp_path: Path
):
    """The answer was lost, the touch was applied: no item fires twice."""
    db = shop(service, 20)
    selection = SelectionSettings(export=full_export(described(db), db.items("orders")).write(tmp_path))
    losing(db, applied=True)
    result = await runs.run(selection=selection)
    assert result.summary.counts == Counts(scanned=20, already=20)
    assert db.fired("orders") == names(*range(20))


async def test_a_restored_marker_has_fired(service: Service, runs: Runs, tmp_path: Path):
    """It equals the export again, unlike at the second try, so another change came after that try."""
    db = shop(service, 20)
    revise(db, 7)
    selection = SelectionSettings(export=full_export(described(db), db.items("orders")).write(tmp_path))
    losing(db, applied=True)
    lose, looked = db.watch, False

    def take_back(operation: str, request: dict[str, Any]) -> None:
        nonlocal looked
        if operation == "BatchGetItem" and not looked:
            looked = True
            revise(db, 7)
        assert lose is not None
        lose(operation, request)

    db.watch = take_back
    result = await runs.run(selection=selection)
    assert looked
    assert result.summary.counts == Counts(scanned=20, already=20)


@pytest.mark.parametrize("marker", ["revision", "stamp"])
async def test_an_item_that_changed_after_its_touch_may_fire_again(
    service: Service, runs: Runs, tmp_path: Path, marker: Any
):
    """The safe assumption: the marker may always have differed. The item fires once more, not more often."""
    db = shop(service, 20)
    selection = SelectionSettings(export=full_export(described(db), db.items("orders")).write(tmp_path))
    losing(db, applied=True, then=lambda: revise(db, 40, marker=marker))
    result = await runs.run(selection=selection, marker=marker)
    assert result.summary.counts == Counts(scanned=20, touched=20, conflicts=20)
    assert set(db.fired("orders").values()) == {3}


@pytest.mark.parametrize("revisions", [(40,), (40, 41, 42)])
async def test_items_in_doubt_with_an_outdated_marker_fire_once(
    service: Service, runs: Runs, tmp_path: Path, revisions: tuple[int, ...]
):
    """Killed before the first write arrived: the markers in the ledger are outdated."""
    db = shop(service, 20)
    selection = SelectionSettings(export=full_export(described(db), db.items("orders")).write(tmp_path))
    revise(db, *revisions)
    before = db.fired("orders")
    with anyio.CancelScope() as scope:

        def cut_off(operation: str, _: dict[str, Any]) -> None:
            if operation in WRITES:
                scope.cancel()
                raise ServiceError("InternalServerError", "cut off")

        db.watch = cut_off
        await runs.run(selection=selection)
    assert scope.cancelled_caught
    # The answer to the resumed run's first try is lost as well.
    losing(db, applied=False)
    result = await runs.resume()
    assert result.exit_code is ExitCode.COMPLETE
    assert result.summary.counts == Counts(scanned=20, touched=20, conflicts=20)
    assert db.fired("orders") - before == names(*range(20))


@pytest.mark.parametrize("marker", ["revision", "stamp"])
async def test_a_conflict_in_the_ledger_is_proof_also_in_a_run_over_an_export(
    service: Service, runs: Runs, tmp_path: Path, marker: Any
):
    """Killed after the touch from the looked-up marker, then changed by others: it has fired, and does not again."""
    db = shop(service, 20)
    selection = SelectionSettings(export=full_export(described(db), db.items("orders")).write(tmp_path))
    revise(db, 40, marker=marker)
    before = db.fired("orders")
    with anyio.CancelScope() as scope:

        def cut_off(operation: str, request: dict[str, Any]) -> None:
            if operation in WRITES and db.calls["BatchGetItem"]:
                db(operation, **request)
                scope.cancel()
                raise ServiceError("InternalServerError", "cut off")

        db.calls.clear()
        db.watch = cut_off
        await runs.run(selection=selection, marker=marker)
    assert scope.cancelled_caught
    revise(db, 70, marker=marker)
    db.watch = None
    result = await runs.resume()
    assert result.summary.counts == Counts(scanned=20, already=20)
    assert set((db.fired("orders") - before).values()) == {2}


def without(name: str) -> Callable[[Export], None]:
    return lambda export: export.files.pop(f"{EXPORT_ID}/{name}") and None


def swapped(name: str, data: bytes) -> Callable[[Export], None]:
    return lambda export: export.files.update({f"{EXPORT_ID}/{name}": data})


def of(**members: Any) -> Callable[[Export], None]:
    def change(export: Export) -> None:
        export.summary = members
        export.seal()

    return change


def listing(**members: Any) -> Callable[[Export], None]:
    def change(export: Export) -> None:
        export._entries[0].update(members)
        export.seal()

    return change


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (without("manifest-summary.json"), "manifest-summary.json cannot be read"),
        (without("manifest-files.json"), "manifest-files.json cannot be read"),
        (without("manifest-files.md5"), "manifest-files.checksum cannot be read"),
        (without("data/file1.json.gz"), "file1.json.gz cannot be read"),
        (
            swapped("manifest-summary.md5", b"AAAA"),
            "manifest-summary.json of the export does not match its MD5",
        ),
        (swapped("data/file0.json.gz", b"nonsense"), "file0.json.gz of the export does not match its MD5"),
        (swapped("manifest-files.json", b"{}"), "manifest-files.json of the export does not match its MD5"),
        (of(tableArn="arn:aws:dynamodb:eu-west-1:1:table/other"), "is of arn:aws.*other, not of"),
        (of(tableId="another"), "is of an earlier table orders"),
        (of(outputFormat="ION"), "is in the format ION"),
        (listing(itemCount=19), "holds 20 items, not 19"),
        (listing(dataFileS3Key="AWSDynamoDB/../../etc/passwd"), "names no data file"),
        (listing(itemCount="many"), "manifest-files.json of the export is not understood"),
    ],
)
async def test_an_incomplete_export_or_one_of_another_table_is_refused(
    service: Service, runs: Runs, tmp_path: Path, damage: Callable[[Export], None], what: str
):
    """Before the first write."""
    db = shop(service)
    export = full_export(described(db), db.items("orders"))
    damage(export)
    folder = export.write(tmp_path)
    with pytest.raises((UsageError, RefusedError), match=what):
        await runs.run(selection=SelectionSettings(export=folder))
    assert not any(db.calls[operation] for operation in WRITES)
    assert not runs.checkpoint.exists()


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"Item": {"other": {"S": "x"}}}', '{"Keys": 5}', "{}"])
async def test_a_line_that_is_not_an_item_is_reported(
    service: Service, runs: Runs, tmp_path: Path, line: str
):
    """Its checksum may still match, if the line was changed on purpose."""
    db = shop(service)
    export = full_export(described(db), db.items("orders")[:2], files=1)
    data = gzip.compress(json.dumps({"Item": {"pk": {"S": "a"}}}).encode() + b"\n" + line.encode())
    export.files[f"{EXPORT_ID}/data/file0.json.gz"] = data
    export._entries[0]["md5Checksum"] = md5(data)
    export.seal()
    with pytest.raises(UsageError, match=r"file0.json.gz item 2 of the export is not understood"):
        await runs.run(selection=SelectionSettings(export=export.write(tmp_path)))


@pytest.mark.parametrize("end", [".md5", ".checksum"])
async def test_both_names_and_notations_of_a_checksum(service: Service, runs: Runs, tmp_path: Path, end: str):
    db = shop(service, 5)
    export = full_export(described(db), db.items("orders"))
    for name in ("manifest-summary", "manifest-files"):
        data = export.files[f"{EXPORT_ID}/{name}.json"]
        export.files.pop(f"{EXPORT_ID}/{name}.md5")
        export.files[f"{EXPORT_ID}/{name}{end}"] = hashlib.md5(data).hexdigest().encode() + b"\n"
    result = await runs.run(selection=SelectionSettings(export=export.write(tmp_path)))
    assert result.summary.counts.touched == 5
