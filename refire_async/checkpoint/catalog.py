"""Finds and lists the checkpoints of a folder."""

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from refire_async.checkpoint.lock import is_locked, lock_path
from refire_async.checkpoint.read_only import holds_delivery
from refire_async.checkpoint.reading import SavedRun, peek, peek_with
from refire_async.checkpoint.recording import read_expected, read_stream_arn
from refire_async.errors import CheckpointRefusedError, UsageError
from refire_async.folders import state_folder
from refire_async.model.address import TableAddress
from refire_async.model.other_run import OtherRun
from refire_async.model.run import RunStatus
from refire_async.model.table import Table

SUFFIX = ".refire"

LATEST = "latest"
"""Instead of a run id: the run that was updated last, unless a run has this id."""

MAX_NAMED = 5
MAX_SHARE = 0.999
"""Largest share of the selection before the run is complete, because the expected number of items is an estimate."""

SUFFIXES = (".keys", "", "-wal", "-shm")
"""Suffixes of the files of a checkpoint. The list of keys is removed first, because it is useless without the rest."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One line of `refire status`. `updated_at` is ISO 8601 in UTC.

    `share` is the share of the selection that is read, None if unknown. `failed` items could not be touched.
    `kept_files` are the lists of failed or missing keys. `address` is where a run in a table is, of which `checkpoint`
    is a copy. `region` and `account` are the table's, None if unknown.
    """

    run_id: str
    table: str
    status: RunStatus
    touched: int
    updated_at: str
    checkpoint: Path
    share: float | None = None
    items_per_second: float = 0.0
    kept_files: tuple[Path, ...] = ()
    failed: int = 0
    region: str | None = None
    account: str | None = None
    address: TableAddress | None = None

    @property
    def place(self) -> str:
        """Where the run is, as `--checkpoint` takes it."""
        return str(self.address or self.checkpoint)

    def is_of(self, table: str) -> bool:
        """Whether this is a run of `table`, a name or an ARN; region and account of an ARN count if they are known."""
        prefix, _, name = table.rpartition("/")
        if self.table.rpartition("/")[2] != name:
            return False
        if not prefix:
            return True
        _, _, _, region, account, _ = prefix.split(":", 5)
        return self.region in (None, region) and self.account in (None, account)


@dataclass(frozen=True, slots=True)
class Listing:
    """The runs of a folder, newest first, and one line for each file that cannot be read."""

    runs: list[RunInfo]
    unreadable: list[str]


def runs_folder() -> Path:
    """The default folder of checkpoints. It is not created."""
    return state_folder() / "runs"


def default_folder() -> Path:
    """The user's folder for checkpoints, created with mode 0700 if missing. Raises UsageError."""
    folder = runs_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot create the checkpoint folder {folder}: {error.strerror}",
            "choose a file with --checkpoint",
        ) from None
    return folder


def path_of(run_id: str) -> Path:
    """The default path of the checkpoint of `run_id`."""
    return default_folder() / f"{run_id}{SUFFIX}"


def find(run_id: str) -> Path:
    """The checkpoint of a run in the default folder, by its id, a unique prefix of it, or `latest`.

    Raises UsageError if there is none, or more than one.
    """
    path = path_of(run_id)
    if path.exists():
        return path
    if run_id == LATEST and (runs := list_runs().runs):
        return runs[0].checkpoint
    found = sorted(path.parent.glob(f"{glob.escape(run_id)}*{SUFFIX}"))
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{len(found)} run ids begin with {run_id}: {_first(one.name.removesuffix(SUFFIX) for one in found)}",
            "give more characters of the id",
        )
    raise UsageError(f"there is no run {run_id}", "see 'refire status', or give its file with --checkpoint")


def only_stopped() -> Path:
    """The checkpoint of the only run in the default folder that can be resumed. Raises UsageError."""
    stopped = [run for run in list_runs().runs if run.status == "stopped"]
    if len(stopped) == 1:
        return stopped[0].checkpoint
    if stopped:
        raise UsageError(
            f"{len(stopped)} runs can be resumed: {_first(run.run_id for run in stopped)}",
            "give the RUN_ID of one; refire status lists them",
        )
    raise UsageError(
        "no run given, and no run can be resumed",
        "give its RUN_ID or its --checkpoint; refire status lists runs",
    )


