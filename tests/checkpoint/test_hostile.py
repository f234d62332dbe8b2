"""Malicious checkpoints are refused in one line, quickly, with little memory, and before their content is used."""

import os
import sqlite3
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from refire_async.checkpoint import catalog
from refire_async.checkpoint.history import History
from refire_async.checkpoint.pages import MAX_PAGE_BYTES, MAX_PAGE_ITEMS, pack, unpack
from refire_async.checkpoint.read_only import read_unlocked
from refire_async.checkpoint.reading import peek
from refire_async.checkpoint.shapes import conforms
from refire_async.checkpoint.store import Store
from refire_async.errors import CheckpointRefusedError, StoppedError
from refire_async.model.counts import Counts, Totals
from refire_async.settings import Connection
from refire_async.sources.key_list import HEADER_BYTES, open_list
from tests.support.checkpoints import SPEC, item, new_store, page

STRANGER = 54_321
"""The id of another user."""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A stopped run with a page in the ledger and an acknowledged one."""
    store = new_store(tmp_path / "a.refire")
    with store.transaction():
        store.open_page(page(1, [item("a")], segment=0, end={"pk": {"S": "a"}}))
        closed = page(2, [item("b")], segment=1)
        store.open_page(closed)
        store.close_page(closed)
        store.save_process(0, Counts(scanned=1, touched=1), Totals())
    store.close()
    return store.path


def edit(path: Path, *statements: str, values: tuple[object, ...] = ()) -> None:
    """Change a checkpoint with SQL."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA writable_schema = ON")
    for statement in statements:
        db.execute(statement, values)
    db.close()


def refused(path: Path, *words: str, reads: tuple[Callable[[Path], object], ...] = ()) -> None:
    """Resume and `status` refuse the checkpoint in one line and leave the file unchanged."""
    before = path.read_bytes()
    for read in reads or (Store.open, peek):
        with pytest.raises(CheckpointRefusedError) as caught:
            read(path)
        text = str(caught.value)
        assert "\n" not in text
        for word in words:
            assert word in text
    assert path.read_bytes() == before


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT "


@pytest.mark.parametrize(
    "statements",
    [
        (
            "ALTER TABLE run RENAME TO run0",
            f"CREATE VIEW run AS {ENDLESS} x AS only, 'r' AS run_id, 't' AS table_name FROM n",
        ),
        (
            "DROP TABLE part",
            f"CREATE VIEW part AS {ENDLESS} x AS number, '{{}}' AS counts, '{{}}' AS totals FROM n",
        ),
        ("CREATE TRIGGER t AFTER UPDATE ON run BEGIN DELETE FROM page; END",),
        ("CREATE TABLE more (x)",),
        ("CREATE INDEX i ON failed (reason)",),
        ("ALTER TABLE run ADD COLUMN more TEXT",),
        ("DROP TABLE note",),
        ("UPDATE sqlite_master SET sql = replace(sql, ') STRICT', ')') WHERE name = 'run'",),
    ],
    ids=["endless run", "endless parts", "trigger", "table", "index", "column", "missing", "not strict"],
)
def test_only_the_tables_of_the_format_are_accepted(checkpoint: Path, statements: tuple[str, ...]) -> None:
    edit(checkpoint, *statements)
    refused(checkpoint, "its tables are not those of a checkpoint", reads=(Store.open, peek, History))


def test_endless_reads_are_interrupted(checkpoint: Path) -> None:
    """Such as a recursive query without end."""
    with pytest.raises(CheckpointRefusedError, match="interrupted"):
        read_unlocked(checkpoint, lambda db: db.execute(f"{ENDLESS} count(*) FROM n").fetchone())


