"""Runs of a table that are not over, as far as their checkpoints are at hand."""

from collections.abc import Iterable
from pathlib import Path

from refire_async.checkpoint.catalog import SUFFIX, status_of
from refire_async.checkpoint.reading import SavedRun, peek
from refire_async.errors import CheckpointRefusedError
from refire_async.model.other_run import OtherRun
from refire_async.model.table import Table


def unfinished_runs(table: Table, folders: Iterable[Path], own: Path | None) -> list[OtherRun]:
    """Runs of `table` in `folders` that are at work or were stopped half-way, but for the one in `own`.

    The TableId tells a table whatever its name is given as. What is no checkpoint of this user's is left out.
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
