"""The selection applied to records: DynamoDB Local decides what its filter expressions mean."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.delivery.conditions import attributes_of, record_condition
from refire_async.delivery.digests import DigestSet
from refire_async.delivery.key_files import read_keys
from refire_async.delivery.keys import canonical_key
from refire_async.delivery.patterns import Patterns
from refire_async.delivery.record import EventRecord
from refire_async.delivery.selection import RecordSelection
from refire_async.delivery.sink import Skipped
from refire_async.errors import UsageError
from refire_async.model.keys import KeySchema
from refire_async.model.selection import Selection
from refire_async.sources.where import compile_where
from tests.sandbox.language_judge import Judge
from tests.sandbox.language_strategies import NAMES, raw_values

KEYS = KeySchema("pk", "S", "sk", "S")


def made(key: dict[str, Any], new: Any = None, old: Any = None, kind: str = "MODIFY") -> EventRecord:
    """A record with these images."""
    change = {"Keys": key}
    if new is not None:
        change["NewImage"] = new
    if old is not None:
        change["OldImage"] = old
    return EventRecord(orjson.dumps({"dynamodb": change}), canonical_key(key), 1, 1.0, kind)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def judge(dynamodb_local_url: str) -> Iterator[Judge]:
    """A table of DynamoDB Local with one item."""
    found = Judge(dynamodb_local_url)
    yield found
    found.close()


paths = st.one_of(
    st.sampled_from(NAMES),
    st.tuples(st.sampled_from(NAMES), st.sampled_from([".b", "[0]", ".a[1]"])).map("".join),
)
literals = st.sampled_from(["'a'", "''''", "'b c'", "0", "-1.5", "3", "1e2", "true", "false", "null", "'é'"])
ordered = st.sampled_from(["'a'", "0", "-1.5", "3", "'b'"])
tests = st.one_of(
    st.tuples(paths, st.sampled_from(["=", "<>"]), literals).map(" ".join),
    st.tuples(paths, st.sampled_from(["<", "<=", ">", ">="]), ordered).map(" ".join),
    st.tuples(paths, st.sampled_from(["=", "<", "<>"]), st.sampled_from(["e", "f.g"])).map(" ".join),
    paths.map(lambda path: f"size({path}) > 1"),
    paths.map(lambda path: f"{path} is missing"),
    paths.map(lambda path: f"{path} is not missing"),
    paths.map(lambda path: f"{path} between 0 and 5"),
    paths.map(lambda path: f"{path} not between 'a' and 'c'"),
    paths.map(lambda path: f"{path} in ('a', 3, true)"),
    paths.map(lambda path: f"{path} not in ('a')"),
    paths.map(lambda path: f"begins_with({path}, 'a')"),
    st.tuples(paths, literals).map(lambda pair: f"contains({pair[0]}, {pair[1]})"),
    st.tuples(paths, st.sampled_from(["S", "N", "L", "M", "SS", "BOOL"])).map(
        lambda pair: f"attribute_type({pair[0]}, '{pair[1]}')"
    ),
)
conditions = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda parts: "({} {} {})".format(*parts)
        ),
        inner.map(lambda text: f"not ({text})"),
    ),
    max_leaves=3,
)


@given(
    st.lists(conditions, min_size=1, max_size=6),
    st.dictionaries(st.sampled_from(NAMES), raw_values, max_size=4),
)
def test_where_as_the_service_has_it(judge: Judge, texts: list[str], attributes: dict[str, Any]) -> None:
    """What a scan with the filter finds is what the record's image passes."""
    judge.put(attributes)
    item = judge.get()
    assert item is not None
    for text in texts:
        where = compile_where(text)
        request: dict[str, Any] = {
            "TableName": judge.table,
            "FilterExpression": where.expression,
            "Select": "COUNT",
        }
        if where.names:
            request["ExpressionAttributeNames"] = dict(where.names)
        if where.values:
            request["ExpressionAttributeValues"] = dict(where.values)
        found = judge.ask("Scan", **request)
        selection = Selection(kind="scan", filter=where.expression, names=where.names, values=where.values)
        if not isinstance(found, dict):
            with pytest.raises(UsageError, match="filter"):
                record_condition(selection, KEYS)
            continue
        condition = record_condition(selection, KEYS)
        assert condition is not None
        for record in (made(judge.key, item), made(judge.key, None, item)):
            assert condition(record) is (found["Count"] == 1), text


