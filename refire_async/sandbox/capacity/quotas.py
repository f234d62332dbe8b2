"""What CreateTable and UpdateTable refuse to provision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.capacity.specs import Provisioned


def quota_excess(
    table: Sequence[Provisioned], others: Iterable[Provisioned], settings: CapacitySettings
) -> str | None:
    """One line on the quota that provisioning ``table`` would exceed, None if it fits.

    ``table`` holds the throughput of the table and of each of its indexes as asked for, ``others`` that of
    all other provisioned tables and indexes (Developer Guide: Quotas: each table and index has a quota of its own,
    and all of an account together have another).
    """
    for throughput in table:
        for kind, asked, quota in (
            ("read", throughput.read, settings.quota_read_units),
            ("write", throughput.write, settings.quota_write_units),
        ):
            if asked > quota:
                return f"{asked:g} {kind} capacity units are above the quota of {quota:g} of a table or index"
    everything = (*table, *others)
    for kind, total, quota in (
        ("read", sum(throughput.read for throughput in everything), settings.account_read_units),
        ("write", sum(throughput.write for throughput in everything), settings.account_write_units),
    ):
        if total > quota:
            return f"{total:g} {kind} capacity units in all are above the account's quota of {quota:g}"
    return None
