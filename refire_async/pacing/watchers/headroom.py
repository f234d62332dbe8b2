"""Keep capacity free for live traffic: query the consumed capacity twice a minute and limit the run by it."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio

from refire_async.aws.cloudwatch import Series, get_metric_data, metric_query
from refire_async.aws.other_services import Services, UnansweredError
from refire_async.events import AdviceBack, AdviceMissing, BatchWritten, Emit, Subscriber
from refire_async.model.capacity import TABLE
from refire_async.model.units import minute_of
from refire_async.pacing.governor import Governor, RateLimits
from refire_async.pacing.headroom import BLIND_SHARE, KEPT_S, OwnConsumption, available, live_rate

LIMIT_SOURCE = "headroom"
POLL_EVERY_S = 30.0
TIMEOUT_S = 10.0
STALE_S = 300.0
"""How long the last answer is used when later requests fail."""


class Headroom(Subscriber):
    """Keeps `share` (0 to 1) of the write capacity free on top of live traffic. Subscribe it to the run's events.

    The run is paused until the first poll. While live traffic is unknown it uses a quarter of the capacity outside
    the headroom, and emits AdviceMissing once.
    """

    def __init__(
        self,
        share: float,
        governor: Governor,
        services: Services,
        emit: Emit,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._share = share
        self._governor = governor
        self._services = services
        self._emit = emit
        self._clock = clock
        self._own = OwnConsumption()
        self._answer: Mapping[str, Mapping[int, float]] = {}
        self._asked_at = -math.inf
        self._polled = False
        self._missing = False
        self._ceilings = governor.rate_limits.ceilings
        governor.limit(LIMIT_SOURCE, share=0.0, why="headroom: waiting for the metrics of live writes")
        governor.subscribe(self._on_change)
        self.handlers = {BatchWritten: self._batch_written}

    def _batch_written(self, event: BatchWritten) -> None:
        """Record the run's own consumption."""
        resources = self._ceilings.write
        if event.consumed is not None:
            self._own.add(event.consumed.by_resource(self._ceilings.indexes), self._clock())
        else:
            # Without ConsumedCapacity in the response, use the budget's estimate for all resources.
            self._own.add(dict.fromkeys(resources, event.wcu / len(resources)), self._clock())

    async def watch(self, sleep: Callable[[float], Awaitable[None]] = anyio.sleep) -> None:
        """Poll and apply the limit, until cancelled."""
        while True:
            await self._poll()
            await sleep(POLL_EVERY_S)

    async def _poll(self) -> None:
        now = self._clock()
        resources = tuple(self._ceilings.write)
        why = "cloudwatch does not show what this run has written"
        try:
            self._answer = await consumed_writes(self._services, self._governor.table.name, resources, now)
            self._asked_at = now
        except UnansweredError as error:
            why = str(error)
        self._polled = True
        self._apply()
        self._notify(missing=None in self._live().values(), why=why)

    def _notify(self, *, missing: bool, why: str) -> None:
        """Emit AdviceMissing when live traffic becomes unknown, AdviceBack when it is known again."""
        if missing and not self._missing:
            instead = (
                f"{BLIND_SHARE:.0%} of the capacity outside the headroom is used until live traffic is known"
            )
            self._emit(AdviceMissing(LIMIT_SOURCE, why, instead))
        elif self._missing and not missing:
            self._emit(AdviceBack(LIMIT_SOURCE))
        self._missing = missing

    def _live(self) -> dict[str, float | None]:
        """Units per second of live traffic by resource; None if unknown."""
        if not -STALE_S <= self._clock() - self._asked_at <= STALE_S:
            return dict.fromkeys(self._ceilings.write)
        return {
            name: live_rate(self._answer[name], self._own.of(name), self._asked_at)
            if name in self._answer
            else None
            for name in self._ceilings.write
        }

    def _on_change(self, rate_limits: RateLimits) -> None:
        """Apply the headroom to changed ceilings."""
        if rate_limits.ceilings != self._ceilings:
            self._ceilings = rate_limits.ceilings
            if self._polled:
                self._apply()

    def _apply(self) -> None:
        limits = self._ceilings
        found = available(limits.capacity, limits.write, self._live(), self._share)
        if found.share >= 1.0:
            self._governor.limit(LIMIT_SOURCE)
            return
        where = f" to index {found.resource}" if found.resource != TABLE else ""
        seen = (
            "unknown live writes" if found.live is None else f"{_rounded(found.live):g} WCU/s of live writes"
        )
        self._governor.limit(
            LIMIT_SOURCE, share=found.share, why=f"headroom of {self._share:.0%} and {seen}{where}"
        )


def _rounded(number: float) -> float:
    """Two significant digits, so that the log does not report every small change."""
    return float(f"{number:.1e}")


async def consumed_writes(
    services: Services, table: str, resources: Sequence[str], now: float
) -> dict[str, Series]:
    """Write units that all writers consumed in the last quarter of an hour, by resource and minute.

    Sums of ConsumedWriteCapacityUnits (DynamoDB Developer Guide: Metrics and dimensions). The table's metric does not
    include its global indexes, which have their own. Minutes without consumption, without a data point so far, and the
    current minute are missing.

    Raises:
        UnansweredError: CloudWatch did not answer, or not in full.
    """
    queries = []
    for number, resource in enumerate(resources):
        dimensions = {"TableName": table}
        if resource != TABLE:
            dimensions["GlobalSecondaryIndexName"] = resource
        queries.append(
            metric_query(f"r{number}", "AWS/DynamoDB", "ConsumedWriteCapacityUnits", dimensions, "Sum")
        )
    end = minute_of(now)
    found = await get_metric_data(services, queries, since=end - KEPT_S, until=end, timeout_s=TIMEOUT_S)
    return {resource: found[f"r{number}"] for number, resource in enumerate(resources)}
