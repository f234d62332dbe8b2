"""Parsing of the hash keys to query, for one or several hash attributes."""

from typing import Any

import pytest

from refire_async.errors import UsageError
from refire_async.settings import SelectionSettings
from refire_async.sources.hash_values import hash_key_columns

ONE = (("day", "S"),)
SEVERAL = (("tenant", "S"), ("ten", "S"), ("shard", "N"))


def columns(hashes: Any, *values: str, **more: Any) -> list[tuple[str, ...]]:
    """The hash keys, one tuple of texts each."""
    found = hash_key_columns(SelectionSettings(index="i", key_values=values, **more), hashes, "index i")
    return [tuple(next(iter(value.values())) for value in key) for key in zip(*found, strict=True)]


def test_with_one_hash_attribute_every_text_is_a_value():
    assert columns(ONE, "day=1", "b", "day=1") == [("day=1",), ("b",)]


def test_several_hash_attributes_give_all_combinations_once():
    found = columns(
        SEVERAL, "tenant=a", "shard=1", "tenant=b", "ten=x=y", "shard=01", key_value_range="shard=1..2"
    )
    assert found == [("a", "x=y", "1"), ("a", "x=y", "2"), ("b", "x=y", "1"), ("b", "x=y", "2")]


def test_key_name_names_the_attribute_of_plain_values():
    assert columns(SEVERAL, "a", "ten=t", "shard=7", key_name="tenant") == [("a", "t", "7")]


@pytest.mark.parametrize(
    ("values", "more", "said"),
    [
        (("a",), {}, "does not name a hash attribute"),
        (("tenant=a",), {}, "no value of ten, shard"),
        (("tenant=a", "ten=b", "shard=x"), {}, "not a number"),
        (("tenant=a", "ten=", "shard=1"), {}, "empty"),
        (("tenant=a", "ten=b", "shard=1"), {"key_type": "S"}, "not all of type S"),
        (("tenant=a", "ten=b", "shard=1"), {"key_name": "day"}, "not one of the hash attributes"),
        (("tenant=a", "ten=b"), {"key_value_range": "shard=1..10001"}, "more than 10,000"),
        (("tenant=a", "tenant=b", "ten=b"), {"key_value_range": "shard=1..9000"}, "18,000 hash keys"),
    ],
)
def test_invalid_hash_keys_are_refused(values: tuple[str, ...], more: dict[str, Any], said: str):
    with pytest.raises(UsageError, match=said):
        columns(SEVERAL, *values, **more)
