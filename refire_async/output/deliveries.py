"""Output of `refire status` about replays and redrives; as text and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from refire_async.delivery.catalog import DeliveryInfo
from refire_async.output.runs import describe_status
from refire_async.output.text import count, visible


def delivery_entry(info: DeliveryInfo) -> dict[str, Any]:
    """One delivery of `refire status --json`."""
    saved = info.saved
    return {
        "run_id": saved.spec.run_id,
        "command": saved.spec.command,
        "source": saved.spec.source,
        "function": saved.spec.function,
        "status": info.status,
        **asdict(saved.counts),
        "seconds": round(saved.seconds, 3),
        "updated_at": saved.updated_at,
        "checkpoint": str(info.checkpoint),
        "failed_records_file": None if info.failed_records_file is None else str(info.failed_records_file),
        "may_have_run_twice": list(info.may_have_run_twice),
    }


def delivery_lines(deliveries: Sequence[DeliveryInfo]) -> list[str]:
    """Two lines for each: the id for copying, and below it what it is and how far."""
    lines: list[str] = []
    for info in deliveries:
        spec, counts = info.saved.spec, info.saved.counts
        status = describe_status(info.status, counts.failed)
        lines += [
            visible(spec.run_id),
            visible(
                f"  {spec.command} of {spec.source} to {spec.function}: {status}, "
                f"{count(counts.delivered)} delivered, {info.saved.updated_at[:16].replace('T', ' ')}"
            ),
        ]
    return lines


def delivery_details(info: DeliveryInfo) -> list[str]:
    """All that the ledger of one delivery says."""
    rows = [(name, value) for name, value in delivery_entry(info).items() if name != "may_have_run_twice"]
    lines = [visible(f"{name.replace('_', ' '):<20} {value}") for name, value in rows if value is not None]
    if info.may_have_run_twice:
        lines += ["", "These batches may have run twice, since their answers were lost:"]
        lines += [visible(f"  {batch}") for batch in info.may_have_run_twice]
    return lines
