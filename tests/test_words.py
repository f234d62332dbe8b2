"""No word that was given up returns in the files that are clean; and the search finds the given-up words."""

from pathlib import Path

import pytest

from tests.words import CLEAN, find, search


def test_no_given_up_word_is_left() -> None:
    """`tests/words.py` names for each what to write instead."""
    assert [str(found) for found in find(CLEAN)] == []


@pytest.mark.parametrize(
    ("path", "text", "word"),
    [
        ("refire_async/engine/run.py", "def begin_sitting() -> None:", "begin_sitting"),
        ("refire_async/engine/run.py", "from x import WireError", "WireError"),
        ("refire_async/engine/run.py", "    self.patience_s = 3.0", "patience_s"),
        ("refire_async/engine/run.py", "if undecoded.key_text:", "key_text"),
        ("docs/verify.md", "Nobody reads it.", "Nobody"),
        ("docs/verify.md", "What stands against it?", "stands against"),
        ("docs/verify.md", "The port cannot be had.", "cannot be had"),
        ("README.md", "what it foretells", "foretells"),
        ("refire_async/engine/sitting.py", "", "sitting"),
        ("tests/pipeline/test_steering.py", "", "steering"),
    ],
)
def test_a_word_is_found(path: str, text: str, word: str) -> None:
    """In names, in prose and in the name of the file."""
    assert word in {found.text for found in search(path, text)}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("refire_async/checkpoint/store.py", "SELECT id FROM sitting WHERE ended IS NULL"),
        ("docs/verify.md", "The writer gathers 25 statements in an attempt."),
        ("docs/verify.md", "sure, the arms of an index"),
        ("refire_async/aws/http.py", 'raise AwsError("make sure that it is there")'),
    ],
)
def test_what_is_kept_is_not_found(path: str, text: str) -> None:
    """Columns of the checkpoint, and everyday meanings of the words."""
    assert list(search(path, text)) == []


def test_files_are_read(tmp_path: Path) -> None:
    """Below a folder, each with its line."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("fine\nby and by\n")
    assert [str(found) for found in find(("docs",), tmp_path)] == ["docs/a.md:2: 'by and by': use gradually"]
