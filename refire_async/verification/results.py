"""Results by partition; a partition is reconciled again only after more records of it arrived."""

from array import array
from collections.abc import Callable, Iterable
from functools import partial

from refire_async.model.proof import ProofCounts
from refire_async.verification.judge import judge
from refire_async.verification.reconcile import MAX_CLOCK_SKEW_S
from refire_async.verification.spill import Spill


class Results:
    """The result of each partition of a spill that contains all expected rows.

    A result depends only on the rows of its partition, so it stays valid until another observed row is added there.
    Memory: 8 bytes per missing item. Use it in the thread of the spill.
    """

    def __init__(
        self,
        spill: Spill,
        ended: float | None,
        *,
        late_s: float = MAX_CLOCK_SKEW_S,
        markers_are_older: bool = False,
    ) -> None:
        """`ended`, `late_s` and `markers_are_older` are those of `reconcile`."""
        self._spill = spill
        self._judge = partial(judge, ended=ended, late_s=late_s, markers_are_older=markers_are_older)
        self._counts = [ProofCounts() for _ in range(spill.partitions)]
        self._missing = [array("Q") for _ in range(spill.partitions)]
        self._reconciled_at = [-1] * spill.partitions
        """Number of observed rows that the result of each partition is based on."""

    def reconcile(self, on_partition: Callable[[int], None] = lambda _partition: None) -> None:
        """Reconcile every partition whose result is out of date.

        Calls `on_partition` with the number of each before.
        """
        self._reconcile(range(self._spill.partitions), on_partition)

    def reconcile_missing(self) -> None:
        """Reconcile only partitions with missing items: in others, late records can only make items doubled."""
        self._reconcile(
            (number for number, counts in enumerate(self._counts) if counts.missing), lambda _: None
        )

    @property
    def counts(self) -> ProofCounts:
        """The sum of all results."""
        total = ProofCounts()
        for counts in self._counts:
            total.add(counts)
        return total

    def missing_bits(self, expected: int) -> bytearray:
        """One bit for each of the `expected` numbered rows: set if its item is missing from the stream."""
        bits = bytearray((expected + 7) // 8)
        for numbers in self._missing:
            for number in numbers:
                bits[number >> 3] |= 1 << (number & 7)
        return bits

    def _reconcile(self, partitions: Iterable[int], on_partition: Callable[[int], None]) -> None:
        spill = self._spill
        for partition in partitions:
            observed = spill.count_observed(partition)
            if self._reconciled_at[partition] == observed:
                continue
            on_partition(partition)
            missing = array("Q")
            self._counts[partition] = self._judge(
                spill.expected(partition), spill.observed(partition), on_missing=missing.append
            )
            self._missing[partition] = missing
            self._reconciled_at[partition] = observed
