"""Files that are not the expected checkpoint are refused in one line and left unchanged."""

import fcntl
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.checkpoint import catalog
from refire_async.checkpoint.lock import is_locked, lock_path, locked
from refire_async.checkpoint.reading import peek
from refire_async.checkpoint.store import Store
from refire_async.errors import CheckpointRefusedError, ExitCode, UsageError
from refire_async.settings import Connection
from tests.support.checkpoints import SPEC, item, new_store, page
from tests.support.examples import examples

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A closed checkpoint with a few pages."""
    path = tmp_path / "a.refire"
    fill(path)
    return path


def fill(path: Path) -> None:
    store = new_store(path)
    with store.transaction():
        for number in range(12):
            items = [item(f"{number}-{n}") for n in range(30)]
            store.open_page(page(number, items, start={"at": number - 1}, end={"at": number}))
        store.unseen([bytes([n]) * 16 for n in range(50)])
    store.close()


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (x)")
    db.close()


def with_version(version: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[60:64] = version.to_bytes(4, "big")
        path.write_bytes(data)

    return change


def without_run(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM run")
    db.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(b""), "is not a checkpoint of refire"),
        (lambda path: path.write_text("SQLite format 3"), "is not a checkpoint of refire"),
        (lambda path: path.write_text("# my notes\n" * 100), "is not a checkpoint of refire"),
        (foreign, "is not a checkpoint of refire"),
        (with_version(2), "has format 2, this program reads format 3"),
        (with_version(4), "has format 4, this program reads format 3"),
        (with_version(0), "has format 0, this program reads format 3"),
        (lambda path: path.write_bytes(path.read_bytes()[:5_000]), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "is damaged"),
        (without_run, "is damaged: it contains no run"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read: Is a directory"),
        (Path.unlink, "there is no checkpoint"),
    ],
)
def test_other_files_are_refused(checkpoint: Path, change: Callable[[Path], None], message: str):
    """By resume and by `status`; a foreign file stays unchanged."""
    change(checkpoint)
    before = checkpoint.read_bytes() if checkpoint.is_file() else None

    def go_on() -> None:
        store = Store.open(checkpoint)
        try:
            store.load()
        finally:
            store.close()

    for attempt in (go_on, lambda: peek(checkpoint)):
        with pytest.raises(CheckpointRefusedError) as caught:
            attempt()
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code is ExitCode.CHECKPOINT_REFUSED
        assert caught.value.action
    if before is not None and "damaged" not in message:
        assert checkpoint.read_bytes() == before


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a checkpoint with a few pages."""
    path = tmp_path_factory.mktemp("sound") / "a.refire"
    fill(path)
    return path.read_bytes()


