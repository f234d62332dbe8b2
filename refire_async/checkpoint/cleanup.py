"""Removes finished runs, and only those that may be removed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from refire_async.checkpoint import catalog
from refire_async.checkpoint.catalog import RunInfo
from refire_async.checkpoint.lock import locked
from refire_async.errors import CheckpointRefusedError


@dataclass(frozen=True, slots=True)
class Kept:
    """A run that is not removed, with the reason in a few words."""

    run: RunInfo
    reason: str


def why_kept(run: RunInfo) -> str | None:
    """Why `run` must not be removed; None if it may. Pure.

    A run whose list of failed or missing keys still exists is kept, because the list refers to its run.
    """
    if run.status == "running":
        return "it is running"
    if run.status != "complete":
        return "it can be resumed"
    if run.kept_files:
        return f"its list of keys is still there: {run.kept_files[0]}"
    return None


def split_removable(runs: Iterable[RunInfo]) -> tuple[list[RunInfo], list[Kept]]:
    """(runs that may be removed, runs that are kept)."""
    removable: list[RunInfo] = []
    kept: list[Kept] = []
    for run in runs:
        reason = why_kept(run)
        if reason is None:
            removable.append(run)
        else:
            kept.append(Kept(run, reason))
    return removable, kept


def refuse_running(run: RunInfo) -> None:
    """Raise CheckpointRefusedError if a process is working on the run."""
    if run.status == "running":
        raise CheckpointRefusedError(f"run {run.run_id} is running", "stop it first, or wait until it ends")


def forget(run: RunInfo) -> list[Path]:
    """Remove a run in any status, with its lists of keys. Returns the removed files.

    Raises CheckpointRefusedError if a process is working on it, or a file cannot be removed.
    """
    real = run.checkpoint.resolve()
    with locked(run.checkpoint):
        files = [*run.kept_files, *(real.with_name(real.name + end) for end in catalog.SUFFIXES)]
        removed = [path for path in files if path.exists()]
        try:
            for path in run.kept_files:
                path.unlink(missing_ok=True)
            catalog.discard(run.checkpoint)
        except OSError as error:
            raise CheckpointRefusedError(
                f"{error.filename} cannot be removed: {error.strerror}", "check the permissions of its folder"
            ) from None
        if run.checkpoint.is_symlink():
            run.checkpoint.unlink(missing_ok=True)
    return removed


def remove(run: RunInfo, describe: Callable[[Path], RunInfo] = catalog.describe) -> Kept | None:
    """Remove a finished run, unless its status has changed since it was listed: then return why it is kept.

    `describe` reads it again.
    """
    try:
        with locked(run.checkpoint):
            # This process holds the lock, so `describe` sees no other running process.
            reason = why_kept(describe(run.checkpoint))
            if reason is not None:
                return Kept(run, reason)
            catalog.discard(run.checkpoint)
    except CheckpointRefusedError as error:
        return Kept(run, error.message)
    except OSError as error:
        return Kept(run, f"it cannot be removed: {error.strerror}")
    return None
