"""The objects and settings that the readers and workers of one process share."""

import random
import time
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field

from refire_async.checkpoint.journal import Journal
from refire_async.events import Emit, Suspended
from refire_async.model.run import RunSpec
from refire_async.model.stop import StopRequest
from refire_async.pacing.budget import ReadBudget, WriteBudget
from refire_async.pacing.governor import RateLimits
from refire_async.pacing.outage import Outage
from refire_async.pipeline.lookups import BudgetedLookup
from refire_async.pipeline.reads import ReadRetries
from refire_async.pipeline.waits import Waits
from refire_async.pipeline.writers.base import Writer
from refire_async.sources.base import Source
from refire_async.sources.lookup import Lookup


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much one process reads and writes at once, and where it ends.

    `item_bytes` is the mean item size of the table (0 or more), before any item is read. `max_items` limits the items
    that the process reads (None: no limit); `per_segment` does so for each segment, for a canary: a later attempt
    reads the rest of the segment.
    """

    item_bytes: float
    readers: int = 32
    workers: int = 8
    page_items: int = 500
    max_items: int | None = None
    per_segment: int | None = None


@dataclass(slots=True, kw_only=True)
class Context:
    """The run, its source, writer and journal, and the objects that its tasks share.

    `lookup` reads keys once; the tasks use `lookups`, which retries within the read budget. `draw` supplies the jitter
    of delays. `clock` returns DynamoDB's time (Unix time, s), which decides whether an item has expired.
    """

    spec: RunSpec
    source: Source
    lookup: InitVar[Lookup]
    writer: Writer
    journal: Journal
    write_budget: WriteBudget
    read_budget: ReadBudget
    outage: Outage
    emit: Emit
    stop: StopRequest
    sizes: Sizes
    draw: random.Random = field(default_factory=random.Random)
    clock: Callable[[], float] = time.time
    waits: Waits = field(default_factory=Waits)
    reads: ReadRetries = field(init=False)
    lookups: BudgetedLookup = field(init=False)

    def __post_init__(self, lookup: Lookup) -> None:
        totals = self.journal.totals
        self.reads = ReadRetries(
            waits=self.waits,
            outage=self.outage,
            stop=self.stop,
            totals=totals,
            emit=self.emit,
            draw=self.draw,
        )
        self.lookups = BudgetedLookup(
            lookup=lookup,
            keys=self.spec.keys,
            budget=self.read_budget,
            reads=self.reads,
            waits=self.waits,
            stop=self.stop,
            totals=totals,
        )
        self.outage.on_recovery = self.waits.recovered

    def suspended(self, seconds: float) -> None:
        """The process was suspended for `seconds`: count them neither as an outage nor as working time."""
        self.outage.restart()
        self.journal.leave_out(seconds)
        self.emit(Suspended(seconds))

    def follow(self, rate_limits: RateLimits) -> None:
        """Apply `rate_limits` to both budgets from now on. The end of a pause ends all delays before a retry."""
        paused = self.read_budget.paused
        if rate_limits.paused or paused:
            self.outage.restart()
        self.write_budget.follow(rate_limits)
        self.read_budget.follow(rate_limits)
        if paused and not rate_limits.paused:
            self.waits.recovered()

    def lease(self, in_force: Callable[[], bool]) -> None:
        """Let both budgets grant only while `in_force()`: this process has a leased share of them."""
        self.write_budget.lease(in_force)
        self.read_budget.lease(in_force)

    def set_share(self, share: float) -> None:
        """Use `share` (above 0, at most 1) of both budgets from now on."""
        self.write_budget.set_share(share)
        self.read_budget.set_share(share)
