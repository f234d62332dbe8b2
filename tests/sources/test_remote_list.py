"""A list that is read by byte ranges gives the pages of the same list in a file, and reads little else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.errors import CheckpointRefusedError
from refire_async.model.keys import Cursor, Item, KeySchema
from refire_async.sources import remote_list
from refire_async.sources.key_list import KeyList, KeyListSource, KeyListWriter
from refire_async.sources.remote_list import RemoteListSource
from tests.support.examples import examples
from tests.support.virtual_time import run_virtual

KEYS = KeySchema("pk", "S", None, None)


def make(path: Path, texts: list[str], more: Item | None) -> KeyList:
    with KeyListWriter(path, KEYS) as writer:
        for text in texts:
            writer.add({"pk": {"S": text}}, more)
        return writer.finish()


class Ranges:
    """The bytes of a file by ranges, with the number of bytes that were read."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_bytes()
        self.taken = 0

    async def read(self, offset: int, length: int) -> bytes:
        assert length > 0
        assert 0 <= offset <= offset + length <= len(self.text)
        self.taken += length
        return self.text[offset : offset + length]


@examples(40, 1_000)
@given(
    st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200), max_size=60),
    st.none() | st.just({"revision": {"N": "7"}}),
    st.tuples(st.integers(1, 20), st.integers(1, 9), st.integers(1, 300)),
)
def test_pages_and_cursors_are_those_of_the_file(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    more: Item | None,
    sizes: tuple[int, int, int],
) -> None:
    """For any keys, segments and pages, and for reads that end within a line."""
    segments, limit, least = sizes
    found = make(tmp_path_factory.mktemp("list") / "keys", texts, more)

    async def both() -> None:
        in_file = KeyListSource(found.path, segments, carries_marker=more is not None)
        remote = RemoteListSource(found, Ranges(found.path).read, segments, carries_marker=more is not None)
        for segment in range(segments):
            cursor: Cursor | None = None
            while True:
                page = await in_file.read(segment, cursor, limit)
                same = await remote.read(segment, cursor, limit)
                assert (list(same.items), same.cursor) == (list(page.items), page.cursor)
                cursor = page.cursor
                if cursor is None:
                    break

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote_list, "MIN_READ_BYTES", least)
        run_virtual(both)


def test_a_task_reads_its_own_part(tmp_path: Path) -> None:
    """One of ten segments of 20,000 keys in pages of 500: about a tenth of the bytes, a quarter of them twice."""
    found = make(tmp_path / "keys", [f"key-{number:06}" for number in range(20_000)], None)
    ranges = Ranges(found.path)

    async def one_segment() -> int:
        source, items, cursor = RemoteListSource(found, ranges.read, 10, carries_marker=False), 0, None
        while True:
            page = await source.read(3, cursor, 500)
            items += len(page.items)
            cursor = page.cursor
            if cursor is None:
                return items

    assert run_virtual(one_segment) == pytest.approx(2_000, abs=1)
    assert ranges.taken < 1.4 * found.size / 10


@pytest.mark.parametrize("left", [0, 1, 20])
def test_a_list_that_is_cut_off_is_refused(tmp_path: Path, left: int) -> None:
    """Keys are never left out in silence."""
    found = make(tmp_path / "keys", ["a", "b", "c"], None)
    ranges = Ranges(found.path)

    async def cut(offset: int, length: int) -> bytes:
        return (await ranges.read(offset, length))[:left]

    async def read() -> None:
        await RemoteListSource(found, cut, 1, carries_marker=False).read(0, None, 10)

    with pytest.raises(CheckpointRefusedError, match="damaged"):
        run_virtual(read)
