"""The run's own list: each key once, in segments that do not overlap, for any input in any order."""

import stat
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.errors import CheckpointRefusedError
from refire_async.model.keys import Item, KeySchema, identity
from refire_async.sources import key_list
from refire_async.sources.key_list import KeyListSource, KeyListWriter, list_path, open_list
from refire_async.sources.lazy_items import LazyItems
from tests.support.examples import examples
from tests.support.virtual_time import run_virtual

KEYS = KeySchema("pk", "S", "sk", "N")


def item(number: int, sort: int = 0) -> Item:
    return {"pk": {"S": f"k\t{number}\n\u2028"}, "sk": {"N": str(sort)}}


def make(path: Path, items: list[Item], more: Item | None = None) -> key_list.KeyList:
    with KeyListWriter(path, KEYS) as writer:
        for one in items:
            writer.add(one, more)
        return writer.finish()


async def read_all(path: Path, segments: int, limit: int) -> list[list[Item]]:
    """The items of each segment, every page read by a new source, as after a resume."""
    found = []
    for segment in range(segments):
        items: list[Item] = []
        cursor = None
        while True:
            page = await KeyListSource(path, segments, carries_marker=False).read(segment, cursor, limit)
            assert len(page.items) <= limit
            items += page.items
            cursor = page.cursor
            if cursor is None:
                break
        found.append(items)
    return found


@examples(25, 300)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=60),
    st.integers(1, 20),
    st.integers(1, 9),
)
def test_every_key_is_read_once_for_any_segments_and_pages(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[tuple[int, int]], segments: int, limit: int
):
    """Also with more segments than lines, and for an empty list."""
    path = tmp_path_factory.mktemp("list") / "x.keys"
    made = make(path, [item(*number) for number in numbers])
    found = [one for items in run_virtual(read_all, path, segments, limit) for one in items]
    assert made.items == len(found) == len(set(numbers))
    assert {identity(KEYS.names, one) for one in found} == {
        identity(KEYS.names, item(*number)) for number in numbers
    }


@pytest.mark.parametrize("more", [None, {"revision": {"N": "5"}}])
@pytest.mark.parametrize("at_once", [1 << 24, 3_000])
async def test_duplicates_are_removed_with_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, more: Item | None
):
    """Small buffers make many blocks per bucket; one hash key with many sort keys makes a bucket that is divided."""
    monkeypatch.setattr(key_list, "BUFFER", 200)
    monkeypatch.setattr(key_list, "DISTINCT_BYTES", at_once)
    collection = [item(7, sort) for sort in range(800)]
    others = [item(number) for number in range(400)]
    made = make(tmp_path / "x.keys", [*collection, *others, *reversed(collection), *others], more)
    assert made.items == 1200 - (item(7, 0) in others)
    parts = await read_all(tmp_path / "x.keys", 16, 100)
    assert sum(map(len, parts)) == made.items
    # A hot hash key stays together, so that it holds back few lanes.
    with_collection = [part for part in parts if any(one["pk"] == collection[0]["pk"] for one in part)]
    assert len(with_collection) <= 12


