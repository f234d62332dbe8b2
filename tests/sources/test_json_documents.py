"""JSON of AWS tools: every form names the same keys, in any chunks, of any size."""

import json
import tracemalloc
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.errors import UsageError
from refire_async.model.keys import Key, KeySchema
from refire_async.sources import json_documents
from refire_async.sources.json_documents import JsonDocuments, Part
from refire_async.sources.key_decoder import KeyDecoder
from tests.sources.test_key_decoder import BOTH, HASH, decode, key, packed
from tests.support.examples import examples

KEYS = [key("c0", 0), key("c1", 1), key("c2", 2)]
ITEMS = [{**one, "x": {"S": "y"}, "l": {"L": [{"M": {"pk": {"S": "not me"}}}]}} for one in KEYS]
PLAIN = [{"pk": one["pk"]["S"], "sk": int(one["sk"]["N"]), "Count": 1} for one in KEYS]


def record(name: str, found: Key) -> dict[str, Any]:
    """A stream record as a Lambda function receives it."""
    image = {} if name == "REMOVE" else {"NewImage": {**found, "pk2": {"S": "x"}}}
    return {
        "eventID": "1",
        "eventName": name,
        "eventSource": "aws:dynamodb",
        "dynamodb": {"Keys": found, **image, "SequenceNumber": "1", "StreamViewType": "NEW_IMAGE"},
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026",
    }


RECORDS = [record(name, one) for name, one in zip(("INSERT", "MODIFY", "REMOVE"), KEYS, strict=True)]
PUTS = [{"PutRequest": {"Item": one}} for one in ITEMS]
DELETES = [{"DeleteRequest": {"Key": one}} for one in KEYS]

DOCUMENTS: dict[str, Any] = {
    "scan": {"Items": ITEMS, "Count": 3, "ScannedCount": 3, "ConsumedCapacity": None},
    "query, count first": {"Count": 3, "Items": ITEMS, "LastEvaluatedKey": KEYS[0]},
    "resource API": {"Items": PLAIN, "Count": 3},
    "array of items": ITEMS,
    "array of plain items": PLAIN,
    "array of pages": [{"Items": ITEMS[:1], "Count": 1}, {"Items": ITEMS[1:], "Count": 2}],
    "event": {"Records": RECORDS},
    "array of records": RECORDS,
    "unprocessed puts": {"orders": PUTS},
    "unprocessed deletes": {"UnprocessedItems": {"orders": DELETES}},
    "one of several tables": {"UnprocessedItems": {"others": PUTS[:1], "orders": PUTS}},
    "another table alone": {"orders-old": [*PUTS[:2], *DELETES[2:]]},
    "unprocessed keys": {"Responses": {}, "UnprocessedKeys": {"orders": {"Keys": KEYS}}},
    "answer of BatchGetItem": {"Responses": {"orders": ITEMS}, "UnprocessedKeys": {}},
    "request of BatchGetItem": {"orders": {"Keys": KEYS, "ConsistentRead": True}},
    "array of export lines": [{"Item": one} for one in ITEMS],
}
LINES: dict[str, list[Any]] = {
    "export": [{"Item": one} for one in ITEMS],
    "incremental export": [
        {"Metadata": {"WriteTimestampMicros": {"N": "1"}}, "Keys": one, "NewImage": more}
        for one, more in zip(KEYS, ITEMS, strict=True)
    ],
    "records": RECORDS,
    "events": [{"Records": RECORDS[:2]}, {"Records": RECORDS[2:]}],
    "puts": PUTS,
    "deletes": DELETES,
    "tables": [{"orders": PUTS[:1]}, {"orders": [*DELETES[1:]]}],
    "other case": [{"PK": one["pk"], "SK": one["sk"]} for one in PLAIN],
    "failed keys": [{"key": one, "code": "ValidationError", "reason": "x"} for one in KEYS],
    "get-item": [{"Item": one, "ConsumedCapacity": {"CapacityUnits": 0.5}} for one in ITEMS],
    "update-item": [{"Key": one, "UpdateExpression": "SET a = :a"} for one in KEYS],
}


def keys_of(data: bytes, keys: KeySchema = BOTH, size: int = 1 << 20) -> list[Key]:
    """The keys of a list of table `orders` that arrives in chunks of `size`; it has no bad line."""
    decoder = KeyDecoder("k", keys, table="orders")
    found: list[Key] = []
    for begin, end in pairwise([*range(0, len(data), size), len(data)]):
        found += decoder.feed(data[begin:end])
    found += decoder.finish()
    assert decoder.bad.first == []
    assert decoder.found == len(found)
    return found


@pytest.mark.parametrize("form", DOCUMENTS)
@pytest.mark.parametrize("indent", [None, 0, 4])
def test_documents_name_keys(form: str, indent: int | None):
    """On one line or many, byte by byte too, compressed, with CRLF, in UTF-16, and one after the other."""
    text = json.dumps(DOCUMENTS[form], indent=indent)
    data = text.encode()
    assert keys_of(data) == keys_of(data, size=7) == KEYS
    assert keys_of(packed(data)) == keys_of(text.replace("\n", "\r\n").encode("utf-16")) == KEYS
    assert keys_of(data + b"\n" + data + b"\n") == KEYS * 2


