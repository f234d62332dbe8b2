"""The size of an item, against the sandbox, which counts for itself."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.item_size import item_bytes
from refire_async.sandbox.numbers import canonical_number
from refire_async.sandbox.values import item_size


@pytest.mark.parametrize(
    ("number", "size"),
    [
        ("0", 1),
        ("1", 2),
        ("100", 2),
        ("1.5", 3),
        ("-42", 3),
        ("0.001", 2),
        ("12345", 4),
        ("1E+5", 2),
        ("9" * 38, 20),
    ],
)
def test_numbers(number: str, size: int) -> None:
    """Zeros at either end do not count."""
    assert item_bytes({"": {"N": number}}) == size


def test_containers() -> None:
    """3 bytes, one for each member, and the members."""
    assert item_bytes({"a": {"L": [{"S": "xy"}, {"BOOL": True}]}}) == 1 + 3 + 2 + 2 + 1
    assert item_bytes({"a": {"M": {"bc": {"NULL": True}}}}) == 1 + 3 + 1 + 2 + 1
    assert item_bytes({"ä": {"SS": ["x", "ö"]}}) == 2 + 1 + 2


VALUES = st.recursive(
    st.one_of(
        st.builds(lambda text: {"S": text}, st.text(max_size=5)),
        st.builds(
            lambda digits, shift: {"N": canonical_number(f"{digits}E{shift}")},
            st.integers(-(10**37), 10**37),
            st.integers(-60, 60),
        ),
        st.builds(lambda raw: {"B": base64.b64encode(raw).decode()}, st.binary(max_size=5)),
        st.builds(
            lambda texts: {"SS": texts}, st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=3)
        ),
        st.just({"BOOL": False}),
        st.just({"NULL": True}),
    ),
    lambda inner: st.one_of(
        st.builds(lambda values: {"L": values}, st.lists(inner, max_size=3)),
        st.builds(lambda values: {"M": values}, st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.text(min_size=1, max_size=4), VALUES, max_size=4))
def test_the_sandbox_counts_the_same(item: dict[str, Any]) -> None:
    """Two implementations that know nothing of each other."""
    assert item_bytes(item) == item_size(item)
