"""Leased shares of a budget: never more than the whole, whatever happens to messages, members and clocks."""

import heapq
import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.pacing.shares import (
    MIN_SHARE,
    WHOLE,
    Book,
    Entry,
    Member,
    Renewal,
    aims,
    decode,
    encode,
    equal_shares,
    rebalance,
)
from tests.support.examples import examples

LEASE_S, BEAT_S = 10.0, 2.0
TROUBLE_S = 120.0
FASTEST, SLOWEST = 1.05, 0.95


class SimulatedMember:
    """A process with a clock of its own, that can stand still and die."""

    def __init__(self, number: int, rate: float, offset: float, demand: float) -> None:
        self.rate, self.offset, self.demand = rate, offset, demand
        self.member = Member(str(number), LEASE_S)
        self.asleep_until = 0.0
        self.dead = False
        self.attempt = 0

    def clock(self, now: float) -> float:
        return now * self.rate + self.offset

    def share(self, now: float) -> int:
        return self.member.share(self.clock(now))


class Simulation:
    """Members that renew their leases over a network that loses, delays and reorders; checks the sum at each event."""

    def __init__(self, seed: int, members: int) -> None:
        self.draw = random.Random(seed)
        self.now = 0.0
        self.book: Book = {}
        self.version = 0
        self.calm = False
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.bad = self.draw.choice((0.0, 0.02, 0.3))
        """How many of the messages are late or lost."""
        self.lost: list[SimulatedMember] = []
        """Members that no other member hears any more, and that may use their shares to the end."""
        self.members = [
            SimulatedMember(
                number,
                self.draw.choice((FASTEST, SLOWEST, self.draw.uniform(SLOWEST, FASTEST))),
                self.draw.uniform(0.0, 1e6),
                self.draw.choice((1.0, 1.0, self.draw.uniform(0.0, 0.5))),
            )
            for number in range(members)
        ]
        for one in self.members:
            self.after(self.draw.uniform(0.0, 3.0 * BEAT_S), lambda one=one: self.beat(one))

    def after(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._order), action))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, action = heapq.heappop(self._events)
            action()
            in_use = sum(one.share(self.now) for one in (*self.members, *self.lost))
            assert in_use <= WHOLE, f"{in_use} at {self.now}"
        self.now = until

    def delay(self) -> float:
        """Of one message (s)."""
        if not self.calm and self.draw.random() < self.bad:
            return self.draw.expovariate(1.0 / LEASE_S)
        return self.draw.choice((0.0, self.draw.uniform(0.0, 0.1)))

    def at(self, one: SimulatedMember, action: Callable[[], None]) -> None:
        """Do it when the process is awake; never if it is dead."""
        if one.dead:
            return
        if self.now < one.asleep_until:
            self.after(
                one.asleep_until - self.now + self.draw.uniform(0.0, 0.01), lambda: self.at(one, action)
            )
        else:
            action()

    def beat(self, one: SimulatedMember) -> None:
        def begin() -> None:
            one.attempt += 1
            attempt = one.attempt
            self.after(self.delay(), lambda: self.read(one, attempt))
            self.after(BEAT_S * self.draw.uniform(0.9, 1.1), lambda: self.beat(one))

        self.at(one, begin)

    def read(self, one: SimulatedMember, attempt: int) -> None:
        version, content = self.version, encode(self.book)
        self.after(
            self.delay(), lambda: self.at(one, lambda: self.propose(one, attempt, version, decode(content)))
        )

    def propose(self, one: SimulatedMember, attempt: int, version: int, book: Book) -> None:
        if attempt != one.attempt:
            return  # timed out
        clock = one.clock(self.now)
        one.member.observe(book, clock)
        use = min(one.demand, one.share(self.now) / WHOLE)
        renewal = one.member.propose(book, clock, use)
        self.after(self.delay(), lambda: self.replace(one, attempt, version, renewal, clock))

    def replace(
        self, one: SimulatedMember, attempt: int, version: int, renewal: Renewal, sent_at: float
    ) -> None:
        if version != self.version:
            self.after(self.delay(), lambda: self.read(one, attempt))  # it tries again at once
            return
        self.version, self.book = self.version + 1, renewal.book
        assert sum(entry.share for entry in self.book.values()) <= WHOLE
        if not self.calm and self.draw.random() < self.bad:
            return  # the answer is lost

        def renewed() -> None:
            if attempt == one.attempt:
                one.member.renewed(renewal, sent_at)

        self.after(self.delay(), lambda: self.at(one, renewed))

    def trouble(self) -> None:
        """SIGSTOP, SIGKILL, or a process that begins anew."""
        number = self.draw.randrange(len(self.members))
        one = self.members[number]
        what = self.draw.random()
        if what < 0.6:
            one.asleep_until = max(one.asleep_until, self.now + self.draw.expovariate(1.0 / LEASE_S))
        elif what < 0.8:
            one.dead = True
        elif one.dead:
            self.lost.append(one)
            self.members[number] = another = SimulatedMember(
                len(self.members) + len(self.lost), one.rate, one.offset, one.demand
            )
            self.beat(another)


@examples(60, 3_000)
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_the_sum_in_use_never_exceeds_the_whole(seed: int, members: int) -> None:
    """Any interleaving of late and lost messages, stopped and dead processes, and clocks that differ by 5%: at every
    instant the shares in use add up to at most the whole, which is in use again three leases after the last trouble."""
    simulation = Simulation(seed, members)
    for _ in range(simulation.draw.randrange(30)):
        simulation.run(simulation.now + simulation.draw.expovariate(20.0 / TROUBLE_S))
        simulation.trouble()
    simulation.run(max(simulation.now, *(one.asleep_until for one in simulation.members)))
    if all(one.dead for one in simulation.members):
        return
    simulation.calm = True
    simulation.run(simulation.now + 3.0 * LEASE_S)
    most = 0.0
    for _ in range(20):
        simulation.run(simulation.now + BEAT_S / 10.0)
        live = [(one.share(simulation.now) / WHOLE, one.demand) for one in simulation.members if not one.dead]
        satisfied = all(share >= demand for share, demand in live)
        most = max(most, 1.0 if satisfied else sum(share for share, _ in live))
    assert most >= 0.95, f"only {most:.0%} in use"


