"""Results by partition; a partition is reconciled again only after more records of it arrived."""

from array import array
from collections.abc import Callable, Iterable
from functools import partial

from refire_async.model.proof import ProofCounts
from refire_async.verification.reconcile import CLOCKS_S, reconcile
from refire_async.verification.spill import Spill


class Results:
    """The verdict on each partition of a spill to which all claims were added.

    A verdict depends on a partition's claims and changes alone, so it stands until another change is added there.
    Memory: 8 bytes for each missing item. To be used in the spill's thread.
    """

    def __init__(
        self, spill: Spill, ended: float | None, *, late_s: float = CLOCKS_S, older: bool = False
    ) -> None:
        """`ended`, `late_s` and `older` are those of `reconcile`."""
        self._spill = spill
        self._reconcile_one = partial(reconcile, ended=ended, late_s=late_s, older=older)
        self._tallies = [ProofCounts() for _ in range(spill.partitions)]
        self._missing = [array("Q") for _ in range(spill.partitions)]
        self._reconciled_at = [-1] * spill.partitions
        """Number of changes that the result of each partition is based on."""

    def reconcile(self, at_work: Callable[[int], None] = lambda _partition: None) -> None:
        """Judge every partition whose verdict may not be true any more; `at_work` is told each one before."""
        self._reconcile(range(self._spill.partitions), at_work)

    def reconcile_missing(self) -> None:
        """Only where something is missing: late records for others may make them doubled, but nothing complete."""
        self._reconcile(
            (number for number, tally in enumerate(self._tallies) if tally.missing), lambda _: None
        )

    @property
    def tally(self) -> ProofCounts:
        """The sum of all results."""
        total = ProofCounts()
        for tally in self._tallies:
            total.add(tally)
        return total

    def gone(self, claims: int) -> bytearray:
        """A bit for each of so many claims: set where nothing in the stream bears it out."""
        bits = bytearray((claims + 7) // 8)
        for numbers in self._missing:
            for number in numbers:
                bits[number >> 3] |= 1 << (number & 7)
        return bits

    def _reconcile(self, partitions: Iterable[int], at_work: Callable[[int], None]) -> None:
        spill = self._spill
        for partition in partitions:
            changes = spill.changes_in(partition)
            if self._reconciled_at[partition] == changes:
                continue
            at_work(partition)
            missing = array("Q")
            self._tallies[partition] = self._reconcile_one(
                spill.claims(partition), spill.changes(partition), missing=missing.append
            )
            self._missing[partition] = missing
            self._reconciled_at[partition] = changes
