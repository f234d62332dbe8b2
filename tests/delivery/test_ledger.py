"""The ledger file: what it keeps, and that whatever else lies under its name is refused."""

import sqlite3
import stat
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import orjson
import pytest

from refire_async.checkpoint import catalog
from refire_async.checkpoint.lock import locked
from refire_async.checkpoint.read_only import holds_delivery
from refire_async.checkpoint.store import Store
from refire_async.delivery.catalog import describe, list_deliveries
from refire_async.delivery.ledger import Changes, Ledger
from refire_async.delivery.saved import Doubtful, Flight, SavedLane, peek
from refire_async.delivery.spec import DeliverySpec, refuse_other, spec_from_json, spec_to_json
from refire_async.errors import CheckpointRefusedError, StoppedError
from refire_async.model.delivery import DeliveryCounts
from refire_async.settings import Connection
from tests.support.checkpoints import new_store
from tests.support.delivery import make_spec

LARGE = 9 * 10**39
"""A sequence number of 40 digits."""

FLIGHT = Flight(LARGE + 1, LARGE + 9, 5, 2)
DOUBTFUL = Doubtful("s1", 1, Flight(3, 4, 2, 1), "the answer was lost")
CHANGES = Changes(
    counts=DeliveryCounts(selected=7, delivered=5, failed=2, filtered=3),
    seconds=1.5,
    failures_bytes=10,
    lanes={("s1", 0): SavedLane(LARGE, LARGE + 9, FLIGHT), ("s1", 1): SavedLane(None, 4, None)},
    tokens={"s1": "t1", "s2": None},
    doubtful=(DOUBTFUL,),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The ledger of a delivery that was killed."""
    path = tmp_path / "a.refire"
    made = Ledger.create(
        path, make_spec(parallelization=2, filters=('{"a":[1]}',)), Connection(region="eu-west-1")
    )
    made.save(CHANGES)
    made.close()
    return path


def test_everything_saved_is_read_again(ledger: Path) -> None:
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o600
    opened = Ledger.open(ledger)
    for saved in (opened.load(), peek(ledger)):
        assert saved.spec == make_spec(parallelization=2, filters=('{"a":[1]}',))
        assert saved.connection == Connection(region="eu-west-1")
        assert (saved.counts, saved.seconds, saved.failures_bytes) == (CHANGES.counts, 1.5, 10)
        assert (saved.status, saved.doubtful) == ("running", (DOUBTFUL,))
        assert saved.shards["s1"].token == "t1"
        assert saved.shards["s2"].token is None
        assert saved.shards["s1"].lanes == {number: lane for (_, number), lane in CHANGES.lanes.items()}
        (in_flight,) = saved.in_flight
        assert (in_flight.shard, in_flight.lane, in_flight.flight) == ("s1", 0, FLIGHT)
    opened.close()


def test_a_spec_survives_its_journey() -> None:
    spec = replace(
        make_spec(retries=3, bisect=True, filters=("{}",)), since=1.5, stream_arn="arn", selection="x"
    )
    assert spec_from_json(spec_to_json(spec)) == spec


def test_a_complete_delivery_does_not_run_again(ledger: Path) -> None:
    opened = Ledger.open(ledger)
    lanes = {("s1", 0): SavedLane(LARGE + 9, LARGE + 9, None)}
    opened.save(replace(CHANGES, status="complete", lanes=lanes, doubtful=()))
    opened.close()
    with pytest.raises(CheckpointRefusedError, match="which is complete"):
        Ledger.open(ledger)
    assert peek(ledger).status == "complete"


def test_a_name_that_is_taken(ledger: Path) -> None:
    with pytest.raises(CheckpointRefusedError, match="exists"):
        Ledger.create(ledger, make_spec(), Connection())


def test_runs_and_deliveries_are_told_apart(ledger: Path, tmp_path: Path) -> None:
    run = new_store(tmp_path / "run.refire").path
    assert (holds_delivery(ledger), holds_delivery(run), holds_delivery(tmp_path)) == (True, False, False)
    with pytest.raises(CheckpointRefusedError, match="holds a run, not a replay or redrive"):
        Ledger.open(run)
    with pytest.raises(CheckpointRefusedError, match="holds a replay or redrive, not a run"):
        Store.open(ledger)
    listing = catalog.list_runs(tmp_path)
    assert [one.checkpoint for one in listing.runs] == [run]
    assert listing.unreadable == []
    deliveries = list_deliveries(tmp_path)
    assert [one.checkpoint for one in deliveries.deliveries] == [ledger]
    assert deliveries.unreadable == []


def test_status_says_how_a_delivery_stands(ledger: Path) -> None:
    info = describe(ledger)
    assert (info.status, info.failed_records_file) == ("stopped", None)
    assert info.may_have_run_twice == (
        "s1, records 3 to 4 (2 of lane 1, attempt 1): the answer was lost",
        f"s1, records {LARGE + 1} to {LARGE + 9} (5 of lane 0, attempt 2): the program ended before the answer",
    )
    with locked(ledger):
        info = describe(ledger)
    assert (info.status, len(info.may_have_run_twice)) == ("running", 1)
    edit(ledger, "UPDATE delivery SET seconds = -1.0")
    assert len(list_deliveries(ledger.parent).unreadable) == 1


def edit(path: Path, *statements: str, values: tuple[object, ...] = ()) -> None:
    """Change a ledger with SQLite's own means."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA writable_schema = ON")
    for statement in statements:
        db.execute(statement, values)
    db.close()


def refused(
    path: Path, words: str, reads: tuple[Callable[[Path], object], ...] = (Ledger.open, peek)
) -> None:
    """By a resume and by `status`: one line, the file as it was."""
    before = path.read_bytes()
    for read in reads:
        with pytest.raises(CheckpointRefusedError) as caught:
            read(path)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER UPDATE ON lane BEGIN DELETE FROM doubtful; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE more (x)",
        "ALTER TABLE lane ADD COLUMN more TEXT",
        "DROP TABLE doubtful",
        "UPDATE sqlite_master SET sql = replace(sql, ') STRICT', ')') WHERE name = 'delivery'",
    ],
)
def test_other_tables_are_refused(ledger: Path, statement: str) -> None:
    edit(ledger, statement)
    refused(ledger, "its tables are not those of a checkpoint")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM delivery", "no delivery in it"),
        ("UPDATE delivery SET status = 'done'", "no known status"),
        ("UPDATE delivery SET run_id = 'other'", "two deliveries"),
        ("UPDATE delivery SET created_at = 'yesterday'", "damaged"),
        ("UPDATE delivery SET spec = '{}'", "damaged"),
        ("UPDATE delivery SET spec = '[1]'", "damaged"),
        ("UPDATE delivery SET spec = json_set(spec, '$.table', 3)", "wrong type"),
        (
            "UPDATE delivery SET spec = json_set(spec, '$.rules.parallelization', 1)",
            "a lane that its delivery has not",
        ),
        ("UPDATE delivery SET spec = json_set(spec, '$.rules.parallelization', 1000000000)", "rules"),
        ("UPDATE delivery SET spec = json_set(spec, '$.rules.batch_size', 0)", "rules"),
        ("UPDATE delivery SET spec = json_set(spec, '$.rules.batch_size', 'a')", "wrong type"),
        ("UPDATE delivery SET counts = json_set(counts, '$.delivered', -1)", "add up"),
        ("UPDATE delivery SET counts = json_set(counts, '$.failed', 3)", "add up"),
        ("UPDATE delivery SET counts = json_set(counts, '$.failed', 1e400)", "damaged"),
        ("UPDATE delivery SET seconds = -1.0", "below 0"),
        ("UPDATE delivery SET failures_bytes = -1", "below 0"),
        ("UPDATE delivery SET connection = '{\"region\": 3}'", "wrong type"),
        ("UPDATE lane SET settled = 'x' WHERE lane = 0", "sequence number"),
        ("UPDATE lane SET settled = '-1' WHERE lane = 0", "sequence number"),
        ("UPDATE lane SET settled = char(1633) WHERE lane = 0", "sequence number"),
        ("UPDATE lane SET settled = printf('%.*c', 100000, '9') WHERE lane = 0", "sequence number"),
        ("UPDATE lane SET settled = first WHERE lane = 0", "settled already"),
        ("UPDATE lane SET last = NULL WHERE lane = 0", "half a batch"),
        ("UPDATE lane SET records = 0 WHERE lane = 0", "cannot be one"),
        ("UPDATE lane SET lane = 7 WHERE lane = 0", "a lane that its delivery has not"),
        ("UPDATE lane SET shard = 'gone'", "damaged"),
        ("UPDATE doubtful SET first = '9'", "cannot be one"),
        ("UPDATE delivery SET status = 'complete'", "with a batch in flight"),
    ],
)
def test_values_that_cannot_be_are_refused(ledger: Path, statement: str, words: str) -> None:
    edit(ledger, statement)
    refused(ledger, words)


