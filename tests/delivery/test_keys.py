"""Equal keys have equal bytes, different keys different ones."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.delivery.keys import canonical_key

values = st.one_of(
    st.text(max_size=3).map(lambda text: {"S": text}),
    st.sampled_from(["1", "1.0", "10", "1E1", "0.1", "-0", "0", "1e-1", "100"]).map(lambda text: {"N": text}),
    st.sampled_from(["YQ==", "YR==", "YWI="]).map(lambda text: {"B": text}),
)
keys = st.dictionaries(
    st.sampled_from(["pk", "sk", "é", "\U00010000", "\uffff"]), values, min_size=1, max_size=2
)


def meaning(key: dict[str, Any]) -> Any:
    """What a key is to DynamoDB."""
    numbers = {name: Decimal(value["N"]) for name, value in key.items() if "N" in value}
    binaries = {
        name: value["B"][0] if value["B"] in ("YQ==", "YR==") else value["B"]
        for name, value in key.items()
        if "B" in value
    }
    return {**key, **numbers, **binaries}


@given(keys, keys)
def test_equal_keys_equal_bytes(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Whatever the order of the attributes, and however numbers and base64 are written."""
    assert (canonical_key(one) == canonical_key(other)) is (meaning(one) == meaning(other))
    assert canonical_key(dict(reversed(one.items()))) == canonical_key(one)


@pytest.mark.parametrize(
    "bad", [{}, {"a": {}}, {"a": {"N": "x"}}, {"a": {"M": {}}}, {"a": {"S": 1}}, {"a": "b"}]
)
def test_not_a_key(bad: Any) -> None:
    """What is no key is refused."""
    with pytest.raises(ValueError, match="key"):
        canonical_key(bad)
