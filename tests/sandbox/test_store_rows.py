"""The contract of `Rows`, kept by every implementation: like a sorted dictionary, with snapshots."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.store.generated import GeneratedRows
from refire_async.sandbox.store.generator import Generator, hot_keys, uniform, zipf
from refire_async.sandbox.store.keys import HASH_SPACE, KeySchema, OrderKey
from refire_async.sandbox.store.rows import MemoryRows, Row, Rows
from refire_async.sandbox.values import item_size
from tests.support.examples import examples

HASH_KEYS = 7
COUNT = 60


@dataclass(frozen=True)
class Case:
    """An implementation, its schema, and the rows that it holds at first."""

    rows: Rows
    schema: KeySchema


def memory(schema: KeySchema) -> Rows:
    return MemoryRows()


def generated(schema: KeySchema) -> Rows:
    spread = uniform(COUNT, COUNT) if not schema.ranges else zipf(COUNT, HASH_KEYS, 0.8)
    attributes = {"revision": {"N": "7"}}
    generator = Generator(
        schema,
        spread,
        hash_prefix="h\u00e9%d-",
        range_prefix="r%s-",
        attributes=attributes,
        filler='fi"ller',
        sizes=[80, 100, 333],
    )
    schema.position = generator.position
    return GeneratedRows(generator)


SCHEMAS = [
    ("S", None),
    ("N", None),
    ("B", None),
    ("S", "S"),
    ("S", "N"),
    ("N", "B"),
]
CASES = [(make, *types) for make in (memory, generated) for types in SCHEMAS]


def start(make: Callable[[KeySchema], Rows], hash_type: str, range_type: str | None) -> Case:
    schema = KeySchema([("hash", hash_type)], [] if range_type is None else [("range", range_type)])
    return Case(make(schema), schema)


def key_value(type_: str, prefix: str, number: int) -> dict[str, Any]:
    """A key as the generator writes it, or near it."""
    if type_ == "S":
        return {"S": f"{prefix}{number:010d}"}
    if type_ == "N":
        return {"N": str(number)}
    return {
        "B": orjson.loads(orjson.dumps(__import__("base64").b64encode(number.to_bytes(8, "big")).decode()))
    }


# The same item is often written with more, fewer or other attributes; half of the keys were never generated.
operations = st.lists(
    st.tuples(
        st.sampled_from(["put", "touch", "remove"]),
        st.integers(0, 2 * COUNT),
        st.integers(0, 12),
        st.integers(0, 3),
    ),
    max_size=40,
)


@pytest.mark.parametrize(("make", "hash_type", "range_type"), CASES)
@examples(8, 150)
@given(changes=operations, bounds=st.tuples(st.integers(0, HASH_SPACE), st.integers(0, HASH_SPACE)))
def test_rows_behave_like_a_sorted_dictionary(
    make: Callable[[KeySchema], Rows],
    hash_type: str,
    range_type: str | None,
    changes: list[tuple[str, int, int, int]],
    bounds: tuple[int, int],
) -> None:
    """After any puts and removals: the same rows as a dictionary, in order, in every range, both ways."""
    case = start(make, hash_type, range_type)
    rows = case.rows
    model: dict[OrderKey, Row] = dict(rows.between((0,), (HASH_SPACE,)))
    snapshots: list[tuple[Any, Row | None]] = []
    for action, hash_number, range_number, value in changes:
        item = {"hash": key_value(hash_type, "h\u00e9%d-", hash_number)}
        if range_type is not None:
            item["range"] = key_value(range_type, "r%s-", range_number)
        key = case.schema.order_key(item)
        old, new = model.pop(key, None), None
        assert rows.get(key) == old
        if action != "remove":
            if action == "touch" and old is not None:
                item = orjson.loads(old[0])
            item[f"attribute{value}"] = {"N": str(value)}
            new = model[key] = orjson.dumps(item), item_size(item)
        before, after = rows.replace(key, old, new)
        snapshots += [(before, old), (after, new)]
    assert len(rows) == len(model)
    assert {key: rows.get(key) for key in model} == model
    expected = sorted(model.items())
    assert list(rows.between((0,), (HASH_SPACE,))) == expected
    assert list(rows.between((0,), (HASH_SPACE,), reverse=True)) == expected[::-1]
    low, high = (min(bounds),), (max(bounds),)
    assert list(rows.between(low, high)) == [pair for pair in expected if low <= pair[0] <= high]
    for one in expected[:: max(1, len(expected) // 7)]:
        after = [pair for pair in expected if pair[0] > one[0]]
        before = [pair for pair in expected if pair[0] < one[0]]
        assert list(rows.between(one[0], (HASH_SPACE,), inclusive=(False, False))) == after
        assert list(rows.between((0,), one[0], inclusive=(True, False), reverse=True)) == before[::-1]
        same_hash = [pair for pair in expected if pair[0][0] == one[0][0]]
        assert list(rows.between((one[0][0],), (one[0][0] + 1,), inclusive=(True, False))) == same_hash
    column = rows.new_column()
    column.extend(snapshot for snapshot, _ in snapshots)
    assert [parsed(rows.restore(snapshot)) for snapshot in column] == [parsed(row) for _, row in snapshots]


def parsed(row: Row | None) -> Any:
    return None if row is None else (orjson.loads(row[0]), row[1])


@pytest.mark.parametrize("types", SCHEMAS)
def test_generated_rows_have_the_sizes_that_were_asked_for(types: tuple[str, str | None]) -> None:
    """Every generated item is as large as its size class says, to the byte, and its key leads back to it."""
    case = start(generated, *types)
    found = list(case.rows.between((0,), (HASH_SPACE,)))
    assert len(found) == COUNT
    assert {row[1] for _, row in found} == {80, 100, 333}
    for key, row in found:
        item = orjson.loads(row[0])
        assert item_size(item) == row[1]
        assert item["revision"] == {"N": "7"}
        assert case.schema.order_key(item) == key


@given(
    count=st.integers(1, 5000),
    keys=st.integers(2, 300),
    share=st.floats(0.01, 0.99),
    exponent=st.floats(0.1, 3),
)
def test_spreads_give_every_item_to_one_key(count: int, keys: int, share: float, exponent: float) -> None:
    """Whatever the skew, the keys' items are consecutive, cover all numbers, and `key_of` finds them again."""
    for spread in (uniform(count, keys), hot_keys(count, keys, [share]), zipf(count, keys, exponent)):
        firsts = [spread.first(key) for key in range(keys + 1)]
        assert firsts[0] == 0
        assert firsts[-1] == count
        assert firsts == sorted(firsts)
        for number in {0, count // 2, count - 1}:
            key = spread.key_of(number)
            assert firsts[key] <= number < firsts[key + 1]


def test_a_hot_key_has_its_share() -> None:
    """`HotKey: 0.3` puts 30% of the items on one hash key, and the others have equal parts."""
    spread = hot_keys(100_000, 1001, [0.3])
    assert spread.first(1) == 30_000
    assert {spread.first(key + 1) - spread.first(key) for key in range(1, 1001)} == {70}


def test_several_hot_keys_have_their_shares() -> None:
    """Each of the first keys has its own share; the others have equal parts of the rest."""
    spread = hot_keys(100_000, 1003, [0.2, 0.1, 0.4])
    sizes = [spread.first(key + 1) - spread.first(key) for key in range(1003)]
    assert sizes[:3] == [20_000, 10_000, 40_000]
    assert set(sizes[3:]) == {30}


def test_zipf_follows_its_law() -> None:
    """With exponent 1 the k-th key has about a k-th of the first one's items."""
    spread = zipf(10_000_000, 1000, 1.0)
    sizes = [spread.first(key + 1) - spread.first(key) for key in range(1000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[99] / sizes[9] == pytest.approx(0.1, rel=0.06)


def test_equal_differences_are_kept_once() -> None:
    """A million touches with the same marker add no object per item."""
    schema = KeySchema([("hash", "S")])
    rows = generated(schema)
    assert isinstance(rows, GeneratedRows)
    for key, (text, size) in list(rows.between((0,), (HASH_SPACE,))):
        rows.replace(key, (text, size), (text[:-1] + b',"mark":{"S":"run"}}', size + 7))
    assert len(rows._differences) == 3
