"""Lists the deliveries whose ledgers are in a folder, for `refire status`."""

from dataclasses import dataclass
from pathlib import Path

from refire_async.checkpoint import catalog
from refire_async.checkpoint.catalog import SUFFIX, RunInfo, default_folder
from refire_async.checkpoint.lock import is_locked
from refire_async.checkpoint.read_only import holds_delivery
from refire_async.delivery.failures import failures_path
from refire_async.delivery.saved import SavedDelivery, peek
from refire_async.errors import CheckpointRefusedError
from refire_async.model.run import RunStatus


@dataclass(frozen=True, slots=True)
class DeliveryInfo:
    """A delivery as `refire status` shows it. `failed_records_file` is None if there is none.

    `may_have_run_twice` names, one line each, the batches whose outcome is unknown.
    """

    saved: SavedDelivery
    status: RunStatus
    checkpoint: Path
    failed_records_file: Path | None
    may_have_run_twice: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeliveryListing:
    """The deliveries of a folder, newest first, and one line for each ledger that cannot be read."""

    deliveries: list[DeliveryInfo]
    unreadable: list[str]


def describe(path: Path) -> DeliveryInfo:
    """Read a ledger, while a delivery may be using it. Raises CheckpointRefusedError.

    A delivery whose process died is still marked as running, but its lock is free: it is stopped.
    """
    saved = peek(path)
    running = saved.status == "running" and is_locked(path)
    status: RunStatus = "stopped" if saved.status == "running" and not running else saved.status
    failures = failures_path(path)
    doubtful = saved.doubtful if running else (*saved.doubtful, *saved.in_flight)
    return DeliveryInfo(
        saved, status, path, failures if failures.exists() else None, tuple(map(str, doubtful))
    )


def as_run(path: Path) -> RunInfo:
    """A delivery in the form of a run, for what removes either. Raises CheckpointRefusedError."""
    info = describe(path)
    spec = info.saved.spec
    return RunInfo(
        run_id=spec.run_id,
        table=spec.table or spec.source,
        status=info.status,
        touched=0,
        updated_at=info.saved.updated_at,
        checkpoint=path,
        kept_files=() if info.failed_records_file is None else (info.failed_records_file,),
        failed=info.saved.counts.failed,
    )


def describe_any(path: Path) -> RunInfo:
    """A run or a delivery, by what the file holds. Raises CheckpointRefusedError."""
    return as_run(path) if holds_delivery(path) else catalog.describe(path)


def list_deliveries(folder: Path | None = None) -> DeliveryListing:
    """The deliveries in `folder` (default: the user's), and the ledgers that cannot be read."""
    deliveries, unreadable = [], []
    for path in (folder or default_folder()).glob(f"*{SUFFIX}"):
        if not holds_delivery(path):
            continue  # checkpoint/catalog.py lists the others
        try:
            deliveries.append(describe(path))
        except CheckpointRefusedError as error:
            unreadable.append(str(error))
    newest_first = sorted(deliveries, key=lambda one: one.saved.updated_at, reverse=True)
    return DeliveryListing(newest_first, sorted(unreadable))
