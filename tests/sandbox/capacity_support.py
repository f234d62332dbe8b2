"""Tables of the capacity model on a clock that moves by hand, and traffic for them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from refire_async.sandbox.capacity.model import IndexArm, TableCapacity
from refire_async.sandbox.capacity.reasons import Reason
from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.capacity.specs import Provisioned, ResourceSpec, Throughput
from refire_async.sandbox.clock import VirtualClock

ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/Orders"
NO_BURST = CapacitySettings(burst_seconds=0, split_after=None)
KeySource = Callable[[], int]


def make(
    throughput: Throughput,
    *,
    partitions: int | None = None,
    indexes: Mapping[str, ResourceSpec] | None = None,
    settings: CapacitySettings = NO_BURST,
) -> tuple[TableCapacity, VirtualClock]:
    """A new table; without burst or splits unless ``settings`` say otherwise."""
    clock = VirtualClock()
    spec = ResourceSpec(throughput, partitions=partitions)
    return TableCapacity(clock, ARN, spec, indexes=indexes, settings=settings), clock


def writes(write: float) -> Provisioned:
    """Provisioned throughput of a table without reads."""
    return Provisioned(read=1, write=write)


def uniform(seed: int = 1) -> KeySource:
    """Hashes spread over the whole range."""
    rng = random.Random(seed)
    return lambda: rng.getrandbits(64)


def one_of(*hashes: int, seed: int = 1) -> KeySource:
    """One of these hot keys each time."""
    rng = random.Random(seed)
    return lambda: rng.choice(hashes)


def hammer(
    table: TableCapacity,
    clock: VirtualClock,
    seconds: float,
    *,
    keys: KeySource,
    rate: float,
    units: float = 1,
    index_arms: Callable[[int], tuple[IndexArm, ...]] = lambda _hash64: (),
    step: float = 0.01,
) -> tuple[float, dict[Reason, int]]:
    """Try ``rate`` writes a second, evenly, and never again what was refused.

    Returns the table units admitted and the refusals by reason.
    """
    admitted = 0.0
    refused: dict[Reason, int] = {}
    for _ in range(round(seconds / step)):
        clock.advance(step)
        for _ in range(round(rate * step)):
            key = keys()
            throttle = table.admit_write(key, units, index_arms(key))
            if throttle is None:
                admitted += units
            else:
                refused[throttle.reason] = refused.get(throttle.reason, 0) + 1
    return admitted, refused
