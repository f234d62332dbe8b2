"""Delays before the next try: exponential backoff with full jitter and a ceiling.

Full jitter (a uniform draw below a bound that doubles) spreads the tries of many lanes best (AWS Architecture Blog:
Exponential backoff and jitter).
"""

import random

THROTTLE_BASE_S = 0.05
THROTTLE_CEILING_S = 3.0
FAILURE_BASE_S = 0.1
FAILURE_CEILING_S = 20.0


def full_jitter(attempt: int, base_s: float, ceiling_s: float, draw: random.Random) -> float:
    """Seconds to wait before attempt number `attempt` + 1; `attempt` counts from 1."""
    return draw.uniform(0.0, min(ceiling_s, base_s * 2.0 ** min(attempt, 30)))


def throttle_delay(attempt: int, draw: random.Random) -> float:
    """Seconds to wait after a request was throttled `attempt` times in a row."""
    return full_jitter(attempt, THROTTLE_BASE_S, THROTTLE_CEILING_S, draw)


def failure_delay(attempt: int, draw: random.Random) -> float:
    """Seconds to wait after `attempt` failures in a row that are not throttling."""
    return full_jitter(attempt, FAILURE_BASE_S, FAILURE_CEILING_S, draw)
