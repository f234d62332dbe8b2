"""Latency as it is written on the command line and in fault files: ``5ms``, ``uniform:2ms,10ms``,
``lognormal:5ms,0.5``."""

from __future__ import annotations

import dataclasses
import math
import random
import re
from typing import Literal

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(us|ms|s)")
_FORMS = "write 5ms, uniform:2ms,10ms or lognormal:5ms,0.5 (median, sigma)"
_LONGEST = 3600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Latency:
    """A distribution of seconds.

    ``fixed``: always ``first``. ``uniform``: between ``first`` and ``second``. ``lognormal``: median ``first``;
    its logarithm has the standard deviation ``second``.
    """

    kind: Literal["fixed", "uniform", "lognormal"]
    first: float
    second: float = 0.0

    def sample(self, rng: random.Random) -> float:
        """Seconds of one request; the same sequence for the same seed."""
        if self.kind == "uniform":
            return rng.uniform(self.first, self.second)
        if self.kind == "lognormal":
            return self.first * math.exp(rng.gauss(0.0, self.second))
        return self.first


def parse_latency(text: str) -> Latency:
    """Raises ``ValueError`` with one line that says what is wrong and which forms there are."""
    kind, colon, rest = text.strip().partition(":")
    parts = [part.strip() for part in rest.split(",")]
    if not colon:
        return Latency("fixed", _seconds(kind, text))
    if kind == "uniform" and len(parts) == 2:
        low, high = _seconds(parts[0], text), _seconds(parts[1], text)
        if low > high:
            raise ValueError(f"latency {text!r}: {parts[0]} is more than {parts[1]}")
        return Latency("uniform", low, high)
    if kind == "lognormal" and len(parts) == 2:
        return Latency("lognormal", _seconds(parts[0], text), _sigma(parts[1], text))
    raise ValueError(f"latency {text!r} is not understood: {_FORMS}")


def _seconds(part: str, text: str) -> float:
    match = _DURATION.fullmatch(part)
    if match is None:
        raise ValueError(f"latency {text!r}: {part!r} is not a time like 5ms, 250us or 1.5s; {_FORMS}")
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > _LONGEST:
        raise ValueError(f"latency {text!r}: {part} is more than an hour")
    return seconds


def _sigma(part: str, text: str) -> float:
    try:
        sigma = float(part)
    except ValueError:
        sigma = math.nan
    if not 0 <= sigma <= 5:
        raise ValueError(f"latency {text!r}: sigma {part!r} is not a number from 0 to 5; {_FORMS}")
    return sigma
