"""Finds checkpoints of other runs on the same table, so that their touches do not count as doubled."""

from collections.abc import Iterable
from pathlib import Path

from refire_async.checkpoint.catalog import SUFFIX
from refire_async.checkpoint.reading import SavedRun, peek
from refire_async.errors import CheckpointRefusedError
from refire_async.verification.moments import seconds_of
from refire_async.verification.reconcile import CLOCKS_S


def other_runs(saved: SavedRun, folders: Iterable[Path]) -> list[Path]:
    """Checkpoints in `folders` of other runs that counted up the same marker of the same table since `saved` began."""
    spec, since = saved.spec, seconds_of(saved.created_at) - CLOCKS_S
    found = []
    for path in sorted({path for folder in folders for path in folder.resolve().glob(f"*{SUFFIX}")}):
        try:
            other = peek(path)
        except CheckpointRefusedError:
            continue
        if (
            other.spec.run_id != spec.run_id
            and other.spec.table_id == spec.table_id
            and other.spec.marker.kind == spec.marker.kind == "revision"
            and other.spec.marker.attribute == spec.marker.attribute
            and seconds_of(other.updated_at) >= since
        ):
            found.append(path)
    return found
