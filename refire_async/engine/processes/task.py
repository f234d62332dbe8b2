"""The task of one process of a run, and its result. Plain values that can be pickled."""

from collections.abc import Iterator
from dataclasses import dataclass

from refire_async.aws.route import Route
from refire_async.aws.signing import Credentials
from refire_async.errors import ExitCode
from refire_async.model.counts import Counts, Totals
from refire_async.model.run import RunSpec, RunStatus
from refire_async.model.stop import StopReason
from refire_async.model.table import Table
from refire_async.pacing.governor import RateLimits
from refire_async.pipeline.sizing import segments_of
from refire_async.settings import Connection, Tuning

PAGES_PER_TASK = 1 << 40
"""Page numbers that one task may use; the numbers of the next task follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """The segments of task `index` of `tasks`, and the limits of their process.

    `number` is unique among the tasks of all attempts of the run. `share` is the share (0 to 1) of `rate_limits` that
    the task is sized for; where several share them, a lease says what it may use. `begun_at` is the start of the
    attempt by the event loop's clock (s); until its tasks begin, a run writes almost nothing. `route` leads to the data
    plane. `checkpoint` is the path of the file, `keys` that of the run's list of keys, if its selection is one.
    `credentials` are the parent's when the process starts, if an MFA code was typed for them.
    """

    number: int
    index: int
    tasks: int
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
    credentials: Credentials | None = None

    @property
    def first_page(self) -> int:
        """The number of the first page of this task."""
        return self.number * PAGES_PER_TASK

    def segments(self) -> Iterator[int]:
        """The segments of this task, in the order of visits."""
        return segments_of(self.spec.total_segments, self.index, self.tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """How a task ended. `counts` and `totals` cover this task in this attempt only.

    `error` is one line, with the action to take, where an error stopped it.
    """

    status: RunStatus
    counts: Counts
    totals: Totals
    stop: StopReason | None = None
    error: str | None = None
    exit_code: ExitCode = ExitCode.COMPLETE
