"""A delivery that is killed again and again keeps its promises: every record, order, named repeats, honest counts."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from refire_async.delivery.failures import failures_path
from refire_async.delivery.lanes import lane_of
from refire_async.delivery.record import EventRecord
from refire_async.delivery.saved import SavedDelivery, peek
from tests.delivery.killed import POISON, RULES, make_shards
from tests.support.processes import spawn


@dataclass
class Place:
    """Where a record is: its shard and lane, and its key."""

    shard: str
    lane: int
    key: bytes


@dataclass
class History:
    """What the function saw, read from its notes in their order."""

    places: dict[int, Place]
    named: dict[tuple[str, int], list[tuple[int, int]]]
    first_seen: dict[bytes, list[int]] = field(default_factory=lambda: defaultdict(list))
    taken: set[int] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)
    unexplained: list[int] = field(default_factory=list)

    def invoked(self, sequences: list[int], good: int) -> None:
        """An invocation whose records from place `good` on have failed."""
        assert sequences == sorted(sequences)
        assert len({(self.places[one].shard, self.places[one].lane) for one in sequences}) == 1
        for one in sequences:
            if one in self.taken and not self._is_named(one):
                self.unexplained.append(one)
            if one not in self.seen:
                key = self.places[one].key
                self.first_seen[key].append(one)
        self.seen.update(sequences)
        self.taken.update(sequences[:good])

    def _is_named(self, sequence: int) -> bool:
        place = self.places[sequence]
        return any(first <= sequence <= last for first, last in self.named[place.shard, place.lane])


def places_of(shards: dict[str, list[EventRecord]]) -> dict[int, Place]:
    lanes = int(RULES["parallelization"])
    return {
        one.sequence: Place(name, lane_of(one.key, lanes), one.key)
        for name, records in shards.items()
        for one in records
    }


def calls_in(folder: Path) -> Iterator[tuple[list[int], int]]:
    for line in (folder / "calls").read_bytes().splitlines():
        sequences, good = json.loads(line)
        yield sequences, good


def failed_in(folder: Path) -> Counter[int]:
    lines = failures_path(folder / "a.refire").read_bytes().splitlines()
    return Counter(
        int(one["dynamodb"]["SequenceNumber"])
        for line in lines
        for one in json.loads(line)["payload"]["Records"]
    )


def named_in(saved: SavedDelivery) -> dict[tuple[str, int], list[tuple[int, int]]]:
    named = defaultdict(list)
    for one in saved.doubtful:
        named[one.shard, one.lane].append((one.flight.first, one.flight.last))
    return named


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(
    ("records", "kills", "seed"),
    [
        pytest.param(5_000, 12, 1),
        *(pytest.param(100_000, 50, seed, marks=pytest.mark.soak) for seed in (2, 3)),
    ],
)
def test_a_delivery_that_is_killed_many_times_keeps_its_promises(
    records: int, kills: int, seed: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.delivery.killed", *map(str, (tmp_path, records, kills, seed))]
    process = spawn(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    output, _ = process.communicate()
    assert (process.returncode, output) == (0, b"%d\n" % kills)

    saved = peek(tmp_path / "a.refire")
    shards, _ = make_shards(records)
    failed = failed_in(tmp_path)
    history = History(places_of(shards), named_in(saved))
    for sequences, good in calls_in(tmp_path):
        history.invoked(sequences, good)

    # Every record is delivered or listed, once; the counts add up.
    assert len(history.places) == records
    assert history.taken | set(failed) == set(range(records))
    assert set(failed.values()) == {1}
    counts = saved.counts
    assert (saved.status, counts.selected, counts.failed) == ("complete", records, failed.total())
    assert counts.delivered + counts.failed == counts.selected
    assert counts.filtered == sum(-(-len(found) // 50) for found in shards.values())
    assert {one for one in range(records) if one % POISON == 0} <= set(failed)

    # Per key, first deliveries are in order, across lanes, shards, retries and kills.
    assert all(seen == sorted(seen) for seen in history.first_seen.values())

    # A record that the function has taken comes again only in a batch that is named.
    assert history.unexplained == []
    # Kills did meet batches in flight: several at a time, or none where the kill came before the first one.
    assert sum(one.reason.startswith("the program ended") for one in saved.doubtful) > kills / 3
    assert saved.in_flight == []
