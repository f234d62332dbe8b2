"""A sample: decided by the key alone, of about the requested size, and part of every larger one."""

from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.keys import KeySchema
from refire_async.sources.sample import Sample

KEYS = KeySchema("pk", "S", "sk", "N")
ITEMS = [{"pk": {"S": f"k{n % 700}"}, "sk": {"N": str(n)}} for n in range(20_000)]


def test_a_sample_has_about_the_requested_size():
    """Five standard deviations around the mean of a fair draw, for several shares."""
    for percent in (0.5, 1.0, 25.0, 99.0):
        expected = len(ITEMS) * percent / 100
        taken = sum(Sample(KEYS, percent).takes(item) for item in ITEMS)
        assert abs(taken - expected) <= 5 * (expected * (1 - percent / 100)) ** 0.5 + 1
    assert all(Sample(KEYS, 100.0).takes(item) for item in ITEMS)


@given(st.text(min_size=1), st.integers(), st.floats(0.01, 100), st.floats(0.01, 100))
def test_only_the_key_decides_and_a_larger_sample_contains_the_smaller(
    pk: str, sk: int, one: float, other: float
):
    """For any further attributes in any order: the first percent is part of the first ten."""
    item = {"pk": {"S": pk.encode(errors="replace").decode()}, "sk": {"N": str(sk)}}
    more = {"revision": {"N": "7"}, **dict(reversed(item.items()))}
    small, large = sorted((one, other))
    assert Sample(KEYS, small).takes(item) == Sample(KEYS, small).takes(more)
    assert Sample(KEYS, large).takes(item) or not Sample(KEYS, small).takes(item)


def test_the_sample_never_changes():
    """A different hash in another version would give another sample of the same table."""
    taken = [n for n in range(2_000) if Sample(KeySchema("pk", "S"), 0.5).takes({"pk": {"S": f"k{n}"}})]
    assert taken == KNOWN


KNOWN = [476, 646, 680, 1084, 1461, 1643, 1720, 1767, 1995]