@examples(60, 1_000)
@given(st.data())
def test_a_damaged_file_never_causes_a_traceback(
    sound: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    """Any bytes are flipped. SQLite's quick check finds a broken structure, parsing finds broken values."""
    path = tmp_path_factory.mktemp("damaged") / "a.refire"
    content = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        store = Store.open(path)
    except CheckpointRefusedError:
        return
    try:
        store.load()
        store.progress(range(4))
    except CheckpointRefusedError:
        pass
    finally:
        store.close()


def test_a_broken_structure_is_found_when_the_file_is_opened(checkpoint: Path):
    """A page of the file is overwritten, as by a defective disk."""
    content = bytearray(checkpoint.read_bytes())
    assert len(content) >= 4 * 4_096
    content[2 * 4_096 : 3 * 4_096] = b"\xaa" * 4_096
    checkpoint.write_bytes(content)
    with pytest.raises(CheckpointRefusedError, match="is damaged"):
        Store.open(checkpoint)


def test_a_missing_folder_is_reported(tmp_path: Path):
    path = tmp_path / "no" / "a.refire"
    with pytest.raises(CheckpointRefusedError, match="cannot be created: No such file or directory"):
        Store.create(path, SPEC, Connection())
    with (
        pytest.raises(CheckpointRefusedError, match="cannot be locked: No such file or directory"),
        locked(path),
    ):
        pass


@contextmanager
def read_only_folder(mode: int = 0o555) -> Iterator[Path]:
    """A folder that this process may not write to, even if the tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder / "a.refire")
        (folder / "a.refire").chmod(0o444)
        folder.chmod(mode)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65_534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


def test_a_read_only_folder_is_reported():
    with read_only_folder() as folder:
        with pytest.raises(CheckpointRefusedError, match="cannot be created: Permission denied"):
            Store.create(folder / "new.refire", SPEC, Connection())
        with (
            pytest.raises(CheckpointRefusedError, match="cannot be locked: Permission denied"),
            locked(folder / "a.refire"),
        ):
            pass
        with pytest.raises(CheckpointRefusedError, match="cannot be opened"):
            Store.open(folder / "a.refire")


def test_a_read_only_file_is_reported_when_it_is_opened():
    """SQLite opens it for reading without an error, and the first page would end the run."""
    with read_only_folder(0o777) as folder:
        with pytest.raises(CheckpointRefusedError, match="cannot be opened: attempt to write a readonly"):
            Store.open(folder / "a.refire")
        assert peek(folder / "a.refire").spec == SPEC


def test_reading_needs_no_writable_folder_and_leaves_no_files():
    """Such as a checkpoint in a backup."""
    with read_only_folder() as folder:
        before = sorted(path.name for path in folder.iterdir())
        assert peek(folder / "a.refire").open_pages == 12
        assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize("name", ["link.refire", "../link.refire"])
def test_a_link_to_a_checkpoint_is_that_checkpoint(checkpoint: Path, name: str):
    """Otherwise two names of one file would have two locks."""
    link = checkpoint.parent / name
    link.symlink_to(checkpoint)
    with locked(checkpoint), pytest.raises(CheckpointRefusedError, match="is in use"), locked(link):
        pass
    link.unlink()


def test_a_removed_lock_file_does_not_lock(checkpoint: Path, monkeypatch: pytest.MonkeyPatch):
    """A process that opened the lock file just before its removal does not hold the lock of the next one."""
    with locked(checkpoint):
        descriptors = []
        really = os.open

        def open_just_before(path: Path, *arguments: int) -> int:
            descriptors.append(really(path, *arguments))
            if len(descriptors) == 1:
                catalog.discard(checkpoint)
            return descriptors[-1]

        monkeypatch.setattr(os, "open", open_just_before)
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)
        with locked(checkpoint) as descriptor:
            assert len(descriptors) == 2
            assert os.path.samestat(os.fstat(descriptor), lock_path(checkpoint).stat())


def test_one_at_a_time(checkpoint: Path):
    with locked(checkpoint):
        assert is_locked(checkpoint)
        with pytest.raises(CheckpointRefusedError, match="is in use by another process"), locked(checkpoint):
            pass
    assert not is_locked(checkpoint)
    assert lock_path(checkpoint).stat().st_mode & 0o777 == 0o600


HOLD = """
import sys
from pathlib import Path
from refire_async.checkpoint.lock import locked
from tests.support.examples import examples
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_the_kernel_releases_the_lock_of_a_dead_process(checkpoint: Path):
    """After `kill -9` no clean-up is needed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(checkpoint)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        assert is_locked(checkpoint)
        assert catalog.describe(checkpoint).status == "running"
        holder.kill()
        holder.wait()
    assert not is_locked(checkpoint)
    assert catalog.describe(checkpoint).status == "stopped"


def test_a_child_that_inherited_the_lock_holds_it_too(checkpoint: Path):
    """A worker process that outlives its parent keeps other runs away from the checkpoint."""
    with locked(checkpoint) as descriptor:
        heir = os.dup(descriptor)
    try:
        assert is_locked(checkpoint)
    finally:
        os.close(heir)
    assert not is_locked(checkpoint)


def test_runs_are_listed_newest_first_without_other_files(tmp_path: Path):
    for name in ("old", "new"):
        store = new_store(tmp_path / f"{name}.refire")
        with store.transaction():
            store.save_status("complete")
            store._db.execute("UPDATE run SET updated_at = ?", (f"20{10 if name == 'old' else 20}-01-01",))
        store.close()
    (tmp_path / "junk.refire").write_text("junk")
    (tmp_path / "junk.txt").write_text("junk")
    assert [run.checkpoint.stem for run in catalog.list_runs(tmp_path).runs] == ["new", "old"]


def test_a_run_is_found_by_its_id_in_the_users_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert catalog.list_runs().runs == []
    path = catalog.path_of("run-1")
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(UsageError, match="there is no run run-1"):
        catalog.find("run-1")
    new_store(path).close()
    assert catalog.find("run-1") == path


def test_a_lock_held_elsewhere_is_no_error_of_the_file_system(checkpoint: Path):
    """Any holder counts, also one that acquired the lock without this module."""
    descriptor = os.open(lock_path(checkpoint), os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        assert is_locked(checkpoint)
    finally:
        os.close(descriptor)
