"""Plain lines, which are not decoded, give the same keys as decoding."""

import csv
import io
import json
from collections.abc import Callable

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refire_async.model.keys import Key, KeySchema
from refire_async.sources.key_decoder import KeyDecoder
from refire_async.sources.plain_lines import PlainKeys
from tests.support.examples import examples

SCHEMAS = [
    KeySchema("pk", "S"),
    KeySchema("pk", "N"),
    KeySchema("p.k+ü", "S", "sk", "N"),
    KeySchema("pk", "N", "s k", "S"),
    KeySchema("pk", "S", "sk", "B"),
]

texts = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ["a", "b,c", 'q"t', "x\\y", " z "]
)
numbers = st.integers(-3, 10**40).map(str) | st.sampled_from(["007", "1e3", "1.50", "0", "x", ""])
values = {"S": texts, "N": numbers, "B": st.sampled_from(["YQ==", "YWI=", "YQ"])}


def taken(data: bytes, keys: KeySchema, cut: int) -> tuple[list[Key], list[bytes], KeyDecoder]:
    """The result for `data` in two chunks: all keys, and the hash key of each plain one."""
    found: list[Key] = []
    hashes: list[bytes] = []

    def take(plain: PlainKeys) -> None:
        found.extend(map(orjson.loads, plain.lines))
        hashes.extend(plain.hashes)
        for value, line in zip(plain.hashes, plain.lines, strict=True):
            key = orjson.loads(line)
            assert (
                line == orjson.dumps(key) + b"\n"
            )  # else a key that is listed in two forms would fire twice
            assert value == key[keys.hash_name][keys.hash_type].encode()

    decoder = KeyDecoder("keys", keys, take)
    for piece in (data[:cut], data[cut:]):
        found.extend(decoder.feed(piece))
    found.extend(decoder.finish())
    return found, hashes, decoder


def decoded(data: bytes, keys: KeySchema) -> tuple[list[Key], KeyDecoder]:
    """The result for `data` line by line."""
    decoder = KeyDecoder("keys", keys)
    return [*decoder.feed(data), *decoder.finish()], decoder


def as_json(rows: list[dict[str, str]], kinds: dict[str, str], draw: st.DrawFn) -> str:
    """Lines of JSON, typed or bare, with or without spaces, escaped or not."""
    typed = draw(st.booleans())
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    escaped = draw(st.booleans())
    lines = []
    for row in rows:
        whole = {name: int(text) for name, text in row.items() if kinds[name] == "N" and text.isdecimal()}
        line = {name: {kinds[name]: text} for name, text in row.items()} if typed else {**row, **whole}
        lines.append(json.dumps(line, separators=separators, ensure_ascii=escaped))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


def as_csv(rows: list[dict[str, str]], _kinds: dict[str, str], draw: st.DrawFn) -> str:
    """CSV with columns in any order and further columns."""
    columns = draw(st.permutations([*rows[0], "other", "more"]))
    delimiter = draw(st.sampled_from([",", ";", "\t"]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(
        [row.get(name, draw(st.sampled_from(["", "x", "y z"]))) for name in columns] for row in rows
    )
    return text.getvalue()


@st.composite
def lists(draw: st.DrawFn) -> tuple[bytes, KeySchema]:
    """A list of keys as programs write them, with good and bad lines."""
    keys = draw(st.sampled_from(SCHEMAS))
    kinds = dict(zip(keys.names, (keys.hash_type, keys.range_type or ""), strict=False))
    row = st.fixed_dictionaries({name: values[kind] for name, kind in kinds.items()})
    form: Callable[..., str] = draw(st.sampled_from([as_json, as_csv]))
    text = form(draw(st.lists(row, min_size=1, max_size=8)), kinds, draw)
    return text.encode(), keys


@examples(80, 2_000)
@given(lists(), st.integers(0, 200))
@example((b'{"pk":"\xff"}\n{"pk":"a"}', SCHEMAS[0]), 0)
@example((b'{"pk":"a"}\n\n{"pk":"b"} {"pk":"c"}\n{"pk":"a","x":1}', SCHEMAS[0]), 0)
@example((b'pk,x\na,"\nb,"\nc,d', SCHEMAS[0]), 9)
@example((b"x,pk\na,b\nc\n,d,\n", SCHEMAS[0]), 6)
def test_blocks_and_single_lines_give_the_same_keys(given_list: tuple[bytes, KeySchema], cut: int):
    """The same keys in the same text, the same bad lines by the same numbers, wherever the chunks end."""
    data, keys = given_list
    expected, line_by_line = decoded(data, keys)
    found, _, together = taken(data, keys, cut % (len(data) + 1))
    assert sorted(map(orjson.dumps, found)) == sorted(map(orjson.dumps, expected))
    assert together.bad == line_by_line.bad


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b'{"pk":{"S":"a"}}\n{"pk":{"S":"\xc3\xbc /"}}\n', SCHEMAS[0]),
        (b'{"pk": "a"}\r\n{"pk": "b"}\r\n', SCHEMAS[0]),
        (b'{"pk": 17}\n{"pk": 100}\n', SCHEMAS[1]),
        (
            b'{"p.k+\xc3\xbc":{"S":"a"},"sk":{"N":"17"}}\n{"p.k+\xc3\xbc":{"S":"b"},"sk":{"N":"1"}}\n',
            SCHEMAS[2],
        ),
        (b"other;s k;pk\n1;a;17\n;b;4\n", SCHEMAS[3]),
        (b"pk,more\na,1\nb,2\n", SCHEMAS[0]),
    ],
)
def test_common_forms_are_plain(data: bytes, keys: KeySchema):
    """Lists in common forms are not decoded line by line."""
    found, hashes, _ = taken(data, keys, 0)
    assert len(found) == len(hashes) == 2