def renew(member: Member, book: Book, now: float, used: float | None = None) -> Book:
    """The book after a renewal of the member."""
    member.observe(book, now)
    renewal = member.propose(book, now, used)
    member.renewed(renewal, now)
    return renewal.book


def test_a_share_that_is_not_renewed_is_zero_at_once_and_free_later() -> None:
    """The holder's lease ends before the others may have its share."""
    one, two = Member("1", LEASE_S), Member("2", LEASE_S)
    book = renew(one, {}, 0.0)
    assert one.share(LEASE_S - 0.01) == WHOLE
    assert one.share(LEASE_S) == 0
    shares = {}
    for now in (1.0, 5.0, 11.0, 12.4, 12.6):
        book = renew(two, book, now)
        shares[now] = two.share(now)
    assert shares == {1.0: 0, 5.0: 0, 11.0: 0, 12.4: 0, 12.6: WHOLE}  # 1 s + 1.15 leases


def test_a_member_that_comes_later_gets_its_part() -> None:
    """The first one lowers its share, then the second one raises its own."""
    one, two = Member("1", LEASE_S), Member("2", LEASE_S)
    book = renew(one, {}, 0.0)
    book = renew(two, book, 1.0)
    book = renew(one, book, 2.0, 1.0)
    book = renew(two, book, 3.0)
    assert one.share(3.0) == two.share(3.0) == WHOLE // 2


def test_a_member_that_comes_to_a_full_house_is_not_satisfied_with_crumbs() -> None:
    """Three members have a third each, rounded: what is left is no share, and its use says nothing."""
    members = [Member(str(number), LEASE_S) for number in range(4)]
    book: Book = {str(number): Entry(WHOLE // 3, WHOLE // 3, 1) for number in range(3)}
    book = renew(members[3], book, 0.0, 0.0)
    assert members[3].share(0.0) == 1  # of 1,000,000
    assert members[3].waits_for_others()
    assert not members[3].may_rise(book)
    for number in range(2):
        book = renew(members[number], book, 1.0, 1.0 / 3.0)
    assert members[3].may_rise(book)
    book = renew(members[3], book, 2.0, 0.0)
    assert members[3].share(2.0) == pytest.approx(WHOLE / 6, abs=10)  # two of three gave a twelfth each
    assert members[3].waits_for_others()
    book = renew(members[2], book, 3.0, 1.0 / 3.0)
    book = renew(members[3], book, 4.0, 1.0 / 6.0)
    assert members[3].share(4.0) == WHOLE // 4
    assert not members[3].waits_for_others()


def test_a_lower_share_is_used_before_it_is_written() -> None:
    """Also if it is never known whether it was."""
    one = Member("1", LEASE_S)
    book = renew(one, {}, 0.0)
    book = {**book, "2": Entry(0, 0, 1)}
    one.observe(book, 1.0)
    assert one.propose(book, 1.0, 1.0).share == one.share(1.0) == WHOLE // 2


def test_shares_that_nearly_fit_stay() -> None:
    """Noise in the use of the budget moves no shares."""
    book = {"1": Entry(490_000, 480_000, 3), "2": Entry(510_000, 500_000, 8)}
    assert aims(book) == {"1": 490_000, "2": 510_000}


def test_a_book_as_bytes() -> None:
    book = {"1": Entry(1, 2, 3), "2": Entry(4, 5, 6)}
    assert decode(encode(book)) == book
    assert decode(b"") == {}
    assert sum(entry.share for entry in equal_shares(["a", "b", "c"]).values()) <= WHOLE


members = st.dictionaries(st.text(max_size=3), st.floats(MIN_SHARE, 1.0), min_size=1, max_size=12)


@given(members, st.data())
def test_shares_add_up_to_the_whole_budget(raw: dict[str, float], data: st.DataObject) -> None:
    """For any use: every member has a share, and together they are exactly the whole budget."""
    whole = sum(raw.values())
    shares = {member: share / whole for member, share in raw.items()}
    used = {member: data.draw(st.floats(0.0, 1.2)) for member in shares}
    new = rebalance(shares, used)
    assert new.keys() == shares.keys()
    assert sum(new.values()) == pytest.approx(1.0)
    assert all(share > 0 for share in new.values())


def test_unused_budget_goes_to_members_that_can_use_it() -> None:
    """A member that is held up keeps a little more than it uses; the other gets the rest."""
    new = rebalance({"0": 0.5, "1": 0.5}, {"0": 0.1, "1": 0.5})
    assert new["0"] == pytest.approx(0.125)
    assert new["1"] == pytest.approx(0.875)


def test_a_finished_member_leaves_its_share_to_the_others() -> None:
    """The arguments contain only members that work."""
    assert rebalance({"1": 0.25}, {"1": 0.25}) == {"1": pytest.approx(1.0)}


def test_saturated_members_get_equal_shares() -> None:
    """Members that could all use more get equal shares."""
    new = rebalance({"0": 0.2, "1": 0.3, "2": 0.5}, {"0": 0.2, "1": 0.3, "2": 0.5})
    assert list(new.values()) == pytest.approx([1 / 3] * 3)


def test_no_member() -> None:
    assert rebalance({}, {}) == {}
