"""The limit that the user set on the number of items (`--max-items`), shared by all readers."""

import anyio


class Quota:
    """Lends items to read; what a page did not hold is given back to others who wait for it."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit
        self._lent = 0
        self._changed = anyio.Event()

    async def take(self, wanted: int) -> int:
        """Up to `wanted` items; 0 when the limit is reached for good."""
        while self._left == 0 and self._lent:
            await self._changed.wait()
        if self._left is None:
            return wanted
        granted = min(wanted, self._left)
        self._left -= granted
        self._lent += granted
        return granted

    def settle(self, granted: int, used: int) -> None:
        """Of `granted` items `used` were read."""
        if self._left is None:
            return
        self._lent -= granted
        self._left += granted - used
        self._changed.set()
        self._changed = anyio.Event()
