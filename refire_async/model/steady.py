"""The clock of leases and claims."""

import sys
import time

_CLOCK = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC


def steady() -> float:
    """Seconds of a clock that cannot be set, and that also runs while the machine is suspended."""
    return time.clock_gettime(_CLOCK)