def where(text: str) -> Selection:
    """A selection by condition."""
    compiled = compile_where(text)
    return Selection(kind="scan", filter=compiled.expression, names=compiled.names, values=compiled.values)


KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}


def test_new_image_before_the_old_one() -> None:
    """The item is as the record leaves it; a deleted one as it was; without images only its key is known."""
    condition = record_condition(where("status = 'OPEN'"), KEYS)
    assert condition is not None
    opened, closed = ({**KEY, "status": {"S": text}} for text in ("OPEN", "CLOSED"))
    assert condition(made(KEY, opened, closed))
    assert not condition(made(KEY, closed, opened))
    assert condition(made(KEY, None, opened))
    assert not condition(made(KEY))
    by_key = record_condition(where("sk = 'b'"), KEYS)
    assert by_key is not None
    assert by_key(made(KEY)._replace(body=b"not looked at"))
    assert attributes_of(where("a.b = 1 and c[0] = 'x'")) == {"a", "c"}


def test_hash_keys_and_sort_key() -> None:
    """Values of the hash key, and a range of the sort key, from the key alone."""
    numbered = KeySchema("pk", "N", "sk", "S")
    selection = Selection(
        kind="query",
        key_name="pk",
        key_values=({"N": "1.0"}, {"N": "20"}),
        sort_key_condition="begins_with 2026-",
    )
    condition = record_condition(selection, numbered)
    assert condition is not None

    def passes(number: str, text: str) -> bool:
        return condition(made({"pk": {"N": number}, "sk": {"S": text}}))

    assert passes("1", "2026-11")
    assert passes("20", "2026-")
    assert not passes("2", "2026-11")
    assert not passes("1", "2025-11")


def test_no_condition() -> None:
    """A selection of everything asks nothing of a record; an index has no records."""
    assert record_condition(Selection(kind="scan"), KEYS) is None
    with pytest.raises(UsageError, match="--index"):
        record_condition(Selection(kind="scan", index="i"), KEYS)


def test_sample() -> None:
    """The same share of keys as in a run."""
    condition = record_condition(Selection(kind="scan", sample=25.0), KEYS)
    assert condition is not None
    taken = sum(condition(made({"pk": {"S": str(number)}, "sk": {"S": "x"}})) for number in range(2_000))
    assert 400 < taken < 600


class NoServices:
    """Stands for services that are not asked."""


async def test_keys_file(tmp_path: Path) -> None:
    """Keys in any form of keys file, equal numbers being one key; bad lines are refused unless ignored."""
    keys = KeySchema("pk", "S", "sk", "N")
    path = tmp_path / "keys.jsonl"
    path.write_text('{"pk":{"S":"a"},"sk":{"N":"1.0"}}\n{"pk":"b","sk":2}\n{"pk":"b","sk":2.0}\n')
    found = await read_keys(str(path), "t", keys, NoServices())  # type: ignore[arg-type]
    assert len(found) == 2
    selection = RecordSelection(Patterns(()), keys=found)
    records = [made({"sk": {"N": number}, "pk": {"S": "a"}}) for number in ("1", "2")]
    skipped = Skipped()
    assert selection.sift(records, skipped) == records[:1]
    assert skipped.unselected == 1
    path.write_text('{"pk":"b","sk":2}\n{"pk":"b"}\n')
    with pytest.raises(UsageError, match="line 2"):
        await read_keys(str(path), "t", keys, NoServices())  # type: ignore[arg-type]
    assert len(await read_keys(str(path), "t", keys, NoServices(), ["bad-lines"])) == 1  # type: ignore[arg-type]
    path.write_text("")
    with pytest.raises(UsageError, match="names no key"):
        await read_keys(str(path), "t", keys, NoServices())  # type: ignore[arg-type]


def test_digests() -> None:
    """Members and others, while members are still added."""
    found = DigestSet([b"a"])
    assert b"a" in found
    assert b"b" not in found
    found.add([b"b", b"a"])
    assert b"b" in found
    assert len(found) == 2
    assert "a" not in found
    assert b"c" not in DigestSet()
