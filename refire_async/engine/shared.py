"""A run that several processes share through a checkpoint table: each claims a task and works on its segments."""

import secrets
import tempfile
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from refire_async.aws.config import configured
from refire_async.aws.session import Session
from refire_async.checkpoint.dynamodb import claims, runs
from refire_async.checkpoint.dynamodb.blobs import Blobs, folder_of, open_blobs
from refire_async.checkpoint.dynamodb.claims import Claim
from refire_async.checkpoint.dynamodb.lists import SavedList, write_list
from refire_async.checkpoint.dynamodb.rate import read_rate
from refire_async.checkpoint.dynamodb.runs import RunItem
from refire_async.checkpoint.dynamodb.share_record import TableRecord
from refire_async.checkpoint.dynamodb.store import TableStore
from refire_async.checkpoint.dynamodb.table import CheckpointTable
from refire_async.checkpoint.identity import adopt
from refire_async.engine.attempt import Attempt, Group, run_attempt
from refire_async.engine.summary import conclude
from refire_async.errors import CheckpointRefusedError, RefireError, UsageError, alone
from refire_async.events import Emit, Noticed
from refire_async.model.address import TableAddress
from refire_async.model.run import Result, RunSpec
from refire_async.model.selection import Selection
from refire_async.model.stop import StopRequest
from refire_async.pipeline.sizing import segments_of
from refire_async.preflight.findings import TASK_HELD
from refire_async.settings import ResumeSettings, RunSettings
from refire_async.sources.importing import ImportContext, import_keys
from refire_async.sources.key_list import open_list

STOP_WITHIN_S = 40.0
"""Seconds after the request to stop within which the checkpoint table must have answered: a Spot instance gives two
minutes from SIGTERM on, and writes to the table that is touched may take some of them."""

NUMBERS_PER_EPOCH = 1 << 14
"""Processes of a run have numbers: those of one epoch of all tasks, then those of the next."""


def check_task(settings: RunSettings, address: TableAddress) -> tuple[int, int]:
    """The number of tasks, and that of this one. Raises UsageError for what a shared run cannot do."""
    tasks = settings.tasks or 1
    if address.run_id is None:
        raise UsageError(
            f"{address} does not name the run", f"write {address}/RUN_ID: tasks and retries have the same id"
        )
    if settings.run_id not in (None, address.run_id):
        raise UsageError(f"--run-id {settings.run_id} is another run than {address}", "leave out --run-id")
    if settings.archive is not None:
        folder_of(settings.archive, address.run_id)
    if settings.canary is not None:
        raise UsageError("--canary is not for a run in a checkpoint table", "leave it out")
    return tasks, number_of(settings, tasks)


def number_of(settings: RunSettings | ResumeSettings, tasks: int) -> int:
    """The number of this task of `tasks`. Raises UsageError for what it cannot do."""
    task = settings.task if settings.task is not None else 0
    if settings.task is None and tasks > 1:
        raise UsageError(
            f"which of the {tasks} tasks this one is, is missing",
            "give --task K, from 0, or run an array job",
        )
    if not 0 <= task < tasks <= NUMBERS_PER_EPOCH:
        raise UsageError(f"there is no task {task} of {tasks}", f"give --task from 0 to {tasks - 1}")
    if settings.tuning.processes > 1:
        raise UsageError("--processes is not for a run in a checkpoint table", "give --tasks instead")
    if settings.verify:
        raise UsageError(
            "--verify is not for a run in a checkpoint table", "run 'refire verify' when it is complete"
        )
    for_one_task = {
        # A task knows neither the writes nor the records of the others, and would take them for live traffic.
        "--headroom": settings.pacing.headroom_percent is not None,
        "--max-iterator-age": settings.pacing.max_iterator_age_s is not None,
        "--max-items": settings.max_items is not None,
    }
    for option, given in for_one_task.items():
        if given and tasks > 1:
            raise UsageError(
                f"{option} is for a run of one task", "leave it out, or give --max-wcu or --max-rate"
            )
    return task


