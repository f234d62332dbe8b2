"""What one part of a run is told, and what it tells when it is done. Plain values that can be pickled."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from refire_async.aws.route import Route
from refire_async.errors import ExitCode
from refire_async.model.counts import Counts
from refire_async.model.run import RunSpec, RunStatus
from refire_async.model.stop import StopReason
from refire_async.model.table import Table
from refire_async.model.totals import Totals
from refire_async.pacing.governor import RateLimits
from refire_async.pipeline.sizing import spread
from refire_async.settings import Connection, Tuning

PAGES_PER_PART = 1 << 40
"""Page numbers that one part may use before it would meet the next one's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """The segments whose place in the order of visiting is `index` modulo `parts`, and what they may consume.

    `number` is unlike that of any other part of the run, in this sitting or an earlier one; `share` is the part
    of `rate_limits` (1: all) that it begins with. `begun_at` is when the attempt began, by the loop's clock:
    from then to the beginning of its parts a run writes next to nothing. `route` is where its data plane goes.
    `checkpoint` is the file's path, `keys` that of the run's list of keys where its selection is one.
    """

    number: int
    index: int
    parts: int
    spec: RunSpec
    table: Table
    begun_at: float
    connection: Connection
    route: Route
    checkpoint: str
    keys: str
    rate_limits: RateLimits
    tuning: Tuning
    workers: int
    readers: int
    share: float = 1.0
    max_items: int | None = None
    per_segment: int | None = None
    dry: bool = False

    @property
    def first_page(self) -> int:
        """The first number that this part gives to a page."""
        return self.number * PAGES_PER_PART

    def segments(self) -> Iterator[int]:
        """This part's segments, in the order of visiting."""
        return islice(spread(self.spec.total_segments), self.index, None, self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """How a part ended. `counts` and `totals` are what it did itself, in this sitting.

    `error` is one line with what to do, where a failure made it stop.
    """

    status: RunStatus
    counts: Counts
    totals: Totals
    stop: StopReason | None = None
    error: str | None = None
    exit_code: ExitCode = ExitCode.COMPLETE
