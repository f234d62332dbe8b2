"""The end of an attempt: summary, exit code, and the failed-keys file."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from refire_async.checkpoint.key_files import FAILED, MISSING, write_keys_in_blocks
from refire_async.checkpoint.reading import SavedRun
from refire_async.checkpoint.run_store import RunStore
from refire_async.errors import ExitCode, RefusedError
from refire_async.model.run import DryRun, Result, RunStatus, Summary
from refire_async.model.stop import StopRequest

PriceDryRun: TypeAlias = Callable[..., DryRun]
"""`forecast.dry_run.price_dry_run` for a table and its limits: takes `items`, `table_wcu`, `rcu` and `more`."""


def check_output_paths(checkpoint: Path) -> None:
    """Check before the first write that no folder has the name of an output file. Raises RefusedError."""
    for suffix in (FAILED, MISSING):
        path = checkpoint.with_name(checkpoint.name + suffix)
        if path.is_dir():
            raise RefusedError(
                f"{path} is a folder, but keys of failed or missing items go to a file of this name",
                "rename it, or name another file with --checkpoint",
            )


async def conclude(
    store: RunStore,
    saved: SavedRun,
    stop: StopRequest,
    *,
    done: bool,
    others: bool = False,
    price: PriceDryRun | None = None,
) -> Result:
    """Return the result of an attempt that left the checkpoint as `saved`, and write the failed-keys file if needed.

    `done`: every selected item has its outcome. `others`: this task is done, and other tasks of the run are not.
    `price`: for a dry run, estimates the real run.
    """
    counts, totals = saved.counts, saved.totals
    status: RunStatus = "complete" if done else "stopped"
    failed_keys = None
    dry_run = None
    code, reason = exit_code_of(status, counts.failed, stop, wrote=counts.touched > 0)
    if others:
        status, code, reason = "running", ExitCode.COMPLETE, None
    if price is not None:
        more = stop.reason == "limit"
        dry_run = price(items=counts.touched, table_wcu=totals.wcu, rcu=totals.rcu, more=more)
        if stop.reason in (None, "limit"):
            status, code, reason = "dry-run", ExitCode.COMPLETE, None
    elif counts.failed:
        path = store.outputs.with_name(store.outputs.name + FAILED)
        try:
            await _write_failures(path, store)
            failed_keys = str(path)
        except OSError as error:  # the result of the run itself is still valid
            reason = reason or f"the failed keys cannot be written to {path}: {error.strerror}"
    if code is ExitCode.REFUSED:
        status = "failed"
    summary = Summary(
        run_id=saved.spec.run_id,
        table=saved.spec.table,
        status=status,
        counts=counts,
        throttled=totals.throttled,
        retries=totals.retries,
        wcu=totals.wcu if dry_run is None else dry_run.wcu,
        rcu=totals.rcu,
        seconds=totals.seconds,
        checkpoint=None if price is not None else store.name,
        failed_keys_file=failed_keys,
    )
    nothing = describe_nothing(saved) if done else None
    return Result(summary, code, reason, dry_run=dry_run, nothing=nothing)


def describe_nothing(saved: SavedRun) -> str | None:
    """One line about what was read and its price, if the selection held no item to touch; else None."""
    counts, selection = saved.counts, saved.spec.selection
    price = f"{saved.totals.rcu:,.1f} RCU"
    if selection.listed and counts.scanned and counts.vanished == counts.scanned:
        return (
            f"none of the {counts.scanned:,} keys in the list is in the table; looking them up took {price}"
        )
    if counts.scanned:
        return None
    return f"nothing matched: {selection.describe()} was read for {price} and held no item to touch"


def exit_code_of(
    status: RunStatus, failed: int, stop: StopRequest, *, wrote: bool
) -> tuple[ExitCode, str | None]:
    """The exit code, and the reason in one line if the run stopped before its end."""
    if status == "complete":
        return (ExitCode.SOME_FAILED if failed else ExitCode.COMPLETE), None
    if stop.error is not None:
        code = stop.error.exit_code
        if code is ExitCode.REFUSED and wrote:
            code = ExitCode.STOPPED  # REFUSED would mean that nothing was written
        return code, str(stop.error)
    reasons = {
        "interrupted": (ExitCode.INTERRUPTED, "interrupted"),
        "terminated": (ExitCode.STOPPED, "terminated"),
        "limit": (ExitCode.STOPPED, "the limit of --max-items is reached"),
    }
    return reasons.get(stop.reason or "", (ExitCode.STOPPED, "stopped"))


async def _write_failures(path: Path, store: RunStore) -> None:
    """Write the failed-keys file: one JSON object per line, readable by `--keys-file`. Mode 0600. Raises OSError."""
    rows = ([asdict(failure) for failure in block] async for block in store.failures())
    await write_keys_in_blocks(path, rows)
