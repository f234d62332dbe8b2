"""A set of byte strings in 8 bytes each: keys of a file, records that are the last of their key. Pure."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b


class DigestSet:
    """Knows its members by a 64-bit hash: one of 10^12 strings that are no members passes for one of 10 million."""

    def __init__(self, members: Iterable[bytes] = ()) -> None:
        self._added = array("Q", map(_digest, members))
        self._sorted = array("Q")

    def add(self, members: Iterable[bytes]) -> None:
        """Add members."""
        self._added.extend(map(_digest, members))

    def __len__(self) -> int:
        self._sort()
        return len(self._sorted)

    def __contains__(self, member: object) -> bool:
        if not isinstance(member, bytes):
            return False
        self._sort()
        digest = _digest(member)
        place = bisect_left(self._sorted, digest)
        return place < len(self._sorted) and self._sorted[place] == digest

    def _sort(self) -> None:
        if self._added:
            self._sorted = array("Q", sorted({*self._sorted, *self._added}))
            self._added = array("Q")


def _digest(member: bytes) -> int:
    return int.from_bytes(blake2b(member, digest_size=8).digest())
