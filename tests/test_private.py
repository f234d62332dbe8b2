"""Files next to a checkpoint: mode 0600, written in one step, and never through a link."""

import os
import stat
from pathlib import Path

import pytest

from refire_async.private import replacing, why_foreign


@pytest.mark.parametrize("there", ["nothing", "a link", "an old file"])
@pytest.mark.parametrize("where", ["", ".new"])
def test_a_file_is_replaced_in_one_step(tmp_path: Path, there: str, where: str) -> None:
    """A file or link of another user is neither written to nor followed."""
    path, victim = tmp_path / "keys.jsonl", tmp_path / "victim"
    victim.write_text("mine")
    planted = path.with_name(path.name + where)
    if there == "a link":
        planted.symlink_to(victim)
    elif there == "an old file":
        planted.write_text("old")
        planted.chmod(0o666)
    with replacing(path) as file:
        file.write(b"new")
        assert not path.exists() or path.read_text() != "new"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert not path.is_symlink()
    assert victim.read_text() == "mine"
    assert sorted(tmp_path.iterdir()) == [path, victim]


def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mode", "foreign"), [(0o600, False), (0o644, False), (0o620, True), (0o602, True)])
def test_modes(tmp_path: Path, mode: int, *, foreign: bool) -> None:
    path = tmp_path / "a"
    path.touch()
    path.chmod(mode)
    assert (why_foreign(path.stat()) is not None) == foreign


def test_owners(tmp_path: Path) -> None:
    """Root's files are trusted: root can do all of this anyway."""
    path = tmp_path / "a"
    path.touch()
    os.chown(path, 54_321, 54_321)
    assert why_foreign(path.stat()) == "belongs to another user"
    os.chown(path, 0, 0)
    assert why_foreign(path.stat()) is None
