"""Budgets of capacity units: reserve an estimate before a request, correct it by the consumed capacity after it.

There is one budget per resource: the table, and each global index that projects the marker. Local indexes consume
the units of the table (DynamoDB Developer Guide: Local secondary indexes).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import anyio

from refire_async.model.capacity import TABLE, Consumed
from refire_async.model.units import WCU_BYTES, Rcu, Wcu
from refire_async.pacing.controller import RateController
from refire_async.pacing.governor import RateLimits
from refire_async.pacing.limiter import BURST_S, Limiter, always

LEARNING_RATE = 0.1
"""Weight of the newest batch in the learned ratio of consumed to estimated units."""


START_DEBT_S = 0.1
"""Seconds of budget that a process owes at its start, if the table has no spare capacity.

A table whose capacity equals the budget, and that has no burst capacity, throttles the first burst of a full bucket and
every later burst that network jitter causes. Leaving this much unused once avoids both.
"""

START_CREDIT_S = BURST_S / 2
"""Seconds of budget that a process starts with, in addition to a full bucket, if the table has that much to spare. They
make up for the time that reading the first pages takes. Less than the largest credit, so that the first second also
stays below 110%, with room for jitter."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Units granted for a batch of `items`: the table's estimate, and the granted units by resource."""

    items: int
    estimate: float
    granted: dict[str, float]


class _Resource:
    """Rate controller, limiter and learned price (consumed per estimated unit) of one resource."""

    def __init__(self, ceiling: float) -> None:
        self.control = RateController(ceiling)
        self.limiter = Limiter(ceiling)
        self.ratio = 1.0
        self.variance = 0.0
        self.learned = False

    @property
    def affordable(self) -> float:
        """Estimated units per second that the current rate allows."""
        return self.limiter.rate / max(self.ratio, 1e-9)

    def learn(self, estimate: float, actual: float, items: float) -> None:
        """Update the price: `items` with an estimate of `estimate` units consumed `actual` units."""
        if estimate <= 0:
            return
        seen = actual / estimate
        if not self.learned:
            self.ratio, self.learned = seen, True
            return
        off = seen - self.ratio
        self.ratio += LEARNING_RATE * off
        # The variance of a mean of n items is 1/n of the variance of one item.
        self.variance += LEARNING_RATE * (items * off * off - self.variance)

    def fits(self, item_units: float) -> float:
        """How many items of `item_units` each may be written at once.

        They cost at most half a burst: a batch that needs the whole bucket would lose the units that drip in while it
        is late, a few milliseconds each time. They also cost less than a burst with two standard deviations of margin:
        only the mean size of a page is known, and small batches limit the error where sizes differ much.
        n items: n x ratio + 2 x sqrt(n x variance) = burst / item_units, solved for n.
        """
        mean, spread = max(self.ratio, 1e-9), 2.0 * math.sqrt(self.variance)
        room = self.limiter.burst / max(item_units, 1e-9)
        probably = ((math.sqrt(spread * spread + 4.0 * mean * room) - spread) / (2.0 * mean)) ** 2
        return min(room / mean / 2.0, probably)


