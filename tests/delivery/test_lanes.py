"""A key always has the same lane, and lanes keep the order of records."""

from hypothesis import given
from hypothesis import strategies as st

from refire_async.delivery.lanes import lane_of, split_into_lanes
from tests.support.delivery import record, records


def test_the_lane_of_a_key_never_changes() -> None:
    """A ledger of an earlier version of the program relies on these lanes."""
    assert [lane_of(f'{{"pk":{{"S":"{n}"}}}}'.encode(), 10) for n in range(8)] == [1, 4, 8, 9, 8, 9, 3, 2]


@given(st.lists(st.sampled_from("abcdefgh")), st.integers(1, 10))
def test_every_record_is_in_the_lane_of_its_key_in_order(keys: list[str], lanes: int) -> None:
    given_records = [record(place, key) for place, key in enumerate(keys)]
    split = split_into_lanes(given_records, lanes)
    for lane, found in split.items():
        assert found == [one for one in given_records if lane_of(one.key, lanes) == lane]
    assert sum(map(len, split.values())) == len(given_records)
    assert all(split.values())


def test_keys_spread_over_the_lanes() -> None:
    split = split_into_lanes(records(range(10_000), keys=10_000), 10)
    assert sorted(split) == list(range(10))
    assert all(850 < len(found) < 1_150 for found in split.values())
