"""The checkpoint file: saved values are read back, and only the owner can read the file."""

import os
import random
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.checkpoint import files
from refire_async.checkpoint.history import History
from refire_async.checkpoint.ledger import FINISHED, Failure, OpenPage, SegmentState
from refire_async.checkpoint.reading import peek
from refire_async.checkpoint.recording import read_recording
from refire_async.checkpoint.schema import PROCESSES_PER_ATTEMPT
from refire_async.checkpoint.store import Store
from refire_async.errors import CheckpointRefusedError, StoppedError
from refire_async.model.counts import COUNT_NAMES, Counts, Totals
from refire_async.settings import Connection
from tests.support.checkpoints import SPEC, crashed_copy, item, new_store, page, reopened

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
cursors = st.none() | st.dictionaries(
    texts, st.builds(lambda text: {"S": text}, texts), min_size=1, max_size=2
)
pages = st.builds(
    OpenPage,
    number=st.integers(0, 2**62),
    segment=st.integers(0, 999_999),
    items=st.lists(
        st.builds(lambda text: {"pk": {"S": text}, "r": {"N": "1"}}, texts), min_size=1, max_size=3
    ),
    start=cursors,
    end=cursors,
    item_units=st.floats(1, 400),
    counts=st.builds(
        Counts, **{name: st.integers(0, 5) for name in COUNT_NAMES if name not in ("scanned", "conflicts")}
    ),
    failures=st.lists(st.builds(Failure, st.just({"pk": {"S": "x"}}), texts, texts), max_size=2),
)


def test_every_file_is_for_its_owner_only(tmp_path: Path):
    """Keys can be personal data. This includes the write-ahead log, and does not depend on the umask."""
    before = os.umask(0)
    try:
        store = new_store(tmp_path / "a.refire")
        with store.transaction():
            store.open_page(page(1, [item("secret")]))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("a.refire", "a.refire-wal", "a.refire-shm"), 0o600)
    store.close()


def test_a_new_run_is_described_by_its_file(tmp_path: Path):
    connection = Connection(region="eu-west-1", profile="p", endpoint_url="http://localhost:1")
    store = Store.create(tmp_path / "a.refire", SPEC, connection)
    saved = store.load()
    assert (saved.spec, saved.connection, saved.status) == (SPEC, connection, "running")
    assert (saved.counts, saved.totals, saved.open_pages, saved.next_attempt) == (Counts(), Totals(), 0, 0)
    assert store.progress(range(4)).segments == {}
    store.close()


def test_an_existing_file_is_never_overwritten(tmp_path: Path):
    path = tmp_path / "a.refire"
    path.write_text("mine")
    with pytest.raises(CheckpointRefusedError, match="exists"):
        Store.create(path, SPEC, Connection())
    assert path.read_text() == "mine"


@given(st.lists(pages, max_size=4, unique_by=(lambda page: page.number, lambda page: page.segment)))
def test_pages_are_read_as_they_were_saved(tmp_path_factory: pytest.TempPathFactory, opened: list[OpenPage]):
    """In the order of their numbers, in doubt, their open items counted once."""
    spec = replace(SPEC, total_segments=1_000_000)
    store = new_store(tmp_path_factory.mktemp("store") / "a.refire", spec)
    for one in opened:
        one.counts.scanned = one.counts.settled + len(one.items)
        with store.transaction():
            store.open_page(one)
    store.close()
    store = reopened(store.path)
    found = store.progress(range(1_000_000)).pages
    assert [p.number for p in found] == sorted(one.number for one in opened)
    for one in opened:
        one.in_doubt = True
        one.counts.conflicts = 0
    assert {p.number: p for p in found} == {one.number: one for one in opened}
    store.close()


def test_cursors_are_read_for_the_requested_segments(tmp_path: Path):
    """A process of a run sees only its own segments and their pages."""
    store = new_store(tmp_path / "a.refire")
    with store.transaction():
        store.move_cursor(0, {"pk": {"S": "a"}})
        store.move_cursor(1, None)
        store.open_page(page(7, [item("x")], segment=2, end={"pk": {"S": "x"}}))
        store.move_cursor(0, {"pk": {"S": "b"}})
    assert store.progress(range(4)).segments == {
        0: SegmentState({"pk": {"S": "b"}}),
        1: FINISHED,
        2: SegmentState({"pk": {"S": "x"}}),
    }
    assert store.progress({0, 3}).segments == {0: SegmentState({"pk": {"S": "b"}})}
    assert store.progress({0, 3}).pages == []
    store.close()