def test_files_that_are_no_ledger_are_refused(ledger: Path, tmp_path: Path) -> None:
    other = tmp_path / "text.refire"
    other.write_bytes(b"some text")
    refused(other, "is not a checkpoint of refire")
    with pytest.raises(CheckpointRefusedError, match="there is no checkpoint"):
        Ledger.open(tmp_path / "none.refire")
    edit(ledger, "PRAGMA user_version = 9")
    refused(ledger, "has format 9, this program reads format 1")


def test_a_ledger_that_others_can_write_is_refused(ledger: Path) -> None:
    ledger.chmod(0o622)
    refused(ledger, "can be written to by other users")


def test_a_damaged_page_is_refused(ledger: Path) -> None:
    data = bytearray(ledger.read_bytes())
    data[4096:4196] = b"\xff" * 100
    ledger.write_bytes(data)
    refused(ledger, "damaged", reads=(Ledger.open,))


def test_what_cannot_be_saved_stops_the_delivery(ledger: Path) -> None:
    opened = Ledger.open(ledger)
    opened._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoppedError, match="cannot be saved"):
        opened.save(CHANGES)
    opened.close()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"since": 5.0}, "another since: none, not 5.0"),
        ({"function": "f"}, "another function"),
        ({"selection": "kinds=INSERT"}, "another selection"),
        ({"table_id": "b"}, "another table id"),
    ],
)
def test_another_delivery_is_refused(other: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointRefusedError, match=words):
        refuse_other(tmp_path, make_spec(), replace(make_spec(), **other))  # type: ignore[arg-type]


def test_lanes_and_filters_stay_while_other_rules_may_change(tmp_path: Path) -> None:
    saved: DeliverySpec = make_spec(parallelization=4)
    refuse_other(tmp_path, saved, make_spec(parallelization=4, batch_size=7, retries=1, bisect=True))
    with pytest.raises(CheckpointRefusedError, match="another parallelization: 4, not 5"):
        refuse_other(tmp_path, saved, make_spec(parallelization=5))
    with pytest.raises(CheckpointRefusedError, match="another filters"):
        refuse_other(tmp_path, saved, make_spec(parallelization=4, filters=("{}",)))


def test_counts_are_json_that_scripts_could_read(ledger: Path) -> None:
    db = sqlite3.connect(ledger)
    (text,) = db.execute("SELECT counts FROM delivery").fetchone()
    db.close()
    assert orjson.loads(text) == asdict(CHANGES.counts)
