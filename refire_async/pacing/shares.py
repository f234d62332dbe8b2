"""Shares of a budget that are leased: members agree on them through one record that changes by compare-and-swap. Pure.

The record has one entry per member. Its shares never add up to more than the whole, and a member uses at most the share
of its entry, so the sum in use stays within the whole:

* A member lowers its own share before it writes that, and raises it, within what is free, after that was written.
* A share ends at its member `lease_s` after the *sending* of the last renewal that was written, by the member's clock.
* Another member removes an entry once its beat stood still for `lease_s` x `MARGIN` since the other *received* it.

No two clocks are compared. Where they run up to 5% too fast or too slow, 1.05 / 0.95 is still less than `MARGIN`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import orjson

WHOLE = 1_000_000
"""The whole budget. Shares are whole numbers, so that sums are exact."""

MARGIN = 1.15
"""Leases for which a beat must stand still before others take the share."""

SATURATED = 0.85
"""A member that uses more than this part of its share could use more."""

SLACK = 1.25
"""A member that uses less keeps this multiple of its use, so that a rise of its use shows."""

MIN_SHARE = 0.02
"""The smallest wish of a member, as a part of the whole. The use of a smaller share says nothing about its need."""

TOLERANCE = 0.1
"""Relative differences from the aim for which no share moves."""


class Terms(NamedTuple):
    """`lease_s`: how long a share lasts without renewal. `beat_s`: the interval of renewals, at most a fifth of it."""

    lease_s: float
    beat_s: float


class Entry(NamedTuple):
    """A member's entry: its share and its use of the budget (both in `WHOLE`ths), and a counter that it moves."""

    share: int
    used: int
    beat: int


Book: TypeAlias = Mapping[str, Entry]
"""Entries by the name of the member."""


def encode(book: Book) -> bytes:
    """The book as JSON."""
    return orjson.dumps({name: list(entry) for name, entry in book.items()})


def decode(content: bytes) -> Book:
    """The book of `encode`; empty content is an empty book. Raises ValueError."""
    if not content:
        return {}
    return {name: Entry(*map(int, entry)) for name, entry in orjson.loads(content).items()}


def equal_shares(names: list[str]) -> Book:
    """A book in which the members `names`, who are about to start, have equal shares."""
    each = WHOLE // max(1, len(names))
    return {name: Entry(each, each, 0) for name in names}


@dataclass(frozen=True, slots=True)
class Renewal:
    """A proposal of a member: the `book` after it, and the `share` (0 to `WHOLE`) that it has there."""

    book: Book
    share: int


class Member:
    """One member's view of the book, and its lease. Times are of the member's own clock (s)."""

    def __init__(self, name: str, lease_s: float) -> None:
        self.name = name
        self._lease_s = lease_s
        self._share = 0
        self._ends_at = 0.0
        self._beat = 0
        self._seen: dict[str, tuple[int, float]] = {}
        self._aim = 0

    def share(self, now: float) -> int:
        """The share (0 to `WHOLE`) that it may use now."""
        return self._share if now < self._ends_at else 0

    def observe(self, book: Book, now: float) -> None:
        """It has received `book`."""
        seen = self._seen
        self._seen = {
            name: seen[name] if name in seen and seen[name][0] == entry.beat else (entry.beat, now)
            for name, entry in book.items()
        }

    def propose(self, book: Book, now: float, used: float | None) -> Renewal:
        """Its next renewal: entries that have expired are removed, its own share goes towards its aim.

        `book` was observed last. `used` is its consumption as a part of the whole since its last renewal; None: it says
        nothing about its need. A share that gets smaller is smaller from now on.
        """
        self._beat += 1
        expires_after_s = self._lease_s * MARGIN
        live = {
            name: one
            for name, one in book.items()
            if name != self.name and now < self._seen[name][1] + expires_after_s
        }
        mine = book.get(self.name, Entry(0, 0, 0))
        use = (
            mine.share
            if used is None or mine.share < MIN_SHARE * WHOLE
            else round(min(max(used, 0.0), 1.0) * WHOLE)
        )
        live[self.name] = mine._replace(used=use)
        self._aim = aims(live)[self.name]
        share = max(0, min(self._aim, self._free(live)))
        if share > mine.share:
            use = share  # until its use of the larger share is known
        live[self.name] = Entry(share, use, self._beat)
        self._share = min(self._share, share)
        return Renewal(live, share)

    def renewed(self, renewal: Renewal, sent_at: float) -> None:
        """The record has `renewal`, which was sent at `sent_at`."""
        self._share = renewal.share
        self._ends_at = sent_at + self._lease_s

    def waits_for_others(self) -> bool:
        """Whether others still have a part of the share that it should have."""
        return self._share < self._aim * (1.0 - TOLERANCE)

    def may_rise(self, book: Book) -> bool:
        """Whether others have given up some of that by now."""
        return self.waits_for_others() and min(self._aim, self._free(book)) > self._share * (1.0 + TOLERANCE)

    def _free(self, book: Book) -> int:
        return WHOLE - sum(entry.share for name, entry in book.items() if name != self.name)

    def end(self) -> None:
        """It uses nothing from now on."""
        self._share = 0


def without(book: Book, name: str) -> Book:
    """The book after a member has left. Only for a member that has ended, or by itself."""
    return {other: entry for other, entry in book.items() if other != name}


def aims(book: Book) -> dict[str, int]:
    """The share that each member should have, at most the whole together: the present ones if they nearly fit."""
    wanted = rebalance(
        {name: entry.share / WHOLE for name, entry in book.items()},
        {name: entry.used / WHOLE for name, entry in book.items()},
    )
    aim = {name: int(share * WHOLE) for name, share in wanted.items()}
    whole = sum(entry.share for entry in book.values())
    near = all(abs(entry.share - aim[name]) <= aim[name] * TOLERANCE for name, entry in book.items())
    if near and WHOLE * 0.99 <= whole <= WHOLE:
        return {name: entry.share for name, entry in book.items()}
    return aim


def rebalance(shares: Mapping[str, float], used: Mapping[str, float]) -> dict[str, float]:
    """New shares of the budget for the members, which add up to 1.

    `shares` are the present ones, `used` the part of the whole budget that each member has consumed since the last
    call.
    """
    if not shares:
        return {}
    satisfied = {
        member: max(MIN_SHARE, used.get(member, 0.0) * SLACK)
        for member, share in shares.items()
        if share >= MIN_SHARE and used.get(member, 0.0) < share * SATURATED
    }
    saturated = [member for member in shares if member not in satisfied]
    left = 1.0 - sum(satisfied.values())
    if not saturated or left <= MIN_SHARE * len(saturated):
        # No member can use more, or nothing is left to share: the wishes of all, in proportion.
        wishes = {**satisfied, **dict.fromkeys(saturated, max(MIN_SHARE, left / max(1, len(saturated))))}
        whole = sum(wishes.values())
        return {member: wishes[member] / whole for member in shares}
    return {member: satisfied.get(member, left / len(saturated)) for member in shares}
