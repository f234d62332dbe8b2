"""The service's clock, as far as the `Date` headers of its answers show it. This machine's may be set wrong.

Times that are compared with the service's own (signatures, stream records, metrics, expiry of items) are taken from
here. Times for people and waits are not.
"""

import math
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime


class ServiceClock:
    """This machine's clock (Unix time), corrected by what answers say.

    A `Date` is a whole second, cut off, of a moment between request and answer. So each bounds the offset from both
    sides, and many bound it closely. While the bounds allow for no offset there is none: clocks that are set agree.
    """

    def __init__(self, wall: Callable[[], float] | None = None) -> None:
        # Looked up at each call: tests and benchmarks in virtual time replace `time.time`.
        self.wall = wall or (lambda: time.time())  # noqa: PLW0108
        """This machine's clock as it is."""
        self.offset_s = 0.0
        self._low, self._high = -math.inf, math.inf
        self._text: str | None = None
        self._date_s = 0.0

    @property
    def known(self) -> bool:
        """Whether an answer has told the service's time."""
        return self._text is not None

    def now(self) -> float:
        """The service's time (seconds since the epoch)."""
        return self.wall() + self.offset_s

    def learn(self, date: str | None, sent_s: float) -> None:
        """Take in the `Date` header of an answer that has just come; `sent_s` is when its request was sent, by `wall`.

        A date that is missing or cannot be read is passed over. Bounds that contradict the earlier ones take their
        place: one of the clocks was set.
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