def test_counts_are_those_of_processes_and_of_open_pages(tmp_path: Path):
    """Seconds of parallel processes do not add up, those of attempts do."""
    store = new_store(tmp_path / "a.refire")
    half = page(5, [item("open")])
    half.counts = Counts(scanned=3, already=1, failed=1)
    half.failures = [Failure({"pk": {"S": "f"}}, "Code", "reason")]
    with store.transaction():
        store.save_process(0, Counts(scanned=10, touched=10), Totals(wcu=10.0, seconds=4.0))
        store.save_process(1, Counts(scanned=5, touched=5), Totals(wcu=5.0, retries=2, seconds=6.0))
        store.save_process(PROCESSES_PER_ATTEMPT, Counts(scanned=1, vanished=1), Totals(rcu=1.0, seconds=2.0))
        store.save_process(PROCESSES_PER_ATTEMPT, Counts(scanned=2, vanished=2), Totals(rcu=2.0, seconds=3.0))
        store.open_page(half)
        store.save_status("stopped")
    saved = store.load()
    assert saved.counts == Counts(scanned=19, touched=15, vanished=2, already=1, failed=1)
    assert saved.totals == Totals(retries=2, wcu=15.0, rcu=2.0, seconds=9.0)
    assert (saved.status, saved.open_pages, saved.next_attempt) == ("stopped", 1, 2)
    assert [failure.code for failure in store.failures()] == ["Code"]
    store.close()


def test_failures_of_closed_pages_come_first_and_none_twice(tmp_path: Path):
    store = new_store(tmp_path / "a.refire")
    first, second = page(1, []), page(2, [])
    first.failures = [Failure({"pk": {"S": "1"}}, "A", "x"), Failure({"pk": {"S": "2"}}, "B", "y")]
    second.failures = [Failure({"pk": {"S": "3"}}, "C", "z")]
    with store.transaction():
        store.open_page(second)
        store.open_page(first)
        store.close_page(first)
    assert [failure.key["pk"]["S"] for failure in store.failures()] == ["1", "2", "3"]
    store.close()


def test_digests_are_new_once(tmp_path: Path):
    store = new_store(tmp_path / "a.refire")
    with store.transaction():
        assert store.unseen([b"a" * 16, b"b" * 16, b"a" * 16]) == [True, True, False]
    store.close()
    store = reopened(store.path)
    with store.transaction():
        assert store.unseen([b"b" * 16, b"c" * 16]) == [False, True]
    store.close()


def test_a_transaction_that_fails_leaves_nothing_behind(tmp_path: Path):
    store = new_store(tmp_path / "a.refire")

    def fail_half_way() -> None:
        with store.transaction():
            store.open_page(page(1, [item("x")]))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert store.progress(range(4)).pages == []
    with store.transaction():
        store.open_page(page(2, [item("y")]))
    assert [one.number for one in store.progress(range(4)).pages] == [2]
    store.close()


def test_a_crash_loses_only_uncommitted_changes(tmp_path: Path):
    store = new_store(tmp_path / "a.refire")
    with store.transaction():
        store.open_page(page(1, [item("x")]))
    with store.transaction():
        store.open_page(page(2, [item("y")]))
        copy = crashed_copy(store, tmp_path / "b.refire")
    store.close()
    store = reopened(copy)
    assert [one.number for one in store.progress(range(4)).pages] == [1]
    store.close()


def test_a_commit_waits_for_the_disk(tmp_path: Path):
    """WAL with synchronous=FULL, also in processes that join a run."""
    created = Store.create(tmp_path / "a.refire", SPEC, Connection())
    joined = Store.join(tmp_path / "a.refire")
    for store in (created, joined):
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
        store.close()