def _check_selection(selection: Selection) -> None:
    """Refuse a selection whose items may come twice: what was seen is in a file. Raises UsageError."""
    if selection.kind == "scan" and selection.index is not None:
        raise UsageError(
            "a scan of an index needs a checkpoint in a file",
            "leave out --checkpoint dynamodb://…, or select by --key-value",
        )


def check_archive(item: RunItem, given: str | None) -> None:
    """Refuse to write to a place that only the checkpoint table names. Raises CheckpointRefusedError."""
    if item.archive != given:
        raise CheckpointRefusedError(
            f"the pages of run {item.spec.run_id} are in {item.archive or 'its checkpoint table'}",
            "leave out --archive" if item.archive is None else f"give --archive {item.archive}",
        )


class Shared:
    """Task `task` of `tasks` of the run at an address."""

    def __init__(self, session: Session, address: TableAddress, task: int, tasks: int) -> None:
        self.session = session
        self._address = address
        self._run_id = address.run_id or ""
        self._task = task
        self._tasks = tasks
        self._table = CheckpointTable(address.table, session.data)

    @staticmethod
    async def find(session: Session, address: TableAddress) -> RunItem:
        """The run at an address. Raises UsageError or CheckpointRefusedError if there is none."""
        if address.run_id is None:
            raise UsageError(f"{address} does not name a run", f"write {address}/RUN_ID")
        return await runs.get(CheckpointTable(address.table, session.data), address.run_id)

    async def result_of_ended(self) -> Result | None:
        """The result of a run that is complete, or of a task that is: nothing is left to do. Else None.

        Raises CheckpointRefusedError.
        """
        item = await runs.find(self._table, self._run_id)
        if item is None:
            return None
        self._check_tasks(item.tasks)
        if item.status != "complete":
            return None
        saved = await runs.load(self._table, self._run_id)
        async with self._blobs(item.archive) as blobs:
            store = TableStore(self._table, saved.spec, blobs)
            return await conclude(store, saved, StopRequest(), done=True)

    def _blobs(self, archive: str | None) -> AbstractAsyncContextManager[Blobs]:
        session = self.session
        return open_blobs(self._table, self._run_id, archive, session.services, session.clock.now)

    async def work(self, attempt: Attempt, settings: RunSettings, *, emit: Emit, stop: StopRequest) -> Result:
        """Create the run unless it is there, claim the task and do what is left of it. Raises RefireError."""
        item = await self.prepare(attempt, settings, emit=emit, stop=stop)
        return await self.continue_run(attempt, item, emit=emit, stop=stop)

    async def continue_run(self, attempt: Attempt, item: RunItem, *, emit: Emit, stop: StopRequest) -> Result:
        """Claim the task of a run that is there, and do what is left of it. Raises RefireError."""
        spec, now = item.spec, self.session.clock.now
        stop.subscribe(lambda: self._table.give_up_within(STOP_WITHIN_S))

        def say(claim: Claim) -> None:
            emit(Noticed(TASK_HELD.found(f"task {self._task} of run {self._run_id} is at {claim.owner}")))

        owner = claims.own_name()
        claim = await claims.take(self._table, self._run_id, self._task, owner, now=now, on_wait=say)
        async with self._blobs(item.archive) as blobs:
            store = TableStore(
                self._table, spec, blobs, task=self._task, claim=claim, keys=item.keys, clock=now
            )
            return await self._with_store(replace(attempt, spec=spec), store, claim, emit=emit, stop=stop)

    async def _with_store(
        self, attempt: Attempt, store: TableStore, claim: Claim, *, emit: Emit, stop: StopRequest
    ) -> Result:
        spec = attempt.spec
        attempt = replace(attempt, resumed=claim.epoch > 1)
        if claim.finished:
            saved = await store.load()
            done = saved.finished_segments == spec.total_segments and not saved.open_pages
            if done:  # the last task may have been lost just before it could say so
                await store.save_status("complete")
            return await conclude(store, saved, StopRequest(), done=done, others=not done)
        try:
            return await self._claimed(attempt, store, claim, emit=emit, stop=stop)
        except BaseExceptionGroup as group:
            raise alone(group) from group

    async def _claimed(
        self, attempt: Attempt, store: TableStore, claim: Claim, *, emit: Emit, stop: StopRequest
    ) -> Result:
        """The attempt, while a second task keeps the claim: where that fails, the run stops."""
        total = attempt.spec.total_segments
        await store.claim_segments(list(segments_of(total, self._task, self._tasks)))

        keeper = claims.Keeper(self._table, self._run_id, self._task, claim, now=self.session.clock.now)
        group = Group(
            self._task,
            self._tasks,
            claim.epoch * NUMBERS_PER_EPOCH + self._task,
            TableRecord(self._table, self._run_id),
            keeper.in_force,
            partial(read_rate, self._table, self._run_id),
        )
        attempt = replace(attempt, group=group)

        async def keep() -> None:
            try:
                await keeper.keep()
            except RefireError as error:
                stop.request("error", error)

        async with anyio.create_task_group() as background:
            background.start_soon(keep)
            result = await run_attempt(self.session, attempt, store, emit=emit, stop=stop)
            background.cancel_scope.cancel()
        finished = stop.reason is None and stop.error is None and result.exit_code in (0, 4)
        await claims.release(self._table, self._run_id, self._task, claim, finished=finished)
        return result

    async def prepare(
        self, attempt: Attempt, settings: RunSettings, *, emit: Emit, stop: StopRequest
    ) -> RunItem:
        """The run, which this process creates if it is the first.

        The input of a list is read only then: other tasks have the list of the run, and may be where the input is not.

        Raises RefireError.
        """
        _check_selection(attempt.spec.selection)
        spec = attempt.spec
        item = await runs.find(self._table, self._run_id)
        if item is None:
            with (
                tempfile.TemporaryDirectory(prefix="refire-")
                if spec.selection.listed
                else nullcontext() as folder
            ):
                keys = None
                if folder is not None:
                    imports = ImportContext(self.session.services, emit, stop, settings.ignore)
                    async with self._blobs(settings.archive) as blobs:
                        spec, keys = await self._import(attempt, Path(folder) / "list", imports, blobs)
                connection = configured(settings.connection)
                made = await runs.create(
                    self._table,
                    spec,
                    connection,
                    self._tasks,
                    self.session.clock.now(),
                    keys=keys,
                    archive=settings.archive,
                )
            item = await runs.get(self._table, self._run_id)
            if made:
                return item
        self._check_tasks(item.tasks)
        check_archive(item, settings.archive)
        if spec.selection.listed:
            same = item.spec.selection
            spec = replace(
                spec,
                total_segments=item.spec.total_segments,
                selection=replace(spec.selection, fingerprint=same.fingerprint),
            )
        adopt(self._address, item, settings, spec)
        return item

    async def _import(
        self, attempt: Attempt, path: Path, imports: ImportContext, blobs: Blobs
    ) -> tuple[RunSpec, SavedList]:
        """Make the list of keys at `path`, and write it to the blobs of the run. Raises RefireError."""
        spec = await import_keys(attempt.spec, attempt.table, path, imports)
        found = await to_thread.run_sync(open_list, path)
        # Another process may do the same now: the list of the one that creates the run counts.
        saved = SavedList(secrets.token_hex(4), found.items, found.size, found.crc32)
        await write_list(blobs, path, saved)
        return spec, saved

    def _check_tasks(self, tasks: int) -> None:
        if tasks != self._tasks:
            raise CheckpointRefusedError(
                f"run {self._run_id} has {tasks} tasks, not {self._tasks}", f"give --tasks {tasks}"
            )