class WriteBudget:
    """Write units per second by resource, and items per second to protect consumers.

    `ceilings` maps `TABLE` and index names to units per second; `max_rate` is items per second or None.
    """

    def __init__(self, ceilings: Mapping[str, float], max_rate: float | None = None) -> None:
        self._resources = {name: _Resource(ceiling) for name, ceiling in ceilings.items()}
        self._ceilings = dict(ceilings)
        self._max_rate = max_rate
        self._items = Limiter(max_rate) if max_rate is not None else None
        self._share = 1.0
        self._in_force = always
        self._silent = False
        self._start: tuple[Mapping[str, float], float] | None = None

    def estimate(self, item_bytes: float) -> float:
        """The expected write units of the table for one item, where `item_bytes` is a mean size.

        DynamoDB rounds each item up to whole units (DynamoDB Developer Guide: Read and write operations), on average
        by half a unit where sizes differ. Replies correct the price, so this method adds the half unit only if the
        backend does not report the consumed capacity.
        """
        units = item_bytes / WCU_BYTES
        return max(1.0, units + 0.5 if self._silent and units > 1.0 else units)

    def start(self, capacity: Mapping[str, float], begun_at: float) -> None:
        """Start with a credit or a debt, applied at the first reservation.

        It depends on the whole `capacity` by resource (units per second) and on the time since `begun_at` (event loop's
        clock, s), in which the run consumed none of it: DynamoDB retains unused throughput (DynamoDB Developer Guide:
        Burst and adaptive capacity).
        """
        self._start = capacity, begun_at

    def _begin(self, capacity: Mapping[str, float], begun_at: float) -> None:
        unused_s = max(0.0, anyio.current_time() - begun_at)
        for name, resource in self._resources.items():
            ceiling = self._ceilings[name]
            spare_s = capacity.get(name, ceiling) / ceiling * (1.0 + unused_s) - 1.0
            owed_s = max(START_DEBT_S - spare_s, -START_CREDIT_S)
            resource.limiter.correct(0.0, resource.limiter.rate * owed_s)

    def set_share(self, share: float) -> None:
        """Use only `share` (above 0, at most 1) of the budget: other processes use the rest."""
        self._share = share
        for name, ceiling in self._ceilings.items():
            resource = self._resources[name]
            resource.control.set_ceiling(ceiling * share)
            resource.limiter.set_rate(resource.control.rate)
        if self._items is not None and self._max_rate is not None:
            self._items.set_rate(self._max_rate * share)
        for limiter in self._limiters():
            limiter.look_again()

    def lease(self, in_force: Callable[[], bool]) -> None:
        """From now on grant only while `in_force()`. `set_share` tells those who wait that it may be true."""
        self._in_force = in_force
        for limiter in self._limiters():
            limiter.lease(in_force)

    def follow(self, rate_limits: RateLimits) -> None:
        """Apply `rate_limits` from now on. Earlier debt remains. During a pause `reserve` does not return."""
        if not rate_limits.paused:
            self._follow_ceilings(rate_limits)
        self._follow_max_rate(rate_limits.max_rate)
        for limiter in self._limiters():
            limiter.lease(self._in_force)
            if rate_limits.paused:
                limiter.pause()
            else:
                limiter.resume()

    def _follow_ceilings(self, rate_limits: RateLimits) -> None:
        """Add and remove resources with the table's indexes."""
        self._ceilings = {
            name: ceiling * rate_limits.share for name, ceiling in rate_limits.ceilings.write.items()
        }
        for name in self._resources.keys() - self._ceilings.keys():
            removed = self._resources.pop(name).limiter
            removed.lease(always)
            removed.resume()  # release the tasks that wait for it
        for name, ceiling in self._ceilings.items():
            if name not in self._resources:
                self._resources[name] = _Resource(ceiling * self._share)
                continue
            resource = self._resources[name]
            resource.control.follow(ceiling * self._share)
            resource.limiter.set_rate(resource.control.rate)

    def _follow_max_rate(self, max_rate: float | None) -> None:
        self._max_rate = max_rate
        if max_rate is None:
            if self._items is not None:
                self._items.resume()
            self._items = None
        elif self._items is None:
            self._items = Limiter(max_rate * self._share)
        else:
            self._items.set_rate(max_rate * self._share)

    def _limiters(self) -> Iterator[Limiter]:
        if self._items is not None:
            yield self._items
        for resource in self._resources.values():
            yield resource.limiter

    @property
    def rate(self) -> Wcu:
        """Current write units per second of the table."""
        return Wcu(self._resources[TABLE].limiter.rate)

    def batch_limit(self, item_units: float, largest: int) -> int:
        """How many items of `item_units` each fit in a batch within the budget's burst: 1 to `largest`.

        A batch is paid for in advance and sent at once. A batch of two bursts would add its first half to the window
        that begins with it, for a total of 115% with bucket and credit.
        """
        fits = float(largest)
        for resource in self._resources.values():
            fits = min(fits, resource.fits(item_units))
        if self._items is not None:
            fits = min(fits, self._items.burst / 2.0)
        return max(1, int(fits))

    async def reserve(self, estimate: float, items: int) -> Reservation:
        """Wait until a batch of `items` with an expected cost of `estimate` units of the table may be sent."""
        if self._start is not None:
            start, self._start = self._start, None
            self._begin(*start)
        if self._items is not None:
            await self._items.acquire(items)
        granted = {}
        for name, resource in tuple(self._resources.items()):
            units = estimate * resource.ratio
            await resource.limiter.acquire(units)
            granted[name] = units
        while not self._in_force():  # an index was removed meanwhile
            await self._resources[TABLE].limiter.acquire(0.0)
        return Reservation(items, estimate, granted)

    def correct(self, reservation: Reservation, consumed: Consumed | None, throttled: int = 0) -> Wcu:
        """Correct `reservation` by the reply, and return the consumed units of all resources.

        `throttled` members of the batch consumed nothing and say nothing about the price of the others, but their share
        of the grant is not returned: otherwise they would be sent again at once, and a table that processes half of the
        writes would receive twice as many. `consumed` is None if the backend does not report it; then the estimate for
        the other members counts.
        """
        share = 1.0 - throttled / reservation.items
        if consumed is None:
            self._silent = self._silent or throttled < reservation.items
            return Wcu(sum(reservation.granted.values()) * share)
        self._silent = False
        actual = consumed.by_resource(name for name in self._resources if name != TABLE)
        for name, units in actual.items():
            resource = self._resources[name]
            # An index that was added after the reservation was not charged for it.
            resource.limiter.correct(reservation.granted.get(name, 0.0) * share, units)
            resource.learn(reservation.estimate * share, units, reservation.items * share)
        return Wcu(consumed.total)

    def release(self, reservation: Reservation) -> None:
        """Return a grant of which nothing was consumed. Not for throttled writes: see `correct`."""
        for name, units in reservation.granted.items():
            if name in self._resources:
                self._resources[name].limiter.correct(units, 0.0)

    @property
    def scarcest(self) -> str:
        """The resource that limits the run at present, and so the probable cause of throttling without a reason."""
        return min(self._resources, key=lambda name: self._resources[name].affordable)

    def throttled(self, resource: str, now: float) -> str | None:
        """DynamoDB throttled a write because of `resource`. Returns the resource whose rate was lowered, or None."""
        name = resource if resource in self._resources else TABLE
        found = self._resources[name]
        if not found.control.throttled(now):
            return None
        found.limiter.set_rate(found.control.rate)
        return name

    def recover(self, now: float) -> list[str]:
        """DynamoDB throttled no member of a batch: raise lowered rates. Returns the resources back at their ceiling."""
        recovered = []
        for name, resource in self._resources.items():
            if resource.control.recover(now):
                resource.limiter.set_rate(resource.control.rate)
                if resource.control.rate >= resource.control.ceiling:
                    recovered.append(name)
        return recovered

    def rates(self) -> dict[str, tuple[float, float]]:
        """Current rate and ceiling by resource, in units per second."""
        return {name: (r.control.rate, r.control.ceiling) for name, r in self._resources.items()}


