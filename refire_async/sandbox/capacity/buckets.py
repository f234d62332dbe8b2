"""The token bucket that every limit of the model is made of."""

from __future__ import annotations


class TokenBucket:
    """``rate`` units a second flow in, up to ``depth``; what is taken flows out. Times are monotonic seconds.

    Over any time t, ``take`` never grants more than ``rate * t + depth``, plus what a single request larger
    than the depth overdraws.
    """

    __slots__ = ("at", "balance", "depth", "rate")

    def __init__(self, rate: float, depth: float, *, balance: float = 0.0, at: float = 0.0) -> None:
        self.rate = rate
        self.depth = depth
        self.balance = balance
        self.at = at

    def take(self, now: float, units: float) -> bool:
        """Take all of ``units`` or nothing. A request larger than the depth needs a full bucket and overdraws it."""
        balance = self.balance + (now - self.at) * self.rate
        self.at = now
        depth = self.depth
        if balance >= depth:
            self.balance = depth - units
            return True
        if balance >= units:
            self.balance = balance - units
            return True
        self.balance = balance
        return False

    def give_back(self, units: float) -> None:
        """Undo a ``take`` of this moment."""
        self.balance += units

    def has_any(self, now: float) -> bool:
        """Whether anything is left; enough for a request whose cost is known only afterwards."""
        self._flow(now)
        return self.balance > 0

    def charge(self, now: float, units: float) -> None:
        """Take ``units`` that are spent already; the balance may go below zero."""
        self._flow(now)
        self.balance -= units

    def reshape(self, now: float, rate: float, depth: float) -> None:
        """Another rate and depth from now on; what does not fit any more is lost at the next request."""
        self._flow(now)
        self.rate = rate
        self.depth = depth

    def _flow(self, now: float) -> None:
        self.balance = min(self.depth, self.balance + (now - self.at) * self.rate)
        self.at = now