def test_a_page_that_decompresses_to_a_gigabyte_is_refused(checkpoint: Path) -> None:
    """It takes 1 MB of the file, in the ledger or the history, and is refused before it takes the memory."""
    packer = zlib.compressobj(9)
    first, other = (packer.compress(b"[" * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    bomb = first + other * 1_023  # a full flush makes each part independent of those before
    assert len(bomb) < 2 << 20
    edit(checkpoint, "UPDATE page SET items = ?", values=(bomb,))
    tracemalloc.start()
    try:
        refused(checkpoint, "too many", reads=(Store.open,))
        edit(checkpoint, "UPDATE settled SET items = ?", values=(bomb,))
        with History(checkpoint) as history, pytest.raises(CheckpointRefusedError, match="too many"):
            list(history.pages(upto=history.last()))
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_PAGE_BYTES
    finally:
        tracemalloc.stop()


def test_packed_items_can_be_unpacked() -> None:
    """The largest possible page fits; a larger one is refused before it is written."""
    keys = [{"pk": {"S": "\u0001" * 2048 + str(n)}, "sk": {"S": "x" * 1024}} for n in range(500)]
    assert unpack(pack(keys)) == keys
    with pytest.raises(StoppedError, match="more than a checkpoint page can hold"):
        pack([{"pk": {"S": "x" * MAX_PAGE_BYTES}}])


@pytest.mark.parametrize("data", [b"", b"no zlib", pack([])[:-3], pack([]) + b"x", pack([]) + pack([])])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="compressed items"):
        unpack(data)


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


def set_spec(**changes: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        db = sqlite3.connect(path)
        (text,) = db.execute("SELECT spec FROM run").fetchone()
        db.close()
        spec = orjson.loads(text)
        for name, value in changes.items():
            inner, _, last = name.rpartition("__")
            (spec[inner] if inner else spec)[last] = value
        edit(path, "UPDATE run SET spec = ?", values=(orjson.dumps(spec).decode(),))

    return change


def set_column(column: str, value: object) -> Callable[[Path], None]:
    table, name = column.split(".")
    return lambda path: edit(path, f"UPDATE {table} SET {name} = ?", values=(value,))


@pytest.mark.parametrize(
    "change",
    [
        set_spec(table=5),
        set_spec(table_id=None),
        set_spec(total_segments="4"),
        set_spec(total_segments=0),
        set_spec(total_segments=10**9),
        set_spec(total_segments=True),
        set_spec(marker__attribute=["revision"]),
        set_spec(marker__attribute=""),
        set_spec(marker__attribute="pk"),
        set_spec(marker__kind="other"),
        set_spec(keys__hash_type="M"),
        set_spec(keys__range_name="sk"),
        set_spec(selection__kind="all"),
        set_spec(selection__kind="query"),
        set_spec(selection__kind="keys"),
        set_spec(selection__key_values=[1, 2]),
        set_spec(selection__names=[[1, 2]]),
        set_spec(selection__sample="1"),
        set_spec(selection__more=1),
        set_spec(more=1),
        set_column("run.spec", deep(900)),
        set_column("run.spec", deep(100_000)),
        set_column("run.connection", '{"region":5}'),
        set_column("run.connection", '{"endpoint_url":["http://x"]}'),
        set_column("run.connection", "[]"),
        set_column("run.created_at", "yesterday"),
        set_column("part.counts", '{"scanned":1e400}'),
        set_column("part.counts", '{"scanned":"1","touched":"1"}'),
        set_column("part.counts", '{"scanned":1.0,"touched":1.0}'),
        set_column("part.counts", '{"scanned":99999999999999999999,"touched":99999999999999999999}'),
        set_column("part.totals", '{"wcu":"many"}'),
        set_column("part.totals", '{"seconds":1e300}'),
        set_column("part.number", 2**60),
        set_column("part.number", -1),
        set_column("segment.cursor", "[1]"),
        set_column("page.start", '"a"'),
        set_column("page.counts", '{"scanned":-1}'),
        set_column("page.failures", '[{"key":1,"code":"c","reason":"r"}]'),
        set_column("page.failures", '[{"key":{},"code":2,"reason":"r"}]'),
        set_column("page.items", pack([{"pk": "a"}])),
        set_column("page.items", pack([{"pk": {"S": 5}}])),
        set_column("page.items", pack([{"pk": {"N": "5"}}])),
        set_column("page.items", pack(["pk"])),
        set_column("page.items", pack([item(n) for n in range(MAX_PAGE_ITEMS + 1)])),
        set_column("page.items", pack({"pk": {"S": "a"}})),
        set_column("page.items", zlib.compress(deep(100_000).encode())),
    ],
)
def test_values_of_a_wrong_type_are_refused(checkpoint: Path, change: Callable[[Path], None]) -> None:
    change(checkpoint)
    refused(checkpoint, "is damaged", reads=(Store.open,))
    catalog.list_runs(checkpoint.parent)  # and no listing ends because of it


def test_the_values_of_a_run_conform() -> None:
    """Without this, the tests above would show nothing."""
    assert conforms(SPEC, type(SPEC))
    assert conforms(Connection(region="eu-west-1", profile=None, endpoint_url="http://x"), Connection)
    assert conforms(Counts(scanned=3), Counts)
    assert not conforms(Counts(scanned=True), Counts)
    assert not conforms(SPEC, Counts)


@pytest.mark.parametrize("whose", ["another user's", "all users'", "the group's"])
def test_files_that_others_can_write_are_refused(checkpoint: Path, whose: str) -> None:
    """By owner and by mode. (Changing the owner takes root, as which these tests run.)"""
    if whose == "another user's":
        os.chown(checkpoint, STRANGER, STRANGER)
        refused(checkpoint, "belongs to another user", "a copy of your own")
    else:
        checkpoint.chmod(0o602 if whose == "all users'" else 0o620)
        refused(checkpoint, "can be written to by other users", f"chmod go-w {checkpoint}")
    assert catalog.list_runs(checkpoint.parent).runs == []


@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("what", ["another user's", "all users'", "a link", "a folder"])
def test_foreign_files_beside_a_checkpoint_are_refused(
    checkpoint: Path, tmp_path: Path, end: str, what: str
) -> None:
    """SQLite would read them, and what it reads is part of the checkpoint."""
    other = checkpoint.with_name(checkpoint.name + end)
    match what:
        case "a link":
            (tmp_path / "elsewhere").touch()
            other.symlink_to(tmp_path / "elsewhere")
        case "a folder":
            other.mkdir()
        case _:
            other.touch()
            other.chmod(0o666 if what == "all users'" else 0o600)
            if what == "another user's":
                os.chown(other, STRANGER, STRANGER)
    refused(checkpoint, str(other), "move it away", reads=(Store.open, peek, History))
    assert os.path.lexists(other)


def test_a_journal_beside_a_checkpoint_is_refused(checkpoint: Path) -> None:
    """SQLite would play it back into the checkpoint."""
    checkpoint.with_name(checkpoint.name + "-journal").touch()
    refused(checkpoint, "was not left by refire")


def test_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.refire")
    began = time.monotonic()
    assert "is not a regular file" in catalog.list_runs(tmp_path).unreadable[0]
    assert time.monotonic() - began < 60


def test_a_new_checkpoint_does_not_apply_an_old_log(tmp_path: Path, checkpoint: Path) -> None:
    """Only the file itself was deleted; SQLite would apply its log to the next file of that name."""
    store = Store.open(checkpoint)
    with store.transaction():
        store.save_status("running")
    log = checkpoint.with_name(checkpoint.name + "-wal")
    left = log.read_bytes()
    store.close()
    new = tmp_path / "b.refire"
    new.with_name("b.refire-wal").write_bytes(left)
    made = Store.create(new, SPEC, Connection())
    assert made.load().counts == Counts()
    made.close()
    os.chown(checkpoint, STRANGER, STRANGER)
    beside = tmp_path / "c.refire-wal"
    beside.touch()
    os.chown(beside, STRANGER, STRANGER)
    with pytest.raises(CheckpointRefusedError, match="belongs to another user"):
        Store.create(tmp_path / "c.refire", SPEC, Connection())


@pytest.mark.parametrize("what", ["another user's", "all users'", "a link"])
def test_a_foreign_list_of_keys_is_refused(tmp_path: Path, what: str) -> None:
    """The list decides which items are touched."""
    path = tmp_path / "a.refire.keys"
    target = tmp_path / "elsewhere" if what == "a link" else path
    head = orjson.dumps({"refire_keys": 1, "items": 0, "bytes": HEADER_BYTES, "crc32": 0})
    target.write_bytes(head.ljust(HEADER_BYTES - 1) + b"\n")
    assert open_list(target).items == 0
    if what == "a link":
        path.symlink_to(target)
    elif what == "all users'":
        path.chmod(0o666)
    else:
        os.chown(path, STRANGER, STRANGER)
    with pytest.raises(CheckpointRefusedError):
        open_list(path)
