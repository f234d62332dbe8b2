"""How a sitting ended: summary, exit code, and the file of what failed."""

from pathlib import Path

import orjson
from anyio import to_thread

from refire_async.checkpoint.saved import SavedRun
from refire_async.checkpoint.store import Store
from refire_async.errors import ExitCode
from refire_async.model.run import DryRun, Result, RunStatus, Summary
from refire_async.pipeline import StopRequest
from refire_async.private import replacing


async def conclude(store: Store, saved: SavedRun, stop: StopRequest, *, done: bool, dry: bool) -> Result:
    """The result of a sitting that left the checkpoint as `saved`; writes the failed-keys file where it is needed.

    `done`: the selection is settled to its end.
    """
    counts, totals = saved.counts, saved.totals
    status: RunStatus = "complete" if done else "stopped"
    failed_keys = None
    dry_run = None
    code, reason = exit_of(status, counts.failed, stop, wrote=counts.touched > 0)
    if dry:
        dry_run = DryRun(counts.touched, totals.wcu, totals.rcu, more=stop.reason == "limit")
        if stop.reason in (None, "limit"):
            status, code, reason = "dry-run", ExitCode.COMPLETE, None
    elif counts.failed:
        path = store.path.with_name(store.path.name + ".failed.jsonl")
        try:
            await to_thread.run_sync(_write_failures, path, store)
            failed_keys = str(path)
        except OSError as error:  # the run itself went as it went
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
        wcu=totals.wcu,
        rcu=totals.rcu,
        seconds=totals.seconds,
        checkpoint=None if dry else str(store.path),
        failed_keys_file=failed_keys,
    )
    return Result(summary, code, reason, dry_run)


def exit_of(status: RunStatus, failed: int, stop: StopRequest, *, wrote: bool) -> tuple[ExitCode, str | None]:
    """Exit code, and the reason in one line where the run ended before its end."""
    if status == "complete":
        return (ExitCode.SOME_FAILED if failed else ExitCode.COMPLETE), None
    if stop.error is not None:
        code = stop.error.exit_code
        if code is ExitCode.REFUSED and wrote:
            code = ExitCode.STOPPED  # no longer true that nothing was written
        return code, str(stop.error)
    reasons = {
        "interrupted": (ExitCode.INTERRUPTED, "interrupted"),
        "terminated": (ExitCode.STOPPED, "terminated"),
        "limit": (ExitCode.STOPPED, "the limit of --max-items is reached"),
    }
    return reasons.get(stop.reason or "", (ExitCode.STOPPED, "stopped"))


def _write_failures(path: Path, store: Store) -> None:
    """The failed-keys file: one JSON object per line, as `--keys-file` takes it. Mode 0600."""
    with replacing(path) as file:
        for failure in store.failures():
            line = {"key": failure.key, "code": failure.code, "reason": failure.reason}
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
