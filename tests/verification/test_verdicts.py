"""Judging again only where something has come: the same verdict as judging everything, for less."""

import tempfile
from hashlib import blake2b
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.proof import ProofCounts
from refire_async.verification.encoding import ABSENT, SURE, TOUCHED, Change, Claim
from refire_async.verification.reconcile import reconcile
from refire_async.verification.results import Results
from refire_async.verification.spill import Spill
from tests.support.examples import examples

ENDED = 1_700_000_000.0
ITEMS = 40
KEYS = [blake2b(b"%d" % number, digest_size=16).digest() for number in range(ITEMS + 10)]
"""Of the claims, and of ten items that the run has not touched."""

CLAIMS: list[Claim] = [(KEYS[number], 3, 4, number, TOUCHED) for number in range(ITEMS)]

CHANGES = st.tuples(
    st.sampled_from(KEYS),
    st.sampled_from([ABSENT, 3, 4, 5]),
    st.sampled_from([ABSENT, 4, 5, 9]),
    st.just(int(ENDED)),
    st.sampled_from([SURE, SURE & ~1, 2, 4, 0]),
)


def afresh(changes: list[Change]) -> tuple[ProofCounts, set[int]]:
    """The verdict on everything at once."""
    missing: set[int] = set()
    return reconcile(CLAIMS, changes, ended=ENDED, missing=missing.add), missing


def numbers(gone: bytearray) -> set[int]:
    return {number for number in range(8 * len(gone)) if gone[number >> 3] >> (number & 7) & 1}


@examples(30, 500)
@given(st.lists(st.tuples(st.lists(CHANGES, max_size=40), st.booleans()), max_size=5))
def test_judging_what_has_changed_is_judging_everything(rounds: list[tuple[list[Change], bool]]) -> None:
    """Whatever comes in whatever order, and whichever are judged in between, the end is that of one judgement."""
    with tempfile.TemporaryDirectory() as folder, Spill(Path(folder), ITEMS) as spill:
        spill.add_claims(CLAIMS)
        results = Results(spill, ENDED)
        results.reconcile()
        assert (results.tally, numbers(results.gone(ITEMS))) == afresh([])
        changes: list[Change] = []
        for came, only_missing in rounds:
            spill.add_changes(came)
            changes += came
            if only_missing:
                results.reconcile_missing()
            else:
                results.reconcile()
                assert results.tally == afresh(changes)[0]
        results.reconcile()
        assert (results.tally, numbers(results.gone(ITEMS))) == afresh(changes)


def test_only_what_has_changed_is_reconciled_at_again(tmp_path: Path) -> None:
    """Nothing where nothing has come; after one record the partition of its item, and with it what was missing."""
    with Spill(tmp_path, ITEMS) as spill:
        spill.add_claims(CLAIMS)
        results, judged = Results(spill, ENDED), list[int]()
        results.reconcile(judged.append)
        assert judged == [*range(spill.partitions)]
        results.reconcile(judged.append)
        assert len(judged) == spill.partitions
        spill.add_changes([(KEYS[7], 3, 4, int(ENDED), SURE)])
        results.reconcile_missing()
        assert results.tally == ProofCounts(expected=ITEMS, once=1, missing=ITEMS - 1)
        assert numbers(results.gone(ITEMS)) == {*range(ITEMS)} - {7}
        # It is complete now: another touch of it is of interest only when everything is judged.
        spill.add_changes([(KEYS[7], 4, 5, int(ENDED), SURE)])
        alone = [
            c[3] for c in CLAIMS if c[0][1] & (spill.partitions - 1) == KEYS[7][1] & (spill.partitions - 1)
        ]
        results.reconcile_missing()
        assert results.tally.doubled == (0 if alone == [7] else 1)
        results.reconcile(judged.append)
        assert results.tally == ProofCounts(expected=ITEMS, missing=ITEMS - 1, doubled=1)