def _first(names: Iterable[str]) -> str:
    """The first few of many names."""
    few = [*islice(names, MAX_NAMED + 1)]
    return ", ".join(few[:MAX_NAMED]) + (" …" if len(few) > MAX_NAMED else "")


def share_read(saved: SavedRun, expected: int | None) -> float | None:
    """The share of the selection that is read, from 0 to 1: by segments or by items, whichever is larger.

    `expected` is the estimated number of items. The share is below 1 until the run is complete.
    """
    if saved.status == "complete":
        return 1.0
    shares = []
    if saved.spec.total_segments > 1:
        shares.append(saved.finished_segments / saved.spec.total_segments)
    if expected:
        shares.append(saved.counts.scanned / expected)
    return min(max(shares), MAX_SHARE) if shares else None


def status_of(path: Path, saved: SavedRun) -> RunStatus:
    """The status of a run. A run whose process died is still marked as running, but its lock is free: it is stopped."""
    return "stopped" if saved.status == "running" and not is_locked(path) else saved.status


def describe(path: Path) -> RunInfo:
    """Read a checkpoint for `refire status`. Raises CheckpointRefusedError."""
    saved, (expected, arn) = peek_with(path, lambda db: (read_expected(db), read_stream_arn(db)))
    region, account = (
        (*arn.split(":"), *[None] * 5)[3:5] if arn is not None else (saved.connection.region, None)
    )
    seconds = saved.totals.seconds
    return RunInfo(
        run_id=saved.spec.run_id,
        table=saved.spec.table,
        status=status_of(path, saved),
        touched=saved.counts.touched,
        updated_at=saved.updated_at,
        checkpoint=path,
        share=share_read(saved, expected),
        items_per_second=saved.counts.settled / seconds if seconds > 0 else 0.0,
        kept_files=tuple(sorted(path.parent.glob(f"{glob.escape(path.name)}.*.jsonl"))),
        failed=saved.counts.failed,
        region=region,
        account=account,
    )


def list_runs(folder: Path | None = None) -> Listing:
    """The runs in `folder` (default: the user's), and the files that cannot be read. Deliveries are left out."""
    runs, unreadable = [], []
    for path in (folder or default_folder()).glob(f"*{SUFFIX}"):
        if holds_delivery(path):
            continue  # delivery/catalog.py lists these
        try:
            runs.append(describe(path))
        except CheckpointRefusedError as error:
            unreadable.append(str(error))
    return Listing(sorted(runs, key=lambda run: run.updated_at, reverse=True), sorted(unreadable))


def discard(path: Path) -> None:
    """Remove all files of a checkpoint except the lists of failed and missing keys. The caller holds its lock.

    The lock file is removed last, so that a process that waits for the lock never sees part of a checkpoint.
    """
    real = path.resolve()
    for end in SUFFIXES:
        real.with_name(real.name + end).unlink(missing_ok=True)
    lock_path(real).unlink(missing_ok=True)


def unfinished_runs(table: Table, folders: Iterable[Path], own: Path | None) -> list[OtherRun]:
    """Running and stopped runs of `table` whose checkpoints are in `folders`, except the one in `own`.

    Tables are compared by TableId, because the same table can be named in several ways. Files that are no checkpoints
    of this user are ignored.
    """
    paths = {path.resolve() for folder in folders for path in folder.glob(f"*{SUFFIX}")}
    found = []
    for path in sorted(paths - ({own.resolve()} if own is not None else set())):
        try:
            saved = peek(path)
            if saved.status == "complete" or not _is_of(saved, table):
                continue
            working = status_of(path, saved) == "running"
        except CheckpointRefusedError:
            continue
        found.append(OtherRun(saved.spec.run_id, working, saved.counts.touched, saved.spec.selection))
    return found


def _is_of(saved: SavedRun, table: Table) -> bool:
    if saved.spec.table_id and table.table_id:
        return saved.spec.table_id == table.table_id
    return saved.spec.table.rpartition("/")[2] == table.name.rpartition("/")[2]
