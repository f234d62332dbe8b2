"""The capacity of one table and its indexes: what is admitted, what is throttled and why, and how it grows.

One ``TableCapacity`` per table, with an arm for the table (LSI units go there) and one per GSI. Nothing here
waits or does I/O; time comes from the clock alone. Not safe for threads: one loop owns a table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from refire_async.sandbox.capacity.reasons import Throttle
from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.clock import Clock


@dataclasses.dataclass(frozen=True, slots=True)
class Provisioned:
    """Provisioned throughput in units a second."""

    read: float
    write: float


@dataclasses.dataclass(frozen=True, slots=True)
class OnDemand:
    """On-demand mode with the OnDemandThroughput maxima, None where there is none."""

    max_read: float | None = None
    max_write: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ArmSpec:
    """What a table or GSI is made with.

    ``warm_read`` and ``warm_write`` are its WarmThroughput (0: none asked for). ``partitions`` sets the number of
    partitions at first; None takes it from capacity and ``size_bytes``.
    """

    throughput: Provisioned | OnDemand
    warm_read: float = 0
    warm_write: float = 0
    size_bytes: int = 0
    partitions: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class PartitionInfo:
    """One partition: it holds the hashes ``low <= hash64 < high``. ``parent`` is None for a first one."""

    id: int
    low: int
    high: int
    parent: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Split:
    """A partition was cut at ``boundary``: hashes below it went to ``children[0]``, the others to ``children[1]``.

    ``index`` is None for the table; ``at`` is in seconds since 1970. ``cause`` is "heat", "size" or "capacity".
    """

    index: str | None
    at: float
    parent: int
    children: tuple[int, int]
    boundary: int
    cause: str


WriteMember = tuple[int, float, Sequence[tuple[str, int, float]]]
"""One write of a batch: (hash64, table units, index arms), as the arguments of ``admit_write``."""


class TableCapacity:
    """Admission and accounting of one table.

    ``hash64`` everywhere is the 64-bit hash of a hash key value, 0 <= hash64 < 2**64; for an index arm, that of
    the index's own hash key. ``index`` None means the table.
    """

    splits: list[Split]
    """All splits so far, oldest first; it only grows. A stream compares its length with what it has seen."""

    def __init__(
        self,
        clock: Clock,
        arn: str,
        table: ArmSpec,
        *,
        indexes: dict[str, ArmSpec] | None = None,
        settings: CapacitySettings | None = None,
    ) -> None:
        """``arn`` is the table's; index ARNs are made from it."""
        raise NotImplementedError

    # Requests ----------------------------------------------------------------------------------------------

    def admit_write(
        self, hash64: int, table_units: float, index_arms: Sequence[tuple[str, int, float]] = ()
    ) -> Throttle | None:
        """Charge one write to the table and to every ``(index, hash64, units)``, or to none of them.

        Returns None when admitted, else the refusal of the first arm that has no room. An index entry that
        moves to another key is two arms of the same index. A write whose condition fails is admitted the same way,
        with ``failed_condition_units`` and no index arm.
        """
        raise NotImplementedError

    def admit_writes(self, writes: Sequence[WriteMember]) -> list[Throttle | None] | None:
        """``admit_write`` for each member in turn, with one reading of the clock.

        Returns None when all were admitted, else a list with one entry per member.
        """
        raise NotImplementedError

    def charge_write(
        self, hash64: int, table_units: float, index_arms: Sequence[tuple[str, int, float]] = ()
    ) -> None:
        """Charge a write that is done already and cannot be refused; the balance may go below zero."""
        raise NotImplementedError

    def check_read(self, index: str | None, hash64: int, expected_units: float = 1.0) -> Throttle | None:
        """Whether a read at this hash may go ahead: any balance left will do, as the cost is known only later.

        Nothing is charged. A refusal is counted in the statistics as ``expected_units``.
        """
        raise NotImplementedError

    def charge_read(self, index: str | None, hash64: int, units: float) -> None:
        """Charge what a read turned out to cost; the balance may go below zero. Call it for each partition touched."""
        raise NotImplementedError

    # Shape -------------------------------------------------------------------------------------------------

    def resize(self, index: str | None, throughput: Provisioned | OnDemand) -> None:
        """UpdateTable: another provisioned throughput, maximum or billing mode, from now on."""
        raise NotImplementedError

    def prewarm(self, index: str | None, read: float, write: float) -> None:
        """UpdateTable with WarmThroughput: at least this much is served at once. It never goes down."""
        raise NotImplementedError

    def add_index(self, name: str, spec: ArmSpec) -> None:
        """A GSI is there from now on. Raises ``ValueError`` if it exists already."""
        raise NotImplementedError

    def drop_index(self, name: str) -> None:
        """The GSI is gone. Raises ``KeyError`` if there is none of that name."""
        raise NotImplementedError

    def grow(self, index: str | None, hash64: int, delta_bytes: int) -> None:
        """Data was added (or removed) at this hash; a partition above its size limit is split."""
        raise NotImplementedError

    def partitions(self, index: str | None = None) -> tuple[PartitionInfo, ...]:
        """The partitions that are open now, in hash order; together they cover 0 to 2**64."""
        raise NotImplementedError

    def partition_id(self, hash64: int, index: str | None = None) -> int:
        """Id of the partition that holds this hash now."""
        raise NotImplementedError

    def warm_throughput(self, index: str | None = None) -> tuple[float, float]:
        """(read, write) units a second that can be served at once, as DescribeTable's WarmThroughput shows them."""
        raise NotImplementedError

    # Time --------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Let splits, growth and statistics catch up with the clock. Every request does so by itself, once a second."""
        raise NotImplementedError

    def stats(self) -> dict[str, Any]:
        """Accepted and throttled units of the last 600 seconds, ready for JSON (see ``capacity.stats``)."""
        raise NotImplementedError
