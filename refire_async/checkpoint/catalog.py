"""Where checkpoints live, and which there are."""

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from refire_async.checkpoint.lock import is_locked, lock_path
from refire_async.checkpoint.reading import SavedRun, peek_with
from refire_async.checkpoint.recording import read_expected
from refire_async.errors import CheckpointRefusedError, UsageError
from refire_async.folders import state_folder
from refire_async.model.run import RunStatus

SUFFIX = ".refire"

LATEST = "latest"
"""Stands for the run that was at work last, where no run is called so."""

MOST_NAMED = 5
MOST_READ = 0.999
"""Of the selection, before the run is complete: what is expected is an estimate."""

BELONGINGS = (".keys", "", "-wal", "-shm")
"""Ends of the names of files that are a checkpoint: the list of a run over keys first, which is of no use alone."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One line of `refire status`. `updated_at` is ISO 8601 in UTC.

    `share` of the selection that is read, as far as it can be told; None where it cannot. `failed` items could not be
    touched. `kept_files` are lists of keys that the run left for a later one.
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


@dataclass(frozen=True, slots=True)
class Listing:
    """The runs of a folder, newest first, and why some of its files could not be read (one line each)."""

    runs: list[RunInfo]
    unreadable: list[str]


def runs_folder() -> Path:
    """Where checkpoints are by default. Nothing is made."""
    return state_folder() / "runs"


def default_folder() -> Path:
    """The user's folder for checkpoints, made with mode 0700 where it is missing. Raises UsageError."""
    folder = runs_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the checkpoint folder {folder}: {error.strerror}", "name a file with --checkpoint"
        ) from None
    return folder


def path_of(run_id: str) -> Path:
    """Where the checkpoint of `run_id` lives by default."""
    return default_folder() / f"{run_id}{SUFFIX}"


def find(run_id: str) -> Path:
    """The checkpoint in the default folder of the run of that id, of the only one that begins so, or of the `latest`.

    Raises UsageError if there is none, or more than one.
    """
    path = path_of(run_id)
    if path.exists():
        return path
    if run_id == LATEST and (runs := survey().runs):
        return runs[0].checkpoint
    found = sorted(path.parent.glob(f"{glob.escape(run_id)}*{SUFFIX}"))
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{len(found)} runs begin with {run_id}: {_some(one.name.removesuffix(SUFFIX) for one in found)}",
            "give more of the id",
        )
    raise UsageError(f"there is no run {run_id}", "see 'refire status', or name its file with --checkpoint")


def only_stopped() -> Path:
    """The checkpoint of the only run in the default folder that can be resumed. Raises UsageError."""
    stopped = [run for run in survey().runs if run.status == "stopped"]
    if len(stopped) == 1:
        return stopped[0].checkpoint
    if stopped:
        raise UsageError(
            f"{len(stopped)} runs can be resumed: {_some(run.run_id for run in stopped)}",
            "give the RUN_ID of one; refire status lists them",
        )
    raise UsageError(
        "no run given, and there is none that can be resumed",
        "give its RUN_ID or its --checkpoint; refire status lists runs",
    )


def _some(names: Iterable[str]) -> str:
    """The first few of many names."""
    few = [*islice(names, MOST_NAMED + 1)]
    return ", ".join(few[:MOST_NAMED]) + (" …" if len(few) > MOST_NAMED else "")


def share_read(saved: SavedRun, expected: int | None) -> float | None:
    """How much of the selection is read, from 0 to 1: by segments or by items, whichever says more.

    `expected` is how many items the selection may have. Never all before the run is complete.
    """
    if saved.status == "complete":
        return 1.0
    shares = []
    if saved.spec.total_segments > 1:
        shares.append(saved.finished_segments / saved.spec.total_segments)
    if expected:
        shares.append(saved.counts.scanned / expected)
    return min(max(shares), MOST_READ) if shares else None


def status_of(path: Path, saved: SavedRun) -> RunStatus:
    """Where a run stands: one whose process has died could not say that it is stopped."""
    return "stopped" if saved.status == "running" and not is_locked(path) else saved.status


def describe(path: Path) -> RunInfo:
    """What a checkpoint says of itself. Raises CheckpointRefusedError."""
    saved, expected = peek_with(path, read_expected)
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
    )


def list_runs(folder: Path | None = None) -> list[RunInfo]:
    """The runs in `folder` (default: the user's), newest first. Files that are no checkpoints are left out."""
    return survey(folder).runs


def survey(folder: Path | None = None) -> Listing:
    """The runs in `folder` (default: the user's), and what is there but cannot be read."""
    runs, unreadable = [], []
    for path in (folder or default_folder()).glob(f"*{SUFFIX}"):
        try:
            runs.append(describe(path))
        except CheckpointRefusedError as error:
            unreadable.append(str(error))
    return Listing(sorted(runs, key=lambda run: run.updated_at, reverse=True), sorted(unreadable))


def discard(path: Path) -> None:
    """Remove a checkpoint with all that belongs to it but the lists of keys. Hold its lock.

    The lock goes last: whoever is waiting for it finds no half of a checkpoint.
    """
    real = path.resolve()
    for end in BELONGINGS:
        real.with_name(real.name + end).unlink(missing_ok=True)
    lock_path(real).unlink(missing_ok=True)
