"""Combine capacity, budget and limits into the current rate limits of an attempt. Pure.

The table's capacity changes, the user changes the budget by a timetable or a command, and several limit sources
(live traffic, consumers, a pause) slow the run down. All of them call one `Governor`; budgets subscribe to its
`RateLimits`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from refire_async.model.capacity import TABLE
from refire_async.model.table import Table
from refire_async.pacing.capacity import Ceilings, ceilings, is_guessed
from refire_async.settings import Budget


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The current limits: `share` (0 to 1; 0: paused) of `ceilings`, and at most `max_rate` items per second.

    `share` does not apply to `max_rate`, which protects the consumers. `why` names the cause of the current limit on
    units: the limit source, else what bounds the ceilings.
    """

    ceilings: Ceilings
    share: float = 1.0
    max_rate: float | None = None
    why: str = ""

    @property
    def paused(self) -> bool:
        """Whether nothing may be consumed."""
        return self.share <= 0.0

    @property
    def scarcest_write(self) -> float:
        """Write units per second of the scarcest resource."""
        return self.ceilings.scarcest_write * self.share

    @property
    def wcu(self) -> float:
        """Write units per second of the table itself."""
        return self.ceilings.write[TABLE] * self.share

    @property
    def indexes(self) -> dict[str, float]:
        """Write units per second of each global index that carries the marker."""
        return {name: units * self.share for name, units in self.ceilings.indexes.items()}

    @property
    def rcu(self) -> float:
        """Read units per second."""
        return self.ceilings.read * self.share


class _Limit(NamedTuple):
    share: float
    max_rate: float | None
    why: str


_NO_LIMIT = _Limit(1.0, None, "")


class Governor:
    """Capacity of the table, budget of the user, and limits by source; the lowest limit applies.

    `read_index` is the index that the run reads (None: the table), as for `ceilings`.
    """

    def __init__(
        self,
        table: Table,
        marker_attribute: str,
        budget: Budget,
        read_index: str | None = None,
        *,
        first: Ceilings | None = None,
    ) -> None:
        """`first`: the ceilings of `table` within `budget`, where they are known already."""
        self._table = table
        self._attribute = marker_attribute
        self._budget = budget
        self._read_index = read_index
        self._growth = 1.0
        self._limits: dict[str, _Limit] = {}
        self._subscribers: list[Callable[[RateLimits], None]] = []
        self._rate_limits = self._apply(first or self._ceilings())

    @property
    def rate_limits(self) -> RateLimits:
        """The current limits."""
        return self._rate_limits

    @property
    def table(self) -> Table:
        """The table as it was last described."""
        return self._table

    @property
    def guesses(self) -> bool:
        """Whether the write capacity of a resource is assumed, because its description does not state it."""
        described = {TABLE: self._table.throughput}
        described |= {index.name: index.throughput for index in self._table.indexes}
        return any(
            is_guessed(described[name], self._table.billing) for name in self._rate_limits.ceilings.write
        )

    @property
    def budget(self) -> Budget:
        """The budget that the user set last."""
        return self._budget

    def follow(self, table: Table) -> None:
        """Use a new description of the table: capacity and indexes may have changed."""
        self._table = table
        self._change()

    def set_budget(self, budget: Budget) -> None:
        """Use another budget from now on."""
        self._budget = budget
        self._change()

    def grow(self, growth: float) -> None:
        """Assume `growth` times (1 or more) the capacity of a new table where the description states none."""
        if growth < 1.0:
            raise ValueError("the assumed capacity is never below that of a new table")
        self._growth = growth
        self._change()

    def limit(
        self, source: str, *, share: float | None = None, max_rate: float | None = None, why: str = ""
    ) -> None:
        """`source` allows at most `share` (0 to 1) of the ceilings and `max_rate` items per second.

        A share of 0 pauses. It replaces the previous limit of this source; with neither, the limit is removed.

        Raises:
            ValueError: `share` is not between 0 and 1, or `max_rate` not above 0.
        """
        if share is None and max_rate is None:
            self._limits.pop(source, None)
        else:
            share = 1.0 if share is None else share
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"a share of {share:g} is not between 0 and 1")
            if max_rate is not None and max_rate <= 0.0:
                raise ValueError("a rate must be above 0 items per second")
            self._limits[source] = _Limit(share, max_rate, why or source)
        self._change()

    def subscribe(self, on_change: Callable[[RateLimits], None]) -> None:
        """Call `on_change` at each change of the limits, in the order of subscription. It must return at once."""
        self._subscribers.append(on_change)

    def _change(self) -> None:
        rate_limits = self._apply(self._ceilings())
        if rate_limits == self._rate_limits:
            return
        self._rate_limits = rate_limits
        for on_change in tuple(self._subscribers):
            if self._rate_limits is not rate_limits:
                return  # a subscriber changed the limits again, and all received those
            on_change(rate_limits)

    def _ceilings(self) -> Ceilings:
        return ceilings(self._table, self._attribute, self._budget, self._read_index, growth=self._growth)

    def _apply(self, limits: Ceilings) -> RateLimits:
        lowest = min(self._limits.values(), key=lambda limit: limit.share, default=_NO_LIMIT)
        why = lowest.why if lowest.share < 1.0 else limits.bound_by
        rates = [self._budget.max_rate, *(limit.max_rate for limit in self._limits.values())]
        max_rate = min((rate for rate in rates if rate is not None), default=None)
        return RateLimits(limits, lowest.share, max_rate, why)
