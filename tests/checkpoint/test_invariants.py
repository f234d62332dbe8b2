"""Well-formed values that contradict each other are found when a checkpoint is opened."""

import re
import sqlite3
from pathlib import Path

import pytest

from refire_async.checkpoint.ledger import Failure
from refire_async.checkpoint.pages import pack
from refire_async.checkpoint.schema import APPLICATION_ID, TABLES, VERSION
from refire_async.checkpoint.store import Store
from refire_async.errors import CheckpointRefusedError
from refire_async.model.counts import Counts, Totals
from tests.support.checkpoints import item, new_store, page

DONE = '{"scanned":2,"touched":1,"already":0,"conflicts":0,"vanished":0,"expired":0,"failed":1}'


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A run half-way: one segment is read, one has two open pages, and one item failed."""
    store = new_store(tmp_path / "a.refire")
    with store.transaction():
        first = page(1, [item("a")], segment=0)
        store.open_page(first)
        store.open_page(page(2, [item("b")], segment=1, end={"pk": {"S": "b"}}))
        store.open_page(page(3, [item("c")], segment=1, start={"pk": {"S": "b"}}, end={"pk": {"S": "c"}}))
        closed = page(4, [item("d"), item("e")], segment=2)
        store.open_page(closed)
        closed.failures = [Failure({"pk": {"S": "e"}}, "Why", "because")]
        store.close_page(closed)
        store.save_process(0, Counts(scanned=2, touched=1, failed=1), Totals())
    store.close()
    return store.path


def change(path: Path, sql: str) -> None:
    db = sqlite3.connect(path)
    for name, items in {"NOTHING": [], "KEYLESS": [{"x": {"S": "a"}}]}.items():
        sql = sql.replace(name, f"x'{pack(items).hex()}'")
    assert db.execute(sql).rowcount > 0
    db.commit()
    db.close()


def test_the_checkpoint_of_a_run_is_valid(checkpoint: Path) -> None:
    """Without this, the test below would show nothing."""
    Store.open(checkpoint).close()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE run SET status = 'asleep'", "no known status"),
        ("UPDATE run SET status = 'complete'", "marked as complete but is not"),
        ("UPDATE run SET run_id = 'run-2'", "names two runs"),
        ("UPDATE run SET table_name = 'other'", "names two runs"),
        (
            """UPDATE run SET spec = replace(spec, '"run_id":"run-1"}', '"run_id":"run-2"}')""",
            "names two runs",
        ),
        (
            "UPDATE run SET spec = replace(spec, '\"total_segments\":4', '\"total_segments\":2')",
            "a segment that",
        ),
        ("UPDATE segment SET segment = -1 WHERE segment = 2", "a segment that"),
        ("DELETE FROM segment WHERE segment = 1", "page 2 is beyond the cursor"),
        (
            """UPDATE segment SET finished = 0, cursor = '{"pk":{"S":"a"}}' WHERE segment = 0""",
            "page 1 is beyond the cursor",
        ),
        ("UPDATE page SET start = NULL WHERE number = 3", "page 3 occurs twice"),
        (
            "INSERT INTO page SELECT 9, segment, start, finish, 1, 1, items, counts, failures FROM page LIMIT 1",
            "occurs twice",
        ),
        ("UPDATE page SET items = NOTHING WHERE number = 1", "page 1 is empty"),
        (
            "UPDATE page SET items = KEYLESS WHERE number = 1",
            "an item without key",
        ),
        (
            """UPDATE page SET counts = replace(counts, '"touched":0', '"touched":1')""",
            "page 1 has counts that do not",
        ),
        (
            """UPDATE page SET counts = replace(counts, '"failed":0', '"failed":-1')""",
            "page 1 has counts that do not",
        ),
        (
            """UPDATE part SET counts = replace(counts, '"touched":1', '"touched":2')""",
            "counts do not add up",
        ),
        ("""UPDATE part SET counts = replace(counts, '"conflicts":0', '"conflicts":9')""", "do not add up"),
        ("DELETE FROM failed", "failed keys are not as many"),
        (
            "INSERT INTO failed (key, code, reason) SELECT key, code, reason FROM failed",
            "failed keys are not",
        ),
        ("DELETE FROM part", "failed keys are not as many"),
    ],
)
def test_contradictions_are_refused(checkpoint: Path, sql: str, message: str) -> None:
    """The message names the contradiction in one line, and the file stays unchanged."""
    change(checkpoint, sql)
    before = checkpoint.read_bytes()
    with pytest.raises(CheckpointRefusedError, match=message) as caught:
        Store.open(checkpoint)
    assert "\n" not in str(caught.value)
    assert checkpoint.read_bytes() == before


def test_a_shrunk_page_is_valid(checkpoint: Path) -> None:
    """An orderly stop leaves a page with some items acknowledged and the rest open."""
    store = Store.open(checkpoint)
    left = page(5, [item("f"), item("g")], segment=3)
    with store.transaction():
        store.open_page(left)
        left.counts.touched = 1
        store.shrink_page(left, [item("g")])
    store.close()
    Store.open(checkpoint).close()


def test_the_documentation_has_every_column() -> None:
    """docs/checkpoint.md describes the format: version, tables, columns."""
    text = (Path(__file__).parents[2] / "docs" / "checkpoint.md").read_text()
    assert f"## Format, version {VERSION}" in text
    assert f"0x{APPLICATION_ID:08X}" in text
    db = sqlite3.connect(":memory:")
    db.executescript(TABLES)
    (tables,) = zip(*db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"), strict=True)
    named: dict[str, set[str]] = {}
    table = ""
    for first, columns in re.findall(r"^\|([^|]*)\|([^|]+)\|", text, re.MULTILINE):
        table = first.strip().partition(" ")[0].strip("`") or table
        named.setdefault(table, set()).update(re.findall(r"`(\w+)`", columns))
    for name in tables:
        own = {column for _, column, *_ in db.execute(f"PRAGMA table_info({name})")}
        assert own - {"only"} <= named.get(name, set()) | ({"number"} if name == "failed" else set()), name
    db.close()
