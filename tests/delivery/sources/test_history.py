"""What is stale and what is the latest, on disk as in memory."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refire_async.delivery.record import EventRecord
from refire_async.delivery.sources import history
from refire_async.delivery.sources.history import KeyHistory
from refire_async.errors import StoppedError


def made(key: str, number: int) -> EventRecord:
    """A record of which only these matter."""
    return EventRecord(b"", f'{{"pk":{{"S":"{key}"}}}}'.encode(), number, 1.0, "MODIFY")


rows = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=40).flatmap(
    lambda found: st.permutations([(key, number, delivered) for number, (key, delivered) in enumerate(found)])
)


@given(rows)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_as_counted_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: list[tuple[str, int, bool]]
) -> None:
    """Whatever the order in which records come, and however often rows went to the disk."""
    monkeypatch.setattr(history, "_CHUNK_BYTES", 100)
    with KeyHistory(tmp_path) as rows:
        for key, number, delivered in found:
            rows.add([made(key, number)], delivered=delivered)
        left_out = {key: max([n for k, n, d in found if k == key and not d], default=-1) for key in "abcd"}
        stale = [(key, number) for key, number, delivered in found if delivered and number < left_out[key]]
        count, named = rows.stale()
        assert count == len(stale)
        assert {name[12:-3] for name in named} <= {key for key, _ in stale}
        assert len(named) == min(3, len({key for key, _ in stale}))
        last = {key: max([n for k, n, d in found if k == key and d], default=-1) for key in "abcd"}
        latest = rows.latest()
        kept = {(key, number) for key, number, _ in found if made(key, number) in latest}
        assert kept == {
            (key, number) for key, number in last.items() if number > left_out[key] and number >= 0
        }
        assert len(latest) == len(kept)
    assert not list(tmp_path.iterdir())


def test_many_keys_in_little_memory(tmp_path: Path) -> None:
    """Rows go to a file without a name, which is closed at the end."""
    with KeyHistory(tmp_path) as rows:
        for start in range(0, 300_000, 1_000):
            rows.add(
                (made(f"{number:030}", number) for number in range(start, start + 1_000)), delivered=True
            )
        assert sum(map(len, rows._waiting)) < 256 * 40_000
        assert rows._end > 5 << 20
        rows.add([made(f"{7:030}", 10**40 - 1)], delivered=False)
        assert rows.stale() == (1, (f'{{"pk":{{"S":"{7:030}"}}}}',))
        assert len(rows.latest()) == 299_999
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(rows._file)


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear line."""
    monkeypatch.setattr(history, "_CHUNK_BYTES", 1)
    with KeyHistory(tmp_path / "gone") as rows, pytest.raises(StoppedError, match="no room"):
        rows.add([made("a", 1)], delivered=True)
