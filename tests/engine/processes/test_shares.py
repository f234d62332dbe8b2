"""The shares of a budget that processes have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.engine.processes.rebalance import LEAST, rebalance

parts = st.dictionaries(st.integers(0, 30), st.floats(LEAST, 1.0), min_size=1, max_size=12)


@given(parts, st.data())
def test_shares_are_one_whole(raw: dict[int, float], data: st.DataObject) -> None:
    """Whatever was used: every part at work has a share, and together they are the whole budget, no more."""
    whole = sum(raw.values())
    shares = {part: share / whole for part, share in raw.items()}
    used = {part: data.draw(st.floats(0.0, 1.2)) for part in shares}
    new = rebalance(shares, used)
    assert new.keys() == shares.keys()
    assert sum(new.values()) == pytest.approx(1.0)
    assert all(share > 0 for share in new.values())


def test_what_one_does_not_use_goes_to_those_who_can() -> None:
    """A part that is held up keeps a little more than it uses; the other gets the rest."""
    new = rebalance({0: 0.5, 1: 0.5}, {0: 0.1, 1: 0.5})
    assert new[0] == pytest.approx(0.125)
    assert new[1] == pytest.approx(0.875)


def test_a_part_that_is_over_leaves_all_to_the_others() -> None:
    """Only the parts at work are asked about."""
    assert rebalance({1: 0.25}, {1: 0.25}) == {1: pytest.approx(1.0)}


def test_all_hungry_share_alike() -> None:
    """Parts that could all use more have the same."""
    new = rebalance({0: 0.2, 1: 0.3, 2: 0.5}, {0: 0.2, 1: 0.3, 2: 0.5})
    assert list(new.values()) == pytest.approx([1 / 3] * 3)


def test_nobody_at_work() -> None:
    """Nothing to share among none."""
    assert rebalance({}, {}) == {}
