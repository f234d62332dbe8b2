"""A member that keeps its share of a budget: it renews its lease in the shared record, and applies what it gets."""

import random
from collections.abc import Callable
from typing import Protocol

import anyio

from refire_async.model.steady import steady
from refire_async.pacing.shares import WHOLE, Member, Terms, decode, encode, without

TRIES = 20
"""Renewals at once, where other members change the record in between."""

LEAVE_WITHIN_S = 1.0

LOOKS_PER_BEAT = 5
"""How often a member that waits for others to lower their shares looks whether they have; it only reads for that."""


class SharedRecord(Protocol):
    """Bytes with a version, which rises with each change. Every member reads what was written last."""

    async def read(self) -> tuple[int, bytes]:
        """Version and content; version 0 and no content before the first change."""
        ...

    async def replace(self, version: int, content: bytes) -> bool:
        """Write `content` if the record still has `version`; whether it did."""
        ...


class MemoryRecord:
    """A record of this process."""

    def __init__(self, content: bytes = b"") -> None:
        self.version = 0
        self.content = content

    async def read(self) -> tuple[int, bytes]:
        """See `SharedRecord.read`."""
        return self.version, self.content

    async def replace(self, version: int, content: bytes) -> bool:
        """See `SharedRecord.replace`."""
        if version != self.version:
            return False
        self.version, self.content = version + 1, content
        return True

    def remove(self, name: str) -> None:
        """Free the share of a member that has ended."""
        self.version, self.content = self.version + 1, encode(without(decode(self.content), name))


class ShareLease:
    """The lease of one member. `in_force` is for the budget to ask before each grant.

    A process that was stopped runs no timer, so the end of a lease is no event: nothing is granted after it.
    """

    def __init__(
        self,
        record: SharedRecord,
        name: str,
        terms: Terms,
        *,
        consumed: Callable[[], float | None],
        apply: Callable[[float], None],
        clock: Callable[[], float] = steady,
    ) -> None:
        """`name` is unique among all processes that ever use the record.

        `consumed` returns the units consumed so far as seconds of the whole budget; None: unknown, or paused.
        `apply` uses a share (above 0, at most 1).
        """
        self._record = record
        self._terms = terms
        self._consumed = consumed
        self._apply = apply
        self._clock = clock
        self._member = Member(name, terms.lease_s)
        self._measured: tuple[float, float] | None = None
        self._draw = random.Random()  # noqa: S311 - delays are no secret

    def in_force(self) -> bool:
        """Whether it has a share now."""
        return self._member.share(self._clock()) > 0

    async def keep(self) -> None:
        """Renew the lease until cancelled. Raises what the record raises, except for TimeoutError."""
        while True:
            began = self._clock()
            try:
                with anyio.fail_after(self._terms.lease_s / 2.0):
                    await self._renew()
            except TimeoutError:  # not renewed; the share ends in time
                self._measured = None
                continue
            await self._rest(began + self._terms.beat_s * self._draw.uniform(0.9, 1.1))

    async def _rest(self, until: float) -> None:
        """Until the next renewal, which is earlier if others have lowered their shares for this member."""
        while (left := until - self._clock()) > 0:
            waits = self._member.waits_for_others()
            await anyio.sleep(min(left, self._terms.beat_s / LOOKS_PER_BEAT) if waits else left)
            if waits and await self._may_rise():
                return

    async def _may_rise(self) -> bool:
        with anyio.move_on_after(self._terms.beat_s):
            _, content = await self._record.read()
            return self._member.may_rise(decode(content))
        return False

    async def leave(self) -> None:
        """Give the share back, if the record can be reached at once; else it expires."""
        self._member.end()
        with anyio.move_on_after(LEAVE_WITHIN_S, shield=True):
            for _ in range(TRIES):
                version, content = await self._record.read()
                if await self._record.replace(version, encode(without(decode(content), self._member.name))):
                    return

    async def _renew(self) -> None:
        for tries in range(TRIES):
            version, content = await self._record.read()
            book = decode(content)
            now = self._clock()
            self._member.observe(book, now)
            # `now` is before the sending, also if the process stands still here.
            consumed = self._consumed()
            renewal = self._member.propose(book, now, self._used(now, consumed))
            if self._member.share(now) > 0:
                self._apply(self._member.share(now) / WHOLE)
            if await self._record.replace(version, encode(renewal.book)):
                self._member.renewed(renewal, now)
                self._measured = None if consumed is None else (now, consumed)
                if renewal.share:
                    self._apply(renewal.share / WHOLE)
                return
            await anyio.sleep(self._draw.uniform(0.0, 0.01 * 2.0 ** min(tries, 5)))

    def _used(self, now: float, consumed: float | None) -> float | None:
        """Its consumption since the last renewal, as a part of the whole budget; None if it is not known."""
        if self._measured is None or consumed is None:
            return None
        since, before = self._measured
        return (consumed - before) / max(now - since, 1e-3)