def test_every_line_is_read_twice_at_the_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A list of any size is made in proportion to its size: also if a bucket is a thousand times what fits at once."""
    read = 0

    class Counted(key_list.Extents):
        def read(self, bucket: int) -> Iterator[bytes]:
            nonlocal read
            for block in super().read(bucket):
                read += len(block)
                yield block

    monkeypatch.setattr(key_list, "BUFFER", 200)
    monkeypatch.setattr(key_list, "DISTINCT_BYTES", 100)
    monkeypatch.setattr(key_list, "Extents", Counted)
    items = [item(7, sort) for sort in range(3_000)]
    added = sum(len(orjson.dumps(one)) + 1 for one in items)
    assert make(tmp_path / "x.keys", items).items == 3_000
    assert read == 2 * added


async def test_further_attributes_of_an_item_are_kept(tmp_path: Path):
    """The first occurrence of an item counts; an item without further attributes has its key only."""
    path = tmp_path / "x.keys"
    with KeyListWriter(path, KEYS) as writer:
        writer.add(item(1), {"revision": {"N": "5"}})
        writer.add(item(2), {})
        writer.add(item(1), {"revision": {"N": "6"}})
        writer.finish()
    (items,) = await read_all(path, 1, 10)
    by_key = {one["pk"]["S"]: one for one in items}
    assert by_key[item(1)["pk"]["S"]] == {**item(1), "revision": {"N": "5"}}
    assert by_key[item(2)["pk"]["S"]] == item(2)


def test_only_the_owner_may_read_the_list_and_no_other_file_is_left(tmp_path: Path):
    """Keys can be personal data, including those of an unfinished list."""
    path = list_path(tmp_path / "run.refire")
    make(path, [item(1)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["run.refire.keys"]
    with KeyListWriter(tmp_path / "other.keys", KEYS) as writer:
        writer.add(item(2))
    assert [one.name for one in tmp_path.iterdir()] == ["run.refire.keys"]


def test_the_number_of_segments_follows_the_number_of_items(tmp_path: Path):
    """A short list is one segment, the longest have somewhat more than the maximum number of active lanes."""
    sizes = {items: key_list.KeyList(tmp_path, items, 0, 0).segments for items in (0, 1, 4_000, 10**6, 10**8)}
    assert sizes == {0: 1, 1: 1, 4_000: 2, 10**6: 256, 10**8: 256}


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"{}\n",
        lambda _: b"",
        lambda data: b"nonsense" + data[8:],
        lambda data: b"[1]".ljust(len(data)),
    ],
)
async def test_a_changed_list_is_refused(tmp_path: Path, damage):  # type: ignore[no-untyped-def]
    """Its cursors would be meaningless, and items would be skipped silently."""
    path = tmp_path / "x.keys"
    make(path, [item(number) for number in range(9)])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointRefusedError, match="is damaged"):
        open_list(path)
    with pytest.raises(CheckpointRefusedError, match="is damaged"):
        await KeyListSource(path, 1, carries_marker=False).read(0, None, 5)


async def test_a_list_with_a_changed_byte_is_refused_before_it_is_used(tmp_path: Path):
    """Size and form are unchanged, but another key would be read."""
    path = tmp_path / "x.keys"
    make(path, [item(number) for number in range(9)])
    path.write_bytes(path.read_bytes().replace(b'"N":"0"', b'"N":"1"', 1))
    assert open_list(path).items == 9
    with pytest.raises(CheckpointRefusedError, match="is damaged"):
        await KeyListSource(path, 1, carries_marker=False).read(0, None, 5)


async def test_a_list_that_is_truncated_during_a_read_is_refused(tmp_path: Path):
    """It was complete when it was opened."""
    path = tmp_path / "x.keys"
    make(path, [item(number) for number in range(9)])
    source = KeyListSource(path, 1, carries_marker=False)
    page = await source.read(0, None, 5)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CheckpointRefusedError, match="is damaged"):
        await source.read(0, page.cursor, 5)


async def test_keys_are_decoded_when_they_are_accessed(tmp_path: Path):
    """As a sequence they are items; as JSON they are an array."""
    path = tmp_path / "x.keys"
    make(path, [item(number) for number in range(9)])
    page = await KeyListSource(path, 1, carries_marker=False).read(0, None, 7)
    assert isinstance(page.items, LazyItems)
    whole = list(page.items)
    assert len(page.items) == len(whole) == 7
    assert page.items[3] == whole[3]
    assert list(page.items[2:5]) == whole[2:5]
    assert orjson.loads(orjson.dumps(page.items[2:5].as_json())) == whole[2:5]


async def test_a_missing_list_is_reported(tmp_path: Path):
    with pytest.raises(CheckpointRefusedError, match="cannot be read: No such file"):
        await KeyListSource(tmp_path / "x.keys", 1, carries_marker=False).read(0, None, 5)