def test_a_full_disk_stops_the_run_and_keeps_what_was_saved(tmp_path: Path):
    """The error says so, and the checkpoint can be resumed when there is space."""
    store = new_store(tmp_path / "a.refire")
    store._db.execute("PRAGMA max_page_count = 20")
    saved = 0

    def fill() -> None:
        nonlocal saved
        for number in range(100):
            with store.transaction():
                store.open_page(
                    page(
                        number,
                        [item(random.Random(number).randbytes(1_000).hex())],
                        start={"at": number - 1},
                        end={"at": number},
                    )
                )
            saved += 1

    with pytest.raises(StoppedError, match=r"cannot be saved: database or disk is full; free space"):
        fill()
    assert saved > 0
    assert len(store.progress(range(4)).pages) == saved
    store.close()
    store = reopened(store.path)
    assert len(store.progress(range(4)).pages) == saved
    with store.transaction():
        store.open_page(page(saved, [item("y")]))
    store.close()


def test_a_file_that_could_not_be_created_does_not_block_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A new run under the same name finds no partial checkpoint."""

    def full(*_: object) -> None:
        raise StoppedError("disk full")

    monkeypatch.setattr(files, "begin", full)
    with pytest.raises(StoppedError):
        Store.create(tmp_path / "a.refire", SPEC, Connection())
    monkeypatch.undo()
    assert not (tmp_path / "a.refire").exists()
    Store.create(tmp_path / "a.refire", SPEC, Connection()).close()


def test_a_kill_during_the_creation_does_not_block_the_next_run(tmp_path: Path):
    """There is no checkpoint under its name yet, and the next run creates it."""
    for end in ("", "-wal", "-shm"):
        (tmp_path / f"a.refire.new{end}").write_bytes(b"half of it")
    Store.create(tmp_path / "a.refire", SPEC, Connection()).close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.refire"]
    assert (tmp_path / "a.refire").stat().st_mode & 0o777 == 0o600


def test_reading_does_not_disturb_a_run(tmp_path: Path):
    """During a transaction, a reader sees the state before it; afterwards the new state."""
    store = new_store(tmp_path / "a b#c?.refire")
    with store.transaction():
        store.save_process(0, Counts(scanned=1, touched=1), Totals())
    with store.transaction():
        store.save_process(0, Counts(scanned=2, touched=2), Totals())
        store.save_status("complete")
        assert peek(store.path).counts.touched == 1
        assert peek(store.path).status == "running"
    assert peek(store.path).counts.touched == 2
    assert peek(store.path).status == "complete"
    store.close()
    assert peek(store.path).status == "complete"


def test_reading_keeps_the_locks_of_a_run_with_changing_processes(tmp_path: Path):
    """A process that ends may only remove the log if no other process has the file open.

    Looking at it in between must not make SQLite's locks go, as closing a descriptor of a file does.
    """
    store = new_store(tmp_path / "a.refire")
    with store.transaction():
        store.open_page(page(1, [item("a")]))
    log = store.path.with_name("a.refire-wal")
    before = log.stat().st_ino
    program = (
        peek,
        read_recording,
        lambda path: History(path).__exit__(),
    )
    for number, one in enumerate(program, start=2):
        one(store.path)
        write = (
            "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]);"
            "db.execute('UPDATE run SET updated_at = updated_at'); db.commit(); db.close()"
        )
        subprocess.run([sys.executable, "-c", write, str(store.path)], check=True, timeout=60)
        assert log.exists()
        assert log.stat().st_ino == before
        with store.transaction():
            store.open_page(page(number, [item("a")], segment=number - 1))
    store.close()
    assert [one.number for one in reopened(store.path).progress(range(4)).pages] == [1, 2, 3, 4]


def test_reading_is_one_transaction(tmp_path: Path):
    """Otherwise a page that is closed between two queries would count twice or not at all."""
    store = new_store(tmp_path / "a.refire")
    settled = page(1, [])
    settled.counts = Counts(scanned=1, already=1)
    with store.transaction():
        store.open_page(settled)
        store.save_process(0, Counts(), Totals())
    other = sqlite3.connect(store.path, isolation_level=None)
    store._db.set_trace_callback(
        lambda statement: (
            other.executescript(
                """DELETE FROM page; UPDATE part SET counts = '{"scanned": 1, "already": 1}'"""
            )
            if "FROM page" in statement
            else None
        )
    )
    assert store.load().counts == Counts(scanned=1, already=1)
    store._db.set_trace_callback(None)
    assert store.load().counts == Counts(scanned=1, already=1)
    other.close()
    store.close()


def test_a_run_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    store = Store.in_memory(SPEC, Connection())
    with store.transaction():
        store.open_page(page(1, [item("x")]))
    assert store.load().open_pages == 1
    store.close()
    assert list(tmp_path.iterdir()) == []
