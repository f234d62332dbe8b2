"""The shares of the budget that child processes get."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.engine.processes.supervisor import MIN_TASK_SHARE, rebalance

tasks = st.dictionaries(st.integers(0, 30), st.floats(MIN_TASK_SHARE, 1.0), min_size=1, max_size=12)


@given(tasks, st.data())
def test_shares_add_up_to_the_whole_budget(raw: dict[int, float], data: st.DataObject) -> None:
    """For any use: every running task has a share, and together they are exactly the whole budget."""
    whole = sum(raw.values())
    shares = {task: share / whole for task, share in raw.items()}
    used = {task: data.draw(st.floats(0.0, 1.2)) for task in shares}
    new = rebalance(shares, used)
    assert new.keys() == shares.keys()
    assert sum(new.values()) == pytest.approx(1.0)
    assert all(share > 0 for share in new.values())


def test_unused_budget_goes_to_tasks_that_can_use_it() -> None:
    """A task that is held up keeps a little more than it uses; the other gets the rest."""
    new = rebalance({0: 0.5, 1: 0.5}, {0: 0.1, 1: 0.5})
    assert new[0] == pytest.approx(0.125)
    assert new[1] == pytest.approx(0.875)


def test_a_finished_task_leaves_its_share_to_the_others() -> None:
    """The arguments contain only running tasks."""
    assert rebalance({1: 0.25}, {1: 0.25}) == {1: pytest.approx(1.0)}


def test_saturated_tasks_get_equal_shares() -> None:
    """Tasks that could all use more get equal shares."""
    new = rebalance({0: 0.2, 1: 0.3, 2: 0.5}, {0: 0.2, 1: 0.3, 2: 0.5})
    assert list(new.values()) == pytest.approx([1 / 3] * 3)


def test_no_running_task() -> None:
    assert rebalance({}, {}) == {}
