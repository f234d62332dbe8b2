"""A page is on disk before its first write: shown with a kernel that fails fsync.

A child process asks the kernel to refuse every fsync and fdatasync (seccomp), as a dying disk does. What depends
on durability must fail then; what does not, would not notice.
"""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

CHILD = '''
import ctypes, errno, platform, sqlite3, struct, sys
from pathlib import Path

from refire_async.checkpoint.store import Store
from refire_async.errors import StoppedError
from refire_async.settings import Connection
from tests.support.checkpoints import SPEC, item, page

FSYNC, FDATASYNC = {"x86_64": (74, 75), "aarch64": (82, 83)}[platform.machine()]

def no_more_fsync():
    """Make the kernel answer EIO to fsync and fdatasync of this process (prctl(2), seccomp(2))."""
    LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
    ALLOW, EIO = 0x7FFF0000, 0x00050000 | errno.EIO
    program = b"".join(struct.pack("HBBI", *step) for step in (
        (LOAD, 0, 0, 0), (EQUAL, 1, 0, FSYNC), (EQUAL, 0, 1, FDATASYNC), (RETURN, 0, 0, EIO), (RETURN, 0, 0, ALLOW)
    ))
    text = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HxxxxxxP", 5, ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0, "no_new_privs"
    assert libc.prctl(22, 2, ctypes.create_string_buffer(filter_, len(filter_)), 0, 0) == 0, ctypes.get_errno()

path, synchronous = Path(sys.argv[1]), sys.argv[2]
store = Store.create(path, SPEC, Connection())
if synchronous == "off":
    store._db.execute("PRAGMA synchronous = OFF")
no_more_fsync()
try:
    with store.transaction():
        store.open_page(page(1, [item("a")]))
except StoppedError as error:
    print(f"stopped: {error}")
else:
    print("saved")
store.close()
'''


@pytest.mark.parametrize(
    ("synchronous", "said"),
    [("as it is", "stopped: checkpoint "), ("off", "saved")],
    ids=["a commit needs the disk", "the test would notice if it did not"],
)
def test_a_page_that_was_not_synced_is_not_saved(tmp_path: Path, synchronous: str, said: str) -> None:
    """`Journal.open` returns after this commit, and no write of a page is sent before (see test_journal)."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "a.refire"), synchronous],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith(said), done.stdout
    if said != "saved":
        assert "cannot be saved: disk I/O error; free space or repair the disk" in done.stdout
