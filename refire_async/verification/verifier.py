"""Compares a run's checkpoint with the table's streams, and writes the file of missing keys.

Reading can start while the run is still working. Observed rows go to disk by partition (see `spill`); when the run
has ended and the streams are read up to its end, the expected rows of the checkpoint are added and each partition is
reconciled. If items are missing then, reading continues for a while, because records may be late.
"""

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import anyio
import anyio.abc
from anyio import to_thread

from refire_async.aws.streams import StreamReader, misshapen_stream
from refire_async.checkpoint.history import History, TableStream
from refire_async.checkpoint.key_files import MISSING, write_keys
from refire_async.checkpoint.read_only import guard
from refire_async.checkpoint.reading import SavedRun
from refire_async.errors import RefireError, RefusedError, StoppedError, first_of
from refire_async.model.proof import Proof, ProofCounts, least_view
from refire_async.model.run import RunSpec
from refire_async.model.units import STREAM_RETENTION_S
from refire_async.verification.bytewise import answer_encoder
from refire_async.verification.expected import ExpectedRows
from refire_async.verification.follower import Follower, lost_before
from refire_async.verification.reconcile import LATE_WRITE_S, MAX_CLOCK_SKEW_S
from refire_async.verification.results import Results
from refire_async.verification.spill import Spill

T = TypeVar("T")

LATE_RECORDS_S = 10.0
"""If items are missing, reading continues until this long after the run's end.

Records usually arrive within a second.
"""

_MARGIN_S = 5.0
"""A record from this long after the run's end shows that all records of the run precede it.

If clocks disagree by more, items seem to be missing at first, and reading continues.
"""

_RETRY_S = 2.0
"""Interval between comparisons while items are missing."""

_RECORD_TIME_ERROR_S = 2.0
"""The time of a record may be this much earlier than the service's time as this machine knows it."""

_MINUTE_S = 60
"""DynamoDB Local truncates the times of records to whole minutes (seen in 2.x), the service to seconds."""


@dataclass(slots=True)
class Progress:
    """Progress of a verification. `total` is 0 while unknown."""

    doing: str = "reading the stream"
    done: int = 0
    total: int = 0


