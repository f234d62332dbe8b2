"""What a sitting may consume just now, while the table, the user and others change their minds. Pure.

The table's capacity is read again, the user sets another budget by a timetable or while the run is on, and
several voices (live traffic, the consumer, a request to pause) hold it back for their own reasons. All of them
tell one `Governor`; whoever spends listens to its `RateLimits`.
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
    """What may be consumed: `share` (0 to 1; 0: paused) of `ceilings`, and `max_rate` items per second at most.

    `share` does not apply to `max_rate`, which is there for the consumer's sake. `why` says in a few words what
    rules over units: the voice that holds the run back, else what bounds its ceilings.
    """

    ceilings: Ceilings
    share: float = 1.0
    max_rate: float | None = None
    why: str = ""

    @property
    def paused(self) -> bool:
        """Whether nothing may be consumed at all."""
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
    """What the table has, what the user set, and the limits of several voices; the lowest limit rules.

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
        """What may be consumed just now."""
        return self._rate_limits

    @property
    def table(self) -> Table:
        """The table as it was last described."""
        return self._table

    @property
    def guesses(self) -> bool:
        """Whether there is a resource of which nobody tells how many writes it serves."""
        described = {TABLE: self._table.throughput}
        described |= {index.name: index.throughput for index in self._table.indexes}
        return any(
            is_guessed(described[name], self._table.billing) for name in self._rate_limits.ceilings.write
        )

    @property
    def budget(self) -> Budget:
        """What the user set last."""
        return self._budget

    def follow(self, table: Table) -> None:
        """The table was described again: its capacity, or its indexes, may be others now."""
        self._table = table
        self._change()

    def set_budget(self, budget: Budget) -> None:
        """The user wants another budget from now on."""
        self._budget = budget
        self._change()

    def grow(self, growth: float) -> None:
        """What nobody knows the capacity of serves `growth` times what it served at first (1 or more)."""
        if growth < 1.0:
            raise ValueError("a table never serves less than a new one")
        self._growth = growth
        self._change()

    def limit(
        self, source: str, *, share: float | None = None, max_rate: float | None = None, why: str = ""
    ) -> None:
        """`source` allows at most `share` (0 to 1) of the ceilings and `max_rate` items per second.

        A share of 0 pauses. It replaces what the voice wanted before; with neither, its limit is lifted.

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
        """Call `on_change` at each change of the target, in the order of listening. It must return at once."""
        self._subscribers.append(on_change)

    def _change(self) -> None:
        rate_limits = self._apply(self._ceilings())
        if rate_limits == self._rate_limits:
            return
        self._rate_limits = rate_limits
        for on_change in tuple(self._subscribers):
            if self._rate_limits is not rate_limits:
                return  # a listener changed it again, and all were on_change of that one
            on_change(rate_limits)

    def _ceilings(self) -> Ceilings:
        return ceilings(self._table, self._attribute, self._budget, self._read_index, growth=self._growth)

    def _apply(self, limits: Ceilings) -> RateLimits:
        lowest = min(self._limits.values(), key=lambda limit: limit.share, default=_NO_LIMIT)
        why = lowest.why if lowest.share < 1.0 else limits.bound_by
        rates = [self._budget.max_rate, *(limit.max_rate for limit in self._limits.values())]
        max_rate = min((rate for rate in rates if rate is not None), default=None)
        return RateLimits(limits, lowest.share, max_rate, why)