@pytest.mark.parametrize("form", LINES)
def test_lines_name_keys(form: str):
    text = "".join(json.dumps(line) + "\n" for line in LINES[form])
    assert keys_of(text.encode()) == keys_of(text.encode(), size=11) == keys_of(text.encode("utf-16")) == KEYS
    pretty = "".join(json.dumps(line, indent=2) + "\n" for line in LINES[form])
    assert keys_of(pretty.encode()) == KEYS


def test_an_array_of_values_names_hash_keys():
    assert keys_of(b'["a", "b"]', HASH) == [{"pk": {"S": "a"}}, {"pk": {"S": "b"}}]
    assert keys_of(b"[\n 1,\n 2.5\n]", KeySchema("pk", "N")) == [{"pk": {"N": "1"}}, {"pk": {"N": "2.5"}}]


def test_key_attributes_with_names_of_document_members():
    """An object with the key attributes is the item; a record is recognized by its shape."""
    for name in ("Items", "Records", "Item", "Keys", "dynamodb", "eventID"):
        keys, own = KeySchema(name, "S"), {name: {"S": "a"}}
        for document in (
            own,
            {"Items": [own]},
            {"Item": own},
            [own],
            [{"PutRequest": {"Item": own}}],
            record("MODIFY", own),
        ):
            assert keys_of(json.dumps(document).encode(), keys) == [own], (name, document)
    nested = {"pk": "a", "Item": {"pk": "b"}, "Items": [{"pk": "c"}], "Keys": {"pk": "d"}}
    assert keys_of(json.dumps(nested).encode(), HASH) == [{"pk": {"S": "a"}}]


def test_bad_entries_are_reported_by_line_and_entry():
    text = json.dumps(
        {"Items": [ITEMS[0], {"pk": {"S": "a"}}, {"pk": {"S": ""}, "sk": {"N": "1"}}]}, indent=1
    )
    found, decoder = decode(text.encode())
    assert found == KEYS[:1]
    assert decoder.bad.first == [(1, "entry 2 has no 'sk'"), (1, "entry 3 has an empty key attribute")]
    found, decoder = decode(b'[\n{"pk": "a", "sk": 1},\n\n{"pk": "b"}\n,5]')
    assert found == [key("a", 1)]
    assert [number for number, _ in decoder.bad.first] == [1, 1]
    _, decoder = decode(json.dumps({"a": PUTS, "b": PUTS}).encode())
    assert decoder.bad.first == [(1, "names keys of 2 tables, none of them None")]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'{"Items": [\n{"pk": 1,\n "sk": 2},\n}]}', 4),
        (b'{\n "Items": [\n{"pk": "a", "sk": 1}\n', 4),
        (b'[\n{"pk": "a", "sk": 1}\n{"pk": "a", "sk": 1}]', 3),
    ],
)
def test_documents_that_are_not_json(data: bytes, line: int):
    """The message has the line of the error; a small list is reported line by line."""
    with pytest.raises(UsageError, match=f"is not JSON at line {line}"):
        list(JsonDocuments("k").feed(data.decode(), last=True))
    assert decode(data)[1].bad.count > 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=25,
)


@examples(80, 2_000)
@given(
    st.lists(json_values, max_size=3),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
    st.sampled_from([64, 150, 10**6]),
)
def test_documents_are_decoded_whole_or_in_parts(
    values: list[Any], size: int, indent: int | None, largest: int
):
    """For any chunks; documents that are decoded in parts yield all leaves in order."""
    text = "\n".join(json.dumps(value, indent=indent) for value in values) + "\n"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_documents, "MAX_VALUE_CHARS", largest)
        patched.setattr(json_documents, "MIN_CHARS", 1)
        documents = JsonDocuments("k")
        parts: list[Part] = []
        for begin in range(0, len(text), size):
            parts += documents.feed(text[begin : begin + size])
        parts += documents.feed("", last=True)
    if largest == 10**6:
        assert [part.value for part in parts] == values
    assert [leaf for part in parts for leaf in leaves(part.value)] == [
        leaf for one in values for leaf in leaves(one)
    ]


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = [*value.values()]
    return [leaf for one in value for leaf in leaves(one)] if isinstance(value, list) else [value]


@pytest.mark.parametrize("member", ["Items", "Records"])
def test_a_document_of_any_size_takes_bounded_memory(member: str, monkeypatch: pytest.MonkeyPatch):
    """Twelve times the size that is decoded as a whole, on one line."""
    monkeypatch.setattr(json_documents, "MAX_VALUE_CHARS", 1 << 18)
    monkeypatch.setattr("refire_async.sources.key_decoder.MAX_LINE_BYTES", 1 << 18)
    entry = json.dumps({"pk": {"S": "customer-1"}, "sk": {"N": "1"}, "x": {"S": "y" * 400}}).encode()
    count = 7_000
    tracemalloc.start()
    decoder, found = KeyDecoder("k", BOTH), 0
    for piece in (
        b'{"Count": 5, "%b": [' % member.encode(),
        *[entry + b","] * (count - 1),
        entry,
        b'], "a": 1}',
    ):
        found += sum(1 for _ in decoder.feed(piece))
    found += sum(1 for _ in decoder.finish())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found, decoder.bad.count) == (count, 0)
    assert peak < 6 * (1 << 18)
