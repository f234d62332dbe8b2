"""Compares a run's checkpoint with the table's streams, and writes the file of missing keys.

Reading can begin while the run is still at work. What is read goes to disk by partition (see `spill`); when the run
has ended and the streams are read up to then, the checkpoint's claims are added and each partition is judged. If
something is missing then, reading goes on for a while: records may be late.
"""

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import anyio
import anyio.abc
import orjson
from anyio import to_thread

from refire_async.aws.streams import StreamReader
from refire_async.checkpoint.history import History, TableStream
from refire_async.checkpoint.read_only import guard
from refire_async.checkpoint.reading import SavedRun
from refire_async.errors import RefireError, RefusedError, StoppedError, first_of
from refire_async.model.proof import Proof, ProofCounts, least_view
from refire_async.model.run import RunSpec
from refire_async.model.units import STREAM_RETENTION_S
from refire_async.private import replacing
from refire_async.verification.expected import Claims
from refire_async.verification.follower import Follower, lost_before
from refire_async.verification.moments import seconds_of
from refire_async.verification.observed import reader
from refire_async.verification.reconcile import CLOCKS_S, LATE_S
from refire_async.verification.results import Results
from refire_async.verification.spill import Spill

T = TypeVar("T")

LATE_RECORDS_S = 10.0
"""When something is missing, reading goes on until so long after the run's end. Records usually come in a second."""

_LAG_S = 5.0
"""A record from this long after the run's end shows that its own are behind it. Where clocks disagree by more,
something seems to be missing, and patience helps."""

_AGAIN_S = 2.0

_APART_S = 2.0
"""A record may say that it is this much older than it is, beside the service's clock as it is known here."""