class ReadBudget:
    """Read units per second. The cost of a read is known only afterwards, so callers reserve an estimate."""

    def __init__(self, ceiling: float) -> None:
        self.ceiling = ceiling
        self._share = 1.0
        self._limiter = Limiter(ceiling)

    def set_share(self, share: float) -> None:
        """Use only `share` (above 0, at most 1) of the ceiling: other processes use the rest."""
        self._share = share
        self._limiter.set_rate(self.ceiling * share)
        self._limiter.look_again()

    def lease(self, in_force: Callable[[], bool]) -> None:
        """See `WriteBudget.lease`."""
        self._limiter.lease(in_force)

    def follow(self, rate_limits: RateLimits) -> None:
        """Apply `rate_limits` from now on; during a pause `reserve` does not return."""
        if rate_limits.paused:
            self._limiter.pause()
            return
        self.ceiling = rate_limits.rcu
        self._limiter.set_rate(self.ceiling * self._share)
        self._limiter.resume()

    def page_limit(self, item_rcu: float, largest: int) -> int:
        """How many items of `item_rcu` units each fit in a page within the budget's burst: 1 to `largest`."""
        fits = self._limiter.rate * 2 * BURST_S / max(item_rcu, 1e-9)
        return max(1, min(largest, int(fits)))

    @property
    def paused(self) -> bool:
        """Whether `reserve` waits: the limits are paused, or this process has no leased share."""
        return self._limiter.paused

    async def reserve(self, estimate: float) -> bool:
        """Wait until a read with an expected cost of `estimate` units may be sent. Returns True."""
        await self._limiter.acquire(estimate)
        return True

    def correct(self, estimate: float, consumed: float) -> Rcu:
        """Correct the grant by what the read consumed."""
        self._limiter.correct(estimate, consumed)
        return Rcu(consumed)