class Verifier:
    """One verification: `follow` reads the streams, `conclude` compares them with the checkpoint."""

    def __init__(
        self,
        path: Path,
        spec: RunSpec,
        spill: Spill,
        since: float,
        *,
        now: Callable[[], float] = time.time,
        late_records_s: float = LATE_RECORDS_S,
    ) -> None:
        """`path`: the checkpoint; `since`: the run's start (seconds since the epoch); `now`: the service's time."""
        self._path = path
        self._spec = spec
        self._spill = spill
        self._since = since
        self._now = now
        self._late_records_s = late_records_s
        self._encode = answer_encoder(spec)
        self._followers: list[Follower] = []
        self._thread = anyio.CapacityLimiter(1)  # one thread at a time may use the spill
        self._started = perf_counter()
        self._records = 0
        self._grain = _MINUTE_S
        self.progress = Progress()

    async def follow(
        self, reader: StreamReader, streams: Iterable[TableStream], *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        """Read the streams from the run's start on, until cancelled. Raises AwsError, StoppedError."""
        async with anyio.create_task_group() as tasks:
            for stream in streams:
                follower = Follower(
                    reader,
                    stream.arn,
                    since=self._since - MAX_CLOCK_SKEW_S,
                    on_answer=self._add_answer,
                    now=self._now,
                )
                self._followers.append(follower)
                tasks.start_soon(follower.run)
            task_status.started()

    async def conclude(self, others: Sequence[Path] = ()) -> Proof:
        """Compare everything that the run has acknowledged so far with the streams.

        `others` are checkpoints of other runs: touches that they contain are not this run's.

        Raises:
            RefireError: a checkpoint cannot be read, or a file cannot be written.
        """
        with await self._in_thread(History, self._path) as history:
            saved, upto = await self._in_thread(history.run), await self._in_thread(history.last)
            streams = await self._in_thread(history.streams)
            self.progress.total = saved.counts.touched + saved.counts.already
            ended = None if saved.status == "running" else saved.updated_s + 1.0
            by_service = await self._in_thread(history.by_service)
            # Where the times are this machine's, the run's records may seem to be from long after its end.
            await self._catch_up((ended if ended is not None and by_service else self._now()) + _MARGIN_S)
            bounds = _Bounds(
                self._grain,
                by_service,
                wanted=self._spec.markers_are_older or any(one.view_type == "KEYS_ONLY" for one in streams),
            )
            expected = await self._in_thread(self._add_expected, history, upto, others, bounds)
            results = Results(
                self._spill,
                ended,
                late_s=LATE_WRITE_S if by_service else MAX_CLOCK_SKEW_S,
                markers_are_older=self._spec.markers_are_older,
            )
            counts, missing = await self._reconcile_until_complete(results, expected, ended)
            lost = max(lost_before(self._followers), self._now() - STREAM_RETENTION_S)
            clocks_disagree = _is_all_missing(counts) and self._records > 0
            if clocks_disagree:
                counts.unproven, counts.missing = counts.unproven + counts.missing, 0
            file = await self._in_thread(self._write_missing, history, upto, missing, lost, counts)
        return Proof(
            run_id=self._spec.run_id,
            counts=counts,
            records=self._records,
            shards=sum(follower.shards_read for follower in self._followers),
            view_type=least_view(one.view_type for one in streams),
            seconds=perf_counter() - self._started,
            began=self._since,
            reaches_back_to=lost,
            unfinished=saved.status != "complete",
            failed=saved.counts.failed,
            clocks_disagree=clocks_disagree,
            missing_keys_file=file,
        )

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run blocking work in a thread, one call at a time."""
        return await to_thread.run_sync(work, *arguments, limiter=self._thread)

    async def _add_answer(self, answer: bytes) -> float | None:
        return await self._in_thread(self._add_observed, answer)

    def _add_observed(self, answer: bytes) -> float | None:
        """Add the records of an answer; returns the second of the last one."""
        try:
            rows = self._encode(answer)
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            # Encoding depends on nothing but the record: its keys or values are not those of this table.
            raise misshapen_stream("GetRecords") from error
        if not rows:
            return None
        self._records += len(rows)
        self.progress.done = self._records
        if self._grain != 1 and any(row[3] % _MINUTE_S for row in rows):
            self._grain = 1
        last = rows[-1][3]
        since = self._since - MAX_CLOCK_SKEW_S
        if any(row[3] < since for row in rows):
            rows = [row for row in rows if row[3] >= since]
        self._spill.add_observed(rows)
        return last

    async def _catch_up(self, until: float) -> None:
        async with anyio.create_task_group() as tasks:
            for follower in self._followers:
                tasks.start_soon(follower.caught_up, until)

    def _add_expected(self, history: History, upto: int, others: Sequence[Path], bounds: "_Bounds") -> int:
        """Add the expected rows of this run and the touches of other runs. Returns the number of expected events."""
        rows = ExpectedRows(self._spec)
        for page in history.pages(upto=upto):
            guard(self._path, lambda page=page: self._spill.add_expected(rows.of(page)))  # type: ignore[misc]
            if bounds.wanted:
                self._spill.add_expected(rows.opened(page, *bounds.of(page.opened)))
        for path in others:
            with History(path) as other:
                foreign = ExpectedRows(other.run().spec)
                for page in other.pages(upto=other.last()):
                    guard(path, lambda page=page: self._spill.add_expected(foreign.foreign(page)))  # type: ignore[misc]  # noqa: B023
        return rows.count

    async def _reconcile_until_complete(
        self, results: Results, expected: int, ended: float | None
    ) -> tuple[ProofCounts, bytearray]:
        now = self._now()  # an end in the future comes from a wrong clock
        until = (now if ended is None else min(ended, now)) + self._late_records_s
        partitions = self._spill.partitions

        def show(partition: int) -> None:
            self.progress = Progress("comparing", partition, partitions)

        await self._in_thread(results.reconcile, show)
        while results.counts.missing and self._now() < until:
            self.progress.doing = "waiting for late records"
            await anyio.sleep(_RETRY_S)
            await self._in_thread(results.reconcile_missing)
            if not results.counts.missing or self._now() >= until:
                await self._in_thread(results.reconcile)  # records of other items that arrived meanwhile
        return results.counts, await self._in_thread(results.missing_bits, expected)

    def _write_missing(
        self, history: History, upto: int, missing: bytearray, lost: float, counts: ProofCounts
    ) -> str | None:
        """Write the keys of missing items as `--keys-file` reads them, mode 0600. Returns the path or None.

        Items that may have fired before the stream's oldest record are not listed: `counts` counts them as unproven.
        """
        path = self._path.with_name(self._path.name + MISSING)
        if not counts.missing:
            path.unlink(missing_ok=True)
            return None
        rows = ExpectedRows(self._spec)

        def missing_keys() -> Iterator[dict[str, Any]]:
            for page in history.pages(upto=upto):
                for number, key in enumerate(rows.keys(page), rows.count):
                    if not missing[number >> 3] >> (number & 7) & 1:
                        continue
                    if page.opened < lost:
                        counts.missing -= 1
                        counts.unproven += 1
                    else:
                        yield {"key": key}

        try:
            write_keys(path, missing_keys())
            if counts.missing:
                return str(path)
            path.unlink()
        except OSError as error:
            raise StoppedError(
                f"cannot write the missing keys to {path}: {error.strerror}",
                "free disk space, then run refire verify again",
            ) from error
        return None


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The earliest times of a page's records, given when it was opened.

    `grain`: resolution of record times in seconds.
    """

    grain: int
    by_service: bool
    wanted: bool
    """Whether times matter: the markers are older than the run, or the stream has no images."""

    def of(self, opened: float) -> tuple[int, int]:
        """Earliest second of an additional touch (rounded up if times are whole minutes), of the run's own touch."""
        error_s = _RECORD_TIME_ERROR_S if self.by_service else MAX_CLOCK_SKEW_S
        earliest = opened - error_s
        touches = opened if self.by_service else earliest
        return (
            math.floor(touches) if self.grain == 1 else math.ceil(touches),
            math.floor(earliest / self.grain) * self.grain,
        )


def _is_all_missing(counts: ProofCounts) -> bool:
    """Whether the stream has no event of the run at all."""
    return bool(counts.missing or counts.unproven) and not (counts.once or counts.doubled or counts.by_others)


async def verify_checkpoint(
    path: Path,
    reader: StreamReader,
    *,
    expected: int,
    current: TableStream | None,
    others: Sequence[Path] = (),
    work: Callable[[], Awaitable[object]] | None = None,
    on_start: Callable[[Verifier], None] | None = None,
    clock: Callable[[], float] = time.time,
    late_records_s: float = LATE_RECORDS_S,
) -> Proof:
    """Verify the run in the checkpoint at `path`; with `work`, read the streams meanwhile and compare when it returns.

    `expected` estimates the number of items, `current` is the stream that the table has now, `others` are checkpoints
    of other runs on the table. `on_start` receives the verifier, for its progress; `clock` returns the service's
    time.

    Raises:
        RefusedError: the table had no stream.
        AwsError: the stream cannot be read.
        RefireError: the checkpoint cannot be read, or no temporary file can be written beside it.
    """
    path = await to_thread.run_sync(path.resolve)
    saved, streams = await to_thread.run_sync(_read_checkpoint, path)
    if current is not None and all(stream.arn != current.arn for stream in streams):
        streams.append(current)
    if not streams:
        raise RefusedError(
            f"table {saved.spec.table} had no stream during run {saved.spec.run_id}, so the run cannot be verified",
            "enable a stream before the next run",
        )
    estimate = max(expected, saved.counts.settled)
    with await to_thread.run_sync(Spill, path.parent, estimate) as spill:
        verifier = Verifier(
            path, saved.spec, spill, saved.created_s, now=clock, late_records_s=late_records_s
        )
        verifier.progress.total = saved.counts.touched + saved.counts.already
        if on_start is not None:
            on_start(verifier)
        failures: list[RefireError] = []
        concluding = anyio.CancelScope()

        async def follow(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            """Follow the streams; a failure is raised after the run has ended, so that it does not disturb the run."""
            try:
                await verifier.follow(reader, streams, task_status=task_status)
            except* RefireError as group:
                failures.append(first_of(group))
                concluding.cancel()

        async with anyio.create_task_group() as tasks:
            await tasks.start(follow)
            if work is not None:
                await work()
            with concluding:
                proof = await verifier.conclude(others)
            tasks.cancel_scope.cancel()
        if failures:
            raise failures[0]
    return proof


def _read_checkpoint(path: Path) -> tuple[SavedRun, list[TableStream]]:
    with History(path) as history:
        return history.run(), history.streams()
