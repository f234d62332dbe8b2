"""Where checkpoints live, and which there are."""

import glob
from dataclasses import dataclass
from pathlib import Path

from refire_async.checkpoint.lock import is_locked, lock_path
from refire_async.checkpoint.saved import peek
from refire_async.errors import CheckpointRefusedError, UsageError
from refire_async.folders import state_folder
from refire_async.model.run import RunStatus

SUFFIX = ".refire"

BELONGINGS = (".keys", "", "-wal", "-shm")
"""Ends of the names of files that are a checkpoint: the list of a run over keys first, which is of no use alone."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One line of `refire status`. `updated_at` is ISO 8601 in UTC.

    `share` of the selection that is read to its end, by segments; None where there is only one. `kept_files`
    are lists of keys that the run left for a later one.
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


@dataclass(frozen=True, slots=True)
class Listing:
    """The runs of a folder, newest first, and why some of its files could not be read (one line each)."""

    runs: list[RunInfo]
    unreadable: list[str]


def default_folder() -> Path:
    """The user's folder for checkpoints, made with mode 0700 where it is missing. Raises UsageError."""
    folder = state_folder() / "runs"
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
    """The checkpoint of a run in the default folder. Raises UsageError if there is none."""
    path = path_of(run_id)
    if not path.exists():
        raise UsageError(
            f"there is no run {run_id}", "see 'refire status', or name its file with --checkpoint"
        )
    return path


def describe(path: Path) -> RunInfo:
    """What a checkpoint says of itself. Raises CheckpointRefusedError."""
    saved = peek(path)
    status = saved.status
    if status == "running" and not is_locked(path):
        status = "stopped"  # its process died before it could say so
    share = saved.finished_segments / saved.spec.total_segments if saved.spec.total_segments > 1 else None
    seconds = saved.totals.seconds
    return RunInfo(
        run_id=saved.spec.run_id,
        table=saved.spec.table,
        status=status,
        touched=saved.counts.touched,
        updated_at=saved.updated_at,
        checkpoint=path,
        share=1.0 if status == "complete" else share,
        items_per_second=saved.counts.settled / seconds if seconds > 0 else 0.0,
        kept_files=tuple(sorted(path.parent.glob(f"{glob.escape(path.name)}.*.jsonl"))),
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
