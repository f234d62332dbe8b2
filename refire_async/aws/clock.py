"""The service's clock, estimated from the `Date` headers of its answers. This machine's clock may be wrong.

Times that are compared with times of the service (signatures, stream records, metrics, expiry of items) use this clock.
Times in messages and delays do not.
"""

import math
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime


class ServiceClock:
    """This machine's clock (Unix time, s), corrected by the offset that answers show.

    A `Date` is a time between request and answer, rounded down to a second. So each limits the offset on both sides,
    and many limit it closely. While an offset of 0 is possible, the offset is 0: then both clocks are set correctly.
    """

    def __init__(self, wall: Callable[[], float] | None = None) -> None:
        # Looked up at each call: tests and benchmarks in virtual time replace `time.time`.
        self.wall = wall or (lambda: time.time())  # noqa: PLW0108
        """This machine's clock, uncorrected."""
        self.offset_s = 0.0
        self._low, self._high = -math.inf, math.inf
        self._text: str | None = None
        self._date_s = 0.0

    @property
    def known(self) -> bool:
        """Whether an answer has shown the service's time."""
        return self._text is not None

    def now(self) -> float:
        """The service's time (seconds since the epoch)."""
        return self.wall() + self.offset_s

    def learn(self, date: str | None, sent_s: float) -> None:
        """Use the `Date` header of an answer that has just arrived; `sent_s` is when its request was sent, by `wall`.

        A missing or invalid date is ignored. Limits that contradict the earlier ones replace them, because one of the
        clocks was set.
        """
        if date is None:
            return
        if date != self._text:
            try:
                self._date_s = parsedate_to_datetime(date).timestamp()
            except (ValueError, TypeError, OverflowError):
                return
            self._text = date
        low, high = self._date_s - self.wall(), self._date_s + 1.0 - sent_s
        self._low, self._high = max(self._low, low), min(self._high, high)
        if self._low > self._high:
            self._low, self._high = low, high
        agree = self._low <= 0.0 <= self._high
        self.offset_s = 0.0 if agree else (self._low + self._high) / 2
