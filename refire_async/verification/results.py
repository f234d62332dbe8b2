"""What became of all items, judged by partition, and again only where something has come that could change it."""

from array import array
from collections.abc import Callable, Iterable
from functools import partial

from refire_async.model.proof import ProofCounts
from refire_async.verification.reconcile import CLOCKS_S, judge
from refire_async.verification.spill import Spill


class Verdicts:
    """The verdict on each partition of a spill to which all claims were added.

    A verdict depends on a partition's claims and changes alone, so it stands until another change is added there.
    Memory: 8 bytes for each missing item. To be used in the spill's thread.
    """

    def __init__(
        self, spill: Spill, ended: float | None, *, late_s: float = CLOCKS_S, older: bool = False
    ) -> None:
        """`ended`, `late_s` and `older` are as `judge` has them."""
        self._spill = spill
        self._judge_one = partial(judge, ended=ended, late_s=late_s, older=older)
        self._tallies = [ProofCounts() for _ in range(spill.partitions)]
        self._missing = [array("Q") for _ in range(spill.partitions)]
        self._judged = [-1] * spill.partitions
        """Changes that the verdict rests on."""

    def judge(self, at_work: Callable[[int], None] = lambda _partition: None) -> None:
        """Judge every partition whose verdict may not be true any more; `at_work` is told each one before."""
        self._judge(range(self._spill.partitions), at_work)

    def judge_missing(self) -> None:
        """Only where something is missing: late records for others may make them doubled, but nothing complete."""
        self._judge((number for number, tally in enumerate(self._tallies) if tally.missing), lambda _: None)

    @property
    def tally(self) -> ProofCounts:
        """The sum of all verdicts."""
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

    def _judge(self, partitions: Iterable[int], at_work: Callable[[int], None]) -> None:
        spill = self._spill
        for partition in partitions:
            changes = spill.changes_in(partition)
            if self._judged[partition] == changes:
                continue
            at_work(partition)
            missing = array("Q")
            self._tallies[partition] = self._judge_one(
                spill.claims(partition), spill.changes(partition), missing=missing.append
            )
            self._missing[partition] = missing
            self._judged[partition] = changes
