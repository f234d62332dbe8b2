"""A partition judged in bulk counts as one that is judged item by item."""

from hypothesis import given
from hypothesis import strategies as st

from refire_async.verification.encoding import (
    ABSENT,
    ALREADY,
    CERTAIN_TOUCH,
    EXPECTED_STRUCT,
    FOREIGN,
    OBSERVED_STRUCT,
    OPENED,
    READ,
    TOUCHED,
    ExpectedRow,
    ObservedRow,
)
from refire_async.verification.judge import judge
from refire_async.verification.reconcile import reconcile
from tests.support.examples import examples

NOW = 1_700_000_000
keys = st.integers(0, 7).map(lambda number: bytes([number]) * 16)
markers = st.integers(0, 4)
kinds = st.sampled_from([TOUCHED] * 6 + [ALREADY, READ, FOREIGN, OPENED])
flags = st.sampled_from([CERTAIN_TOUCH] * 6 + [0, 2, 4, 6])
seconds = st.sampled_from([NOW] * 6 + [NOW - 10**6, NOW + 100, NOW + 10**6])


@st.composite
def partitions(draw: st.DrawFn) -> tuple[list[ExpectedRow], list[ObservedRow]]:
    """Mostly plain items, among which something is unusual."""
    expected: list[ExpectedRow] = []
    observed: list[ObservedRow] = []
    for key in draw(st.lists(keys, unique=True)):
        low = draw(markers)
        kind = draw(st.sampled_from([TOUCHED] * 6 + [ALREADY, READ, FOREIGN]))
        expected.append((key, low, low + 1, len(expected), kind))
        observed.append((key, low, low + 1, NOW, CERTAIN_TOUCH))
    for number in range(draw(st.integers(0, 3))):
        kind = draw(kinds)
        low, new = (NOW - 5, NOW - 3) if kind == OPENED else (draw(markers), draw(markers))
        expected.append((draw(keys), low, new, 100 + number, kind))
    for _ in range(draw(st.integers(0, 3))):
        before = draw(st.one_of(markers, st.just(ABSENT)))
        observed.append((draw(keys), before, draw(markers), draw(seconds), draw(flags)))
    gone = draw(st.sets(st.integers(0, 9), max_size=2))
    return expected, [row for place, row in enumerate(observed) if place not in gone]


@given(partitions(), st.sampled_from([None, NOW + 1.0, NOW - 1e5]), st.booleans())
@examples(400, 20_000)
def test_both_ways_count_the_same(
    partition: tuple[list[ExpectedRow], list[ObservedRow]], ended: float | None, older: bool
) -> None:
    """The counts, and the numbers of the missing items."""
    expected, observed = partition
    careful: list[int] = []
    bulk: list[int] = []
    options = {"ended": ended, "late_s": 60.0, "markers_are_older": older}
    counts = reconcile(expected, observed, on_missing=careful.append, **options)  # type: ignore[arg-type]
    packed = b"".join(EXPECTED_STRUCT.pack(*row) for row in expected)
    records = b"".join(OBSERVED_STRUCT.pack(*row) for row in observed)
    assert judge(packed, records, on_missing=bulk.append, **options) == counts  # type: ignore[arg-type]
    assert sorted(bulk) == sorted(careful)
