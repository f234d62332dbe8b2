"""Rates as text: `20%` of the table's capacity, `3000` WCU/s, `pause`. Pure."""

import re
from dataclasses import dataclass, replace

from refire_async.errors import UsageError
from refire_async.settings import Budget

_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
_PAUSES = ("pause", "off")
_ACTION = "write 20% (of the table's capacity), 3000 (write units a second) or pause"


@dataclass(frozen=True, slots=True)
class Rate:
    """Either `percent` of the capacity of the table and its indexes, or `wcu` units per second. Neither: a pause."""

    percent: float | None = None
    wcu: float | None = None

    @property
    def paused(self) -> bool:
        """Whether it is a pause."""
        return self.percent is None and self.wcu is None

    def budget(self, options: Budget, set_by: str) -> Budget:
        """The budget of this rate. Limits on reads and on items per second remain those of `options`.

        Raises:
            ValueError: the rate is a pause.
        """
        if self.percent is not None:
            return replace(options, wcu_percent=self.percent, max_wcu=None, set_by=set_by)
        if self.wcu is not None:
            return replace(options, max_wcu=self.wcu, set_by=set_by)
        raise ValueError("a pause has no budget")

    def __str__(self) -> str:
        """As the user writes it."""
        if self.percent is not None:
            return f"{self.percent:.12g}%"
        return "pause" if self.wcu is None else f"{self.wcu:.12g}"


PAUSE = Rate()


def parse_rate(text: str) -> Rate:
    """Parse a rate.

    Raises:
        UsageError: `text` is no rate; the message begins with the cause.
    """
    if text.lower() in _PAUSES:
        return PAUSE
    number = text.removesuffix("%")
    if not _NUMBER.fullmatch(number) or float(number) == 0:
        raise UsageError(f"{text[:40]!r} is not a rate", _ACTION)
    if number == text:
        return Rate(wcu=float(number))
    if float(number) > 100:
        raise UsageError(f"{text[:40]!r} is more than 100% of the capacity", _ACTION)
    return Rate(percent=float(number))
