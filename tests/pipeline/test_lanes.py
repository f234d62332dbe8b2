"""Lanes: no item is lost or handed out twice, all lanes take turns, a lane that waits does not block another."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from refire_async.pipeline.lanes import MAX_REMEMBERED_LANES, Batch, Lanes
from tests.support.checkpoints import item, page
from tests.support.examples import examples

SEGMENTS = 4


class LanesMachine(RuleBasedStateMachine):
    """Adds pages, takes batches, writes them or puts them back, throttles lanes, advances the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.now = 0.0
        self.numbers = iter(range(10**6))
        self.waiting: Counter[str] = Counter()
        self.out: list[Batch] = []

    @initialize(size=st.integers(1, 5))
    def choose_size(self, size: int) -> None:
        self.size = size

    @rule(segment=st.integers(0, SEGMENTS - 1), items=st.integers(1, 12))
    def add_page(self, segment: int, items: int) -> None:
        number = next(self.numbers)
        names = [f"{number}-{n}" for n in range(items)]
        self.lanes.add_page(page(number, [item(name) for name in names], segment=segment))
        self.waiting.update(names)

    @rule()
    def take_batch(self) -> None:
        batch = self.lanes.next_batch(self.now, lambda _: self.size)
        if batch is None:
            # The lanes that have work may not write yet, and say when they may.
            wake_at = self.lanes.wake_at()
            assert (wake_at is None) == (not self.waiting)
            assert wake_at is None or wake_at > self.now
            return
        assert 1 <= len(batch.items) <= self.size
        assert batch.ready_at <= self.now
        for one in batch.items:
            self.waiting[one["pk"]["S"]] -= 1
            assert self.waiting[one["pk"]["S"]] == 0
        self.waiting = +self.waiting
        self.out.append(batch)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), keep=st.integers(0, 5), delay=st.sampled_from([0.0, 0.5, 3.0]))
    def put_back_some(self, data: st.DataObject, keep: int, delay: float) -> None:
        batch = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        rest = batch.items[:keep]
        if rest:
            self.lanes.add_batch(
                Batch(batch.page, rest, attempts=batch.attempts + 1, ready_at=self.now + delay)
            )
            self.waiting.update(one["pk"]["S"] for one in rest)
        else:
            self.lanes.processed(batch.page.segment, 0.0, self.now)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), lift=st.booleans())
    def throttle(self, data: st.DataObject, lift: bool) -> None:
        batch = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        self.lanes.throttled(batch.page.segment, self.now)
        if lift:
            self.lanes.lift_limits(self.now)
        self.lanes.add_batch(Batch(batch.page, batch.items, ready_at=self.now))
        self.waiting.update(one["pk"]["S"] for one in batch.items)

    @rule(seconds=st.sampled_from([0.05, 1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_share_of_throttled_lanes_is_a_share(self) -> None:
        assert 0.0 <= self.lanes.throttled_share(self.now) <= 1.0
        assert self.lanes.held_back(self.now) <= len(self.lanes) <= SEGMENTS

    def teardown(self) -> None:
        """`drain` returns all remaining items, each with its page."""
        drained = self.lanes.drain()
        found = Counter(one["pk"]["S"] for _, items in drained.values() for one in items)
        assert found == self.waiting
        for number, (of, items) in drained.items():
            assert of.number == number
            assert all(one["pk"]["S"].startswith(f"{number}-") for one in items)
        assert len(self.lanes) == 0
        assert self.lanes.next_batch(1e9, lambda _: 5) is None


TestLanes = LanesMachine.TestCase
TestLanes.settings = examples(12, 500)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=8), st.integers(1, 7))
def test_lanes_with_work_take_turns(sizes: list[int], batch: int):
    """Between two batches of one lane, every other lane with work is served once."""
    lanes = Lanes()
    for segment, items in enumerate(sizes):
        lanes.add_page(page(segment, [item(n) for n in range(items)], segment=segment))
    left = dict(enumerate(sizes))
    order = []
    while (taken := lanes.next_batch(0.0, lambda _: batch)) is not None:
        order.append(taken.page.segment)
        left[taken.page.segment] -= len(taken.items)
    assert set(left.values()) == {0}
    for place, segment in enumerate(order):
        if segment in order[place + 1 :]:
            again = order.index(segment, place + 1)
            still_have_work = set(order[again:])
            assert still_have_work <= set(order[place:again]) | {segment}


def test_a_lane_that_is_held_back_is_skipped():
    """One key range is throttled: the others continue at full speed, and its lane returns at its time."""
    lanes = Lanes()
    for segment in range(3):
        lanes.add_page(page(segment, [item(n) for n in range(100)], segment=segment))
    lanes.throttled(1, 5.0)
    taken = [lanes.next_batch(5.0, lambda _: 10) for _ in range(21)]
    assert Counter(batch.page.segment for batch in taken if batch is not None) == {0: 10, 1: 1, 2: 10}
    assert lanes.next_batch(5.0, lambda _: 10) is None
    wake_at = lanes.wake_at()
    assert wake_at is not None
    assert 5.0 < wake_at < 6.0
    assert lanes.next_batch(wake_at, lambda _: 10) is not None


def test_a_delayed_batch_does_not_delay_its_page():
    lanes = Lanes()
    one = page(1, [item(n) for n in range(4)])
    lanes.add_page(one)
    first = lanes.next_batch(0.0, lambda _: 2)
    assert first is not None
    first.ready_at = 100.0
    lanes.add_batch(first)
    second = lanes.next_batch(0.0, lambda _: 2)
    assert second is not None
    assert second.items == one.items[2:]
    assert lanes.next_batch(0.0, lambda _: 2) is None
    assert lanes.next_batch(100.0, lambda _: 2) is first


def test_retries_come_before_new_batches():
    lanes = Lanes()
    lanes.add_page(page(1, [item(n) for n in range(4)]))
    first = lanes.next_batch(0.0, lambda _: 2)
    assert first is not None
    lanes.add_batch(first)
    assert lanes.next_batch(0.0, lambda _: 2) is first


def test_batches_of_a_page_in_doubt_are_in_doubt():
    """An earlier attempt may have written the items: a failed condition means that they have fired."""
    lanes = Lanes()
    one = page(1, [item("a")])
    one.in_doubt = True
    lanes.add_page(one)
    batch = lanes.next_batch(0.0, lambda _: 25)
    assert batch is not None
    assert batch.in_doubt


def test_many_lanes_throttled_at_once_mean_exhausted_capacity():
    """Two lanes prove nothing, three of four do; after `lift_limits` none is held back or counted."""
    lanes = Lanes()
    for segment in range(4):
        lanes.add_page(page(segment, [item(n) for n in range(50)], segment=segment))
    lanes.throttled(0, 1.0)
    lanes.throttled(1, 1.0)
    assert lanes.throttled_share(1.0) == 0.0
    lanes.throttled(2, 1.0)
    assert lanes.throttled_share(1.0) == 0.75
    lanes.lift_limits(1.0)
    assert lanes.throttled_share(1.0) == 0.0
    assert len([1 for _ in range(8) if lanes.next_batch(1.0, lambda _: 25) is not None]) == 8


def test_a_lane_without_work_is_dropped_after_its_last_successful_write():
    """Of a million segments none may remain, nor count in the share of throttled lanes."""
    lanes = Lanes()
    for segment in range(100):
        lanes.add_page(page(segment, [item("a")], segment=segment))
        assert lanes.next_batch(0.0, lambda _: 25) is not None
        lanes.processed(segment, 1.0, 0.0)
    assert lanes._lanes == {}


def test_lanes_that_were_throttled_to_their_end_are_dropped():
    """The memory for lane rates must not grow with the number of segments."""
    lanes = Lanes()
    for segment in range(2_000):
        now = segment * 0.1
        lanes.add_page(page(segment, [item("a")], segment=segment))
        batch = lanes.next_batch(now, lambda _: 25)
        assert batch is not None
        lanes.throttled(segment, now)
        lanes.processed(segment, 1.0, now + 0.05)
    assert len(lanes._lanes) <= MAX_REMEMBERED_LANES


def test_lanes_with_work_are_never_dropped():
    lanes = Lanes()
    for segment in range(2 * MAX_REMEMBERED_LANES):
        lanes.add_page(page(segment, [item(segment)], segment=segment))
    assert len(lanes.drain()) == 2 * MAX_REMEMBERED_LANES
