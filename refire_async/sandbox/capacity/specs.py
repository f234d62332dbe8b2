"""Plain records that go in and out of the capacity model."""

from __future__ import annotations

import dataclasses
from typing import Literal

HASHES = 1 << 64
"""Hash keys are spread over 0 <= hash64 < HASHES."""


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


Throughput = Provisioned | OnDemand


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceSpec:
    """What a table or GSI is made with.

    ``warm_read`` and ``warm_write`` are its WarmThroughput (0: none asked for). ``partitions`` sets the number
    of partitions at first; None takes it from capacity and ``size_bytes``.
    """

    throughput: Throughput
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
    """A partition was cut: hashes below ``boundary`` went to ``children[0]``, the others to ``children[1]``.

    ``index`` is None for the table; ``at`` is in seconds since 1970.
    """

    index: str | None
    at: float
    parent: int
    children: tuple[int, int]
    boundary: int
    cause: Literal["heat", "size", "capacity"]