_MINUTE_S = 60
"""DynamoDB Local cuts the times of records to whole minutes (seen in 2.x), the service to seconds."""


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
        """`path` is the run's checkpoint, `since` its start in seconds since the epoch, `now` the service's time."""
        self._path = path
        self._spec = spec
        self._spill = spill
        self._since = since
        self._now = now
        self._late_records_s = late_records_s
        self._read = reader(spec)
        self._followers: list[Follower] = []
        self._thread = anyio.CapacityLimiter(1)  # the spill is for one thread at a time
        self._started = perf_counter()
        self._records = 0
        self._grain = _MINUTE_S
        self.progress = Progress()

    async def follow(
        self, reader: StreamReader, streams: Iterable[TableStream], *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        """Read the streams from the run's start on, until cancelled. Raises WireError, StoppedError."""
        async with anyio.create_task_group() as tasks:
            for stream in streams:
                follower = Follower(
                    reader, stream.arn, since=self._since - CLOCKS_S, take=self._take, now=self._now
                )
                self._followers.append(follower)
                tasks.start_soon(follower.run)
            task_status.started()

    async def conclude(self, others: Sequence[Path] = ()) -> Proof:
        """What the streams show of everything that the run has settled by now.

        `others` are checkpoints of other runs: what they claim is not this run's.

        Raises:
            RefireError: a checkpoint cannot be read, or a file cannot be written.
        """
        with await self._apart(History, self._path) as history:
            saved, upto = await self._apart(history.run), await self._apart(history.last)
            streams = await self._apart(history.streams)
            self.progress.total = saved.counts.touched + saved.counts.already
            ended = None if saved.status == "running" else seconds_of(saved.updated_at) + 1.0
            by_service = await self._apart(history.by_service)
            # Where this machine's clock was believed, the run's records may seem to be from long after its end.
            await self._catch_up((ended if ended is not None and by_service else self._now()) + _LAG_S)
            bounds = _Bounds(
                self._grain,
                by_service,
                wanted=self._spec.markers_are_older or any(one.view_type == "KEYS_ONLY" for one in streams),
            )
            expected = await self._apart(self._claim, history, upto, others, bounds)
            results = Results(
                self._spill,
                ended,
                late_s=LATE_S if by_service else CLOCKS_S,
                older=self._spec.markers_are_older,
            )
            tally, gone = await self._reconcile_until_complete(results, expected, ended)
            lost = max(lost_before(self._followers), self._now() - STREAM_RETENTION_S)
            clocks = _is_all_missing(tally) and self._records > 0
            if clocks:
                tally.unproven, tally.missing = tally.unproven + tally.missing, 0
            file = await self._apart(self._write_missing, history, upto, gone, lost, tally)
        return Proof(
            run_id=self._spec.run_id,
            counts=tally,
            records=self._records,
            shards=sum(follower.shards_read for follower in self._followers),
            view_type=least_view(one.view_type for one in streams),
            seconds=perf_counter() - self._started,
            began=self._since,
            reaches_back_to=lost,
            unfinished=saved.status != "complete",
            failed=saved.counts.failed,
            clocks_disagree=clocks,
            missing_keys_file=file,
        )

    async def _apart(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run blocking work in the thread that owns the spill."""
        return await to_thread.run_sync(work, *arguments, limiter=self._thread)

    async def _take(self, records: list[dict[str, Any]]) -> None:
        await self._apart(self._add, records)
        self._records += len(records)
        self.progress.done = self._records

    def _add(self, records: list[dict[str, Any]]) -> None:
        since = self._since - CLOCKS_S
        if any(record["dynamodb"]["ApproximateCreationDateTime"] % _MINUTE_S for record in records):
            self._grain = 1
        self._spill.add_changes([change for change in map(self._read, records) if change[3] >= since])

    async def _catch_up(self, until: float) -> None:
        async with anyio.create_task_group() as tasks:
            for follower in self._followers:
                tasks.start_soon(follower.caught_up, until)

    def _claim(self, history: History, upto: int, others: Sequence[Path], bounds: "_Bounds") -> int:
        """Add what this run claims, and what others do. Returns how many events there should be."""
        claims = Claims(self._spec)
        for page in history.pages(upto=upto):
            guard(self._path, lambda page=page: self._spill.add_claims(claims.of(page)))  # type: ignore[misc]
            if bounds.wanted:
                self._spill.add_claims(claims.opened(page, *bounds.of(page.opened)))
        for path in others:
            with History(path) as other:
                elsewhere = Claims(other.run().spec)
                for page in other.pages(upto=other.last()):
                    guard(path, lambda page=page: self._spill.add_claims(elsewhere.foreign(page)))  # type: ignore[misc]  # noqa: B023
        return claims.count

    async def _reconcile_until_complete(
        self, results: Results, expected: int, ended: float | None
    ) -> tuple[ProofCounts, bytearray]:
        now = self._now()  # an end that seems to be yet to come is one by a wrong clock
        until = (now if ended is None else min(ended, now)) + self._late_records_s
        partitions = self._spill.partitions

        def at_work(partition: int) -> None:
            self.progress = Progress("comparing", partition, partitions)

        await self._apart(results.reconcile, at_work)
        while results.tally.missing and self._now() < until:
            self.progress.doing = "waiting for late records"
            await anyio.sleep(_AGAIN_S)
            await self._apart(results.reconcile_missing)
            if not results.tally.missing or self._now() >= until:
                await self._apart(results.reconcile)  # what has come for other items in the meantime
        return results.tally, await self._apart(results.gone, expected)

    def _write_missing(
        self, history: History, upto: int, gone: bytearray, lost: float, tally: ProofCounts
    ) -> str | None:
        """The missing keys file, as `--keys-file` takes it, where there is something to list. Mode 0600.

        What may have fired before the stream's oldest record is not listed: it is not known to be missing.
        """
        path = self._path.with_name(self._path.name + ".missing.jsonl")
        if not tally.missing:
            path.unlink(missing_ok=True)
            return None
        claims = Claims(self._spec)
        try:
            with replacing(path) as file:
                for page in history.pages(upto=upto):
                    for number, key in enumerate(claims.keys(page), claims.count):
                        if not gone[number >> 3] >> (number & 7) & 1:
                            continue
                        if page.opened < lost:
                            tally.missing -= 1
                            tally.unproven += 1
                        else:
                            file.write(orjson.dumps({"key": key}, option=orjson.OPT_APPEND_NEWLINE))
            if tally.missing:
                return str(path)
            path.unlink()
        except OSError as error:
            raise StoppedError(
                f"the missing keys cannot be written to {path}: {error.strerror}", "make room, then try again"
            ) from error
        return None


@dataclass(frozen=True, slots=True)
class _Bounds:
    """From when on records can be of a page, given when it was opened. `grain` is that of the records' times."""

    grain: int
    by_service: bool
    wanted: bool
    """Whether time has a say: the markers are older than the run, or there are no images."""

    def of(self, opened: float) -> tuple[int, int]:
        """First second of a touch too many, and of the very touch. Where only minutes are told the former is sure."""
        apart_s = _APART_S if self.by_service else CLOCKS_S
        earliest = opened - apart_s
        touches = opened if self.by_service else earliest
        return (
            math.floor(touches) if self.grain == 1 else math.ceil(touches),
            math.floor(earliest / self.grain) * self.grain,
        )


def _is_all_missing(tally: ProofCounts) -> bool:
    """Whether the stream shows nothing at all of what the run says."""
    return bool(tally.missing or tally.unproven) and not (tally.once or tally.doubled or tally.by_others)


async def prove(
    path: Path,
    reader: StreamReader,
    *,
    expected: int,
    now: TableStream | None,
    others: Sequence[Path] = (),
    ended: Callable[[], Awaitable[object]] | None = None,
    watch: Callable[[Verifier], None] | None = None,
    clock: Callable[[], float] = time.time,
    late_records_s: float = LATE_RECORDS_S,
) -> Proof:
    """Prove the run in the checkpoint at `path`; with `ended`, follow it until that returns.

    `expected` is a guess of its items, `now` the stream that takes the table's changes at present, `others` are
    checkpoints of other runs on the table. `watch` is given the proof at work, `clock` tells the service's time.

    Raises:
        RefusedError: the table had no stream.
        WireError: the stream cannot be read.
        RefireError: the checkpoint cannot be read, or there is no room for files beside it.
    """
    path = await to_thread.run_sync(path.resolve)
    saved, streams = await to_thread.run_sync(_look, path)
    if now is not None and all(stream.arn != now.arn for stream in streams):
        streams.append(now)
    if not streams:
        raise RefusedError(
            f"table {saved.spec.table} had no stream while run {saved.spec.run_id} worked",
            "there is nothing to verify against",
        )
    since = seconds_of(saved.created_at)
    guess = max(expected, saved.counts.settled)
    with await to_thread.run_sync(Spill, path.parent, guess) as spill:
        proving = Verifier(path, saved.spec, spill, since, now=clock, late_records_s=late_records_s)
        proving.progress.total = saved.counts.touched + saved.counts.already
        if watch is not None:
            watch(proving)
        failures: list[RefireError] = []
        concluding = anyio.CancelScope()

        async def follow(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            """Follow the streams; a failure is raised after the run has ended, so that it does not disturb the run."""
            try:
                await proving.follow(reader, streams, task_status=task_status)
            except* RefireError as group:
                failures.append(first_of(group))
                concluding.cancel()

        async with anyio.create_task_group() as tasks:
            await tasks.start(follow)
            if ended is not None:
                await ended()
            with concluding:
                proof = await proving.conclude(others)
            tasks.cancel_scope.cancel()
        if failures:
            raise failures[0]
    return proof


def _look(path: Path) -> tuple[SavedRun, list[TableStream]]:
    with History(path) as history:
        return history.run(), history.streams()
