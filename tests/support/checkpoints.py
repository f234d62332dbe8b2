"""Specs, pages and crashed copies of checkpoints, for tests of saved state."""

import functools
import os
import shutil
import tempfile
from pathlib import Path

from refire_async.checkpoint.ledger import OpenPage
from refire_async.checkpoint.store import Store
from refire_async.model.counts import Counts
from refire_async.model.keys import Cursor, Item, KeySchema
from refire_async.model.marker import Marker
from refire_async.model.run import RunSpec
from refire_async.model.selection import Selection
from refire_async.settings import Connection

SPEC = RunSpec(
    run_id="run-1",
    table="orders",
    table_id="id-1",
    keys=KeySchema("pk", "S"),
    selection=Selection("scan"),
    marker=Marker("revision", "revision", "run-1"),
    total_segments=4,
)


def new_store(path: Path, spec: RunSpec = SPEC) -> Store:
    """A new checkpoint without fsync: the tests are about order and content."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(_fresh(spec))
    return reopened(path)


@functools.cache
def _fresh(spec: RunSpec) -> bytes:
    """The content that `Store.create` writes. It waits for the disk several times, so it is created once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.refire"
        Store.create(path, spec, Connection(region="eu-west-1")).close()
        return path.read_bytes()


def reopened(path: Path) -> Store:
    """An existing checkpoint, as fast as `new_store`."""
    store = Store.open(path)
    store._db.execute("PRAGMA synchronous = OFF")
    return store


def item(name: str | int, revision: int | None = None) -> Item:
    """An item in the form of a source."""
    marker: Item = {} if revision is None else {"revision": {"N": str(revision)}}
    return {"pk": {"S": str(name)}, **marker}


def page(
    number: int,
    items: list[Item],
    *,
    segment: int = 0,
    start: Cursor | None = None,
    end: Cursor | None = None,
) -> OpenPage:
    """A page that was just read."""
    return OpenPage(number, segment, items, start, end, 1.0, Counts(scanned=len(items)))


def crashed_copy(store: Store, target: Path) -> Path:
    """Copy the files that `kill -9` would leave of an open checkpoint: the database and its write-ahead log."""
    shutil.copy(store.path, target)
    log = store.path.with_name(store.path.name + "-wal")
    copy = target.with_name(target.name + "-wal")
    copy.unlink(missing_ok=True)
    if log.exists():
        shutil.copy(log, copy)
    return target
