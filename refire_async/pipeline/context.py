"""What the readers and workers of one attempt share."""

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
from refire_async.pipeline.lookups import LookUps
from refire_async.pipeline.reads import Reads
from refire_async.pipeline.waits import Waits
from refire_async.pipeline.writers.base import Writer
from refire_async.sources.base import Source
from refire_async.sources.lookup import Lookup


@dataclass(slots=True, kw_only=True)
class Context:
    """The run, its source, writer and journal, and the services that its tasks use.

    `lookup` reads keys once; the tasks use `lookups`, which retries within the read budget.
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
    item_bytes: float
    readers: int = 32
    page_items: int = 500
    per_segment: int | None = None
    """Items at most of each segment, for a canary. A later attempt reads the rest of the segment."""
    draw: random.Random = field(default_factory=random.Random)
    clock: Callable[[], float] = time.time
    """DynamoDB's time (Unix time): it decides which items have expired."""
    waits: Waits = field(default_factory=Waits)
    reads: Reads = field(init=False)
    lookups: LookUps = field(init=False)

    def __post_init__(self, lookup: Lookup) -> None:
        totals = self.journal.totals
        self.reads = Reads(
            waits=self.waits,
            outage=self.outage,
            stop=self.stop,
            totals=totals,
            emit=self.emit,
            draw=self.draw,
        )
        self.lookups = LookUps(
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
        """The process did not run for `seconds`: count them neither as an outage nor as working time."""
        self.outage.restart()
        self.journal.leave_out(seconds)
        self.emit(Suspended(seconds))

    def follow(self, rate_limits: RateLimits) -> None:
        """Consume at most what `rate_limits` allows from now on."""
        paused = self.read_budget.paused
        if rate_limits.paused or paused:
            self.outage.restart()
        self.write_budget.follow(rate_limits)
        self.read_budget.follow(rate_limits)
        if paused and not rate_limits.paused:
            self.waits.recovered()  # the pause was longer than any delay that began before it
