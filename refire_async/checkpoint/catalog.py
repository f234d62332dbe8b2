"""Where checkpoints live, and which there are."""

from dataclasses import dataclass
from pathlib import Path

import platformdirs

from refire_async.checkpoint.lock import is_locked
from refire_async.checkpoint.store import peek
from refire_async.errors import CheckpointRefusedError, UsageError
from refire_async.model.run import RunStatus

SUFFIX = ".refire"


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One line of `refire status`. `updated_at` is ISO 8601 in UTC."""

    run_id: str
    table: str
    status: RunStatus
    touched: int
    updated_at: str
    checkpoint: Path


def default_folder() -> Path:
    """The user's folder for checkpoints, made with mode 0700 where it is missing. Raises UsageError."""
    folder = Path(platformdirs.user_state_dir("refire", appauthor=False)) / "runs"
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
    return RunInfo(saved.spec.run_id, saved.spec.table, status, saved.counts.touched, saved.updated_at, path)


def list_runs(folder: Path | None = None) -> list[RunInfo]:
    """The runs in `folder` (default: the user's), newest first. Files that are no checkpoints are left out."""
    runs = []
    for path in (folder or default_folder()).glob(f"*{SUFFIX}"):
        try:
            runs.append(describe(path))
        except CheckpointRefusedError:
            continue
    return sorted(runs, key=lambda run: run.updated_at, reverse=True)
