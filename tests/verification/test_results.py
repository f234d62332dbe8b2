"""Reconciling only the partitions with new records gives the same result as reconciling everything."""

import tempfile
from hashlib import blake2b
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.proof import ProofCounts
from refire_async.verification.encoding import ABSENT, CERTAIN_TOUCH, TOUCHED, ExpectedRow, ObservedRow
from refire_async.verification.reconcile import reconcile
from refire_async.verification.results import Results
from refire_async.verification.spill import Spill
from tests.support.examples import examples

ENDED = 1_700_000_000.0
ITEMS = 40
KEYS = [blake2b(b"%d" % number, digest_size=16).digest() for number in range(ITEMS + 10)]
"""Of the expected rows, and of ten items that the run has not touched."""

EXPECTED: list[ExpectedRow] = [(KEYS[number], 3, 4, number, TOUCHED) for number in range(ITEMS)]

OBSERVED = st.tuples(
    st.sampled_from(KEYS),
    st.sampled_from([ABSENT, 3, 4, 5]),
    st.sampled_from([ABSENT, 4, 5, 9]),
    st.just(int(ENDED)),
    st.sampled_from([CERTAIN_TOUCH, CERTAIN_TOUCH & ~1, 2, 4, 0]),
)


def reconcile_all(observed: list[ObservedRow]) -> tuple[ProofCounts, set[int]]:
    """The result of reconciling everything at once."""
    missing: set[int] = set()
    return reconcile(EXPECTED, observed, ended=ENDED, on_missing=missing.add), missing


def numbers(bits: bytearray) -> set[int]:
    return {number for number in range(8 * len(bits)) if bits[number >> 3] >> (number & 7) & 1}


@examples(30, 500)
@given(st.lists(st.tuples(st.lists(OBSERVED, max_size=40), st.booleans()), max_size=5))
def test_reconciling_what_has_changed_is_reconciling_everything(
    rounds: list[tuple[list[ObservedRow], bool]],
) -> None:
    """The order of records and the reconciliations in between do not change the final result."""
    with tempfile.TemporaryDirectory() as folder, Spill(Path(folder), ITEMS) as spill:
        spill.add_expected(EXPECTED)
        results = Results(spill, ENDED)
        results.reconcile()
        assert (results.counts, numbers(results.missing_bits(ITEMS))) == reconcile_all([])
        observed: list[ObservedRow] = []
        for arrived, only_missing in rounds:
            spill.add_observed(arrived)
            observed += arrived
            if only_missing:
                results.reconcile_missing()
            else:
                results.reconcile()
                assert results.counts == reconcile_all(observed)[0]
        results.reconcile()
        assert (results.counts, numbers(results.missing_bits(ITEMS))) == reconcile_all(observed)


def test_only_what_has_changed_is_reconciled_again(tmp_path: Path) -> None:
    """Without new records no partition; after one record, the partition of its item."""
    with Spill(tmp_path, ITEMS) as spill:
        spill.add_expected(EXPECTED)
        results, reconciled = Results(spill, ENDED), list[int]()
        results.reconcile(reconciled.append)
        assert reconciled == [*range(spill.partitions)]
        results.reconcile(reconciled.append)
        assert len(reconciled) == spill.partitions
        spill.add_observed([(KEYS[7], 3, 4, int(ENDED), CERTAIN_TOUCH)])
        results.reconcile_missing()
        assert results.counts == ProofCounts(expected=ITEMS, once=1, missing=ITEMS - 1)
        assert numbers(results.missing_bits(ITEMS)) == {*range(ITEMS)} - {7}
        # The item is complete: `reconcile_missing` ignores another touch of it, `reconcile` does not.
        spill.add_observed([(KEYS[7], 4, 5, int(ENDED), CERTAIN_TOUCH)])
        alone = [
            c[3] for c in EXPECTED if c[0][1] & (spill.partitions - 1) == KEYS[7][1] & (spill.partitions - 1)
        ]
        results.reconcile_missing()
        assert results.counts.doubled == (0 if alone == [7] else 1)
        results.reconcile(reconciled.append)
        assert results.counts == ProofCounts(expected=ITEMS, missing=ITEMS - 1, doubled=1)
