"""Removing finished runs: what may go, and that nothing else does."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from refire_async.checkpoint import catalog
from refire_async.checkpoint.catalog import RunInfo
from refire_async.checkpoint.lock import locked
from refire_async.errors import CheckpointRefusedError


@dataclass(frozen=True, slots=True)
class Kept:
    """A run that stays, and why in a few words."""

    run: RunInfo
    reason: str


def why_kept(run: RunInfo) -> str | None:
    """Why `run` must not be removed; None if it may. Pure.

    The lists of keys that a run has left (failed ones) are somebody's work to do: as long as one is there its
    run stays, so that what they are about can be looked up.
    """
    if run.status == "running":
        return "it is running"
    if run.status != "complete":
        return "it can be resumed"
    if run.kept_files:
        return f"its list of keys is still there: {run.kept_files[0]}"
    return None


def sort_out(runs: Iterable[RunInfo]) -> tuple[list[RunInfo], list[Kept]]:
    """The runs that may be removed, and those that stay."""
    removable: list[RunInfo] = []
    kept: list[Kept] = []
    for run in runs:
        reason = why_kept(run)
        if reason is None:
            removable.append(run)
        else:
            kept.append(Kept(run, reason))
    return removable, kept


def refuse_at_work(run: RunInfo) -> None:
    """Raise CheckpointRefusedError for a run that a process works on."""
    if run.status == "running":
        raise CheckpointRefusedError(f"run {run.run_id} is at work", "stop it first, or wait for its end")


def forget(run: RunInfo) -> list[Path]:
    """Remove a run whatever it has left to do, with its lists of keys. Gives the files that are gone.

    Raises CheckpointRefusedError if a process works on it, or a file cannot be removed.
    """
    real = run.checkpoint.resolve()
    with locked(run.checkpoint):
        files = [*run.kept_files, *(real.with_name(real.name + end) for end in catalog.BELONGINGS)]
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


def remove(run: RunInfo) -> Kept | None:
    """Remove a finished run, unless it is no longer what it was when it was looked at: then say why it stays."""
    try:
        with locked(run.checkpoint):
            # Only we work on it now; `describe` would see our own lock as that of a running process.
            reason = why_kept(catalog.describe(run.checkpoint))
            if reason is not None:
                return Kept(run, reason)
            catalog.discard(run.checkpoint)
    except CheckpointRefusedError as error:
        return Kept(run, error.message)
    except OSError as error:
        return Kept(run, f"it cannot be removed: {error.strerror}")
    return None
