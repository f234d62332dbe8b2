"""Keys from a file: all forms, bad lines by number, positions, numbers of any size."""

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refire_async.errors import UsageError
from refire_async.model.keys import Item, KeySchema
from refire_async.sources.keys_file import LONGEST_LINE, KeysFileSource, parse_key
from tests.support.virtual_time import run_virtual

HASH = KeySchema("pk", "S")
BOTH = KeySchema("pk", "S", "sk", "N")


def parse(line: str | bytes, keys: KeySchema = BOTH) -> Item:
    return parse_key(line.encode() if isinstance(line, str) else line, keys, "keys.jsonl line 7")


async def read_all(path: Path, limit: int, keys: KeySchema = HASH) -> list[list[Item]]:
    """Every page of the file, each read by a source of its own, as after a resume."""
    pages, cursor = [], None
    while True:
        page = await KeysFileSource(path, keys).read(0, cursor, limit)
        pages.append(page.items)
        cursor = page.cursor
        if cursor is None:
            return pages
        assert json.loads(json.dumps(cursor)) == cursor


@pytest.mark.parametrize(
    "line",
    [
        '{"pk": {"S": "a"}, "sk": {"N": "1"}}',
        '{"pk": "a", "sk": 1}',
        '{"pk": "a", "sk": "1"}',
        '{"pk": "a", "sk": 1.0}',
        '{"pk": "a", "sk": "1E0", "other": [1, 2]}',
        '{"key": {"pk": {"S": "a"}, "sk": {"N": "1"}}, "code": "ValidationError", "reason": "too large"}',
        '{"key": {"pk": "a", "sk": 1}}',
        '  {"pk": "a", "sk": 1}  \r\n',
        '\ufeff{"pk": "a", "sk": 1}',
    ],
)
def test_every_form_of_a_key(line: str):
    """DynamoDB JSON, plain values, and the lines of a failed-keys file."""
    assert parse(line) == {"pk": {"S": "a"}, "sk": {"N": "1"}}


@pytest.mark.parametrize("name", ["key", "code", "reason", "S"])
def test_key_attributes_named_like_parts_of_a_line(name: str):
    """The failed-keys file of a table whose hash key is called `key` must be readable too."""
    keys = KeySchema(name, "S")
    key = {name: {"S": "a"}}
    assert parse(json.dumps(key), keys) == key
    assert parse(json.dumps({"key": key, "code": "c", "reason": "r"}), keys) == key
    assert parse(json.dumps({name: "a"}), keys) == key


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1), st.integers(0, 10**38 - 1), st.integers(-130, 87))
def test_what_a_run_writes_into_its_failed_keys_file_comes_back(text: str, digits: int, exponent: int):
    """Keys travel unchanged, apart from the notation of numbers."""
    number = Decimal((0, tuple(map(int, str(digits))), exponent))
    if number and not -130 <= number.adjusted() <= 125:
        number = Decimal(digits)
    key = {"pk": {"S": text}, "sk": {"N": format(number, "f")}}
    found = parse(json.dumps({"key": key, "code": "c", "reason": "r"}))
    assert found["pk"] == key["pk"]
    assert Decimal(found["sk"]["N"]) == number


@settings(deadline=None)
@given(st.integers(1, 10**38 - 1), st.integers(-125, 80), st.booleans())
def test_equal_numbers_have_one_text(digits: int, exponent: int, negative: bool):
    """So that a key that is listed twice in two notations is not asked for twice in one request."""
    number = Decimal((int(negative), tuple(map(int, str(digits))), exponent))
    if not -130 <= number.adjusted() <= 125:
        return
    notations = [
        str(number),
        format(number, "f"),
        f"{number:E}",
        f"{'-' if negative else '+'}0{number.copy_abs():f}",
    ]
    texts = {parse(json.dumps({"pk": "a", "sk": notation}))["sk"]["N"] for notation in notations}
    assert len(texts) == 1
    assert Decimal(texts.pop()) == number


@pytest.mark.parametrize(
    ("given_number", "canonical"),
    [
        ("-0", "0"),
        ("0.000", "0"),
        ("1E+20", "100000000000000000000"),
        ("9" * 38, "9" * 38),
        ("1." + "1" * 37, "1." + "1" * 37),
        ("-12345678901234567890123456789012345678", "-12345678901234567890123456789012345678"),
        ("1E-130", "0." + "0" * 129 + "1"),
        ("9E125", "9" + "0" * 125),
    ],
)
def test_no_digit_of_a_number_is_lost(given_number: str, canonical: str):
    """A key with another number is another item's key, or nobody's."""
    assert parse(f'{{"pk": "a", "sk": {given_number}}}')["sk"] == {"N": canonical}
    assert parse(f'{{"pk": "a", "sk": "{given_number}"}}')["sk"] == {"N": canonical}


def test_base64_has_one_text_for_equal_bytes():
    keys = KeySchema("pk", "B")
    assert parse('{"pk": "YR=="}', keys) == parse('{"pk": {"B": "YQ=="}}', keys) == {"pk": {"B": "YQ=="}}
    every_byte = base64.b64encode(bytes(range(256))).decode()
    assert parse(json.dumps({"pk": every_byte}), keys) == {"pk": {"B": every_byte}}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("nonsense", "is not JSON"),
        ('{"pk": "a", "sk": 1', "is not JSON"),
        (b"\xff\xfe\xfa", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"pk": "a", "sk": 1e99999999999999999999}', "is not JSON"),
        ('["a", 1]', "is not a JSON object"),
        ("null", "is not a JSON object"),
        ('"a"', "is not a JSON object"),
        ('{"pk": "a"}', "has no 'sk'"),
        ('{"key": "a"}', "has no 'pk'"),
        ('{"key": {"pk": "a"}}', "has no 'pk'"),
        ('{"pk": 1, "sk": 1}', "is not of type S"),
        ('{"pk": null, "sk": 1}', "is not of type S"),
        ('{"pk": {"N": "1"}, "sk": 1}', "is not of type S"),
        ('{"pk": {"S": "a", "N": "1"}, "sk": 1}', "is not of type S"),
        ('{"pk": {"S": 1}, "sk": 1}', "is not of type S"),
        ('{"pk": {}, "sk": 1}', "is not of type S"),
        ('{"pk": "", "sk": 1}', "is empty"),
        ('{"pk": "\\ud800", "sk": 1}', "half of a character"),
        ('{"pk": "a", "sk": "one"}', "is not a number"),
        ('{"pk": "a", "sk": true}', "is not a number"),
        ('{"pk": "a", "sk": [0, [1], 0]}', "is not a number"),
        ('{"pk": "a", "sk": null}', "is not a number"),
        ('{"pk": "a", "sk": NaN}', "is not a number"),
        ('{"pk": "a", "sk": "Infinity"}', "is not a finite number"),
        ('{"pk": "a", "sk": 1E+126}', "DynamoDB cannot hold"),
        ('{"pk": "a", "sk": "1E-131"}', "DynamoDB cannot hold"),
        ('{"pk": "a", "sk": 1E+400000}', "DynamoDB cannot hold"),
        (f'{{"pk": "a", "sk": {"1" * 39}}}', "DynamoDB cannot hold"),
    ],
)
def test_a_bad_line_is_told_by_its_number(line: str | bytes, what: str):
    """One line that says where and what, whatever is in the file."""
    with pytest.raises(UsageError) as caught:
        parse(line)
    assert str(caught.value).startswith("keys.jsonl line 7")
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a", "YQ", "Y Q==", "ä"])
def test_what_is_no_base64_is_told(text: str):
    with pytest.raises(UsageError, match="is not base64"):
        parse(json.dumps({"pk": text}), KeySchema("pk", "B"))


lines = st.lists(
    st.sampled_from(["a", "b", "c", ""]).map(lambda name: json.dumps({"pk": name}) if name else ""),
    max_size=12,
)


@settings(deadline=None)
@given(lines, st.integers(1, 5), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_pages_resume_where_the_last_one_ended(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], limit: int, newline: str, last_ends: bool
):
    """Every key comes once per line, in order, whatever the size of pages and the ends of lines."""
    path = tmp_path_factory.mktemp("keys") / "keys.jsonl"
    path.write_bytes((newline.join(lines) + (newline if last_ends else "")).encode())
    pages = run_virtual(read_all, path, limit)
    assert [item["pk"]["S"] for page in pages for item in page] == [
        json.loads(line)["pk"] for line in lines if line
    ]
    assert all(len(page) <= limit for page in pages)


async def test_an_empty_file_is_one_empty_page(tmp_path: Path):
    path = tmp_path / "keys.jsonl"
    path.touch()
    assert await read_all(path, 10) == [[]]


async def test_lines_are_counted_over_pages_and_blank_lines(tmp_path: Path):
    """The number that is told is that of an editor."""
    path = tmp_path / "keys.jsonl"
    path.write_text('{"pk": "a"}\n\n{"pk": "b"}\n\n\noops\n')
    with pytest.raises(UsageError, match=r"keys.jsonl line 6 is not JSON"):
        await read_all(path, 1)


async def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path):
    path = tmp_path / "keys.jsonl"
    path.write_bytes(b"x" * (3 * LONGEST_LINE))
    with pytest.raises(UsageError, match="line 1 is not JSON"):
        await read_all(path, 10)


def appended(text: str) -> str:
    return '{"pk": "zz"}\n' + text


@pytest.mark.parametrize(
    "change",
    [appended, lambda text: text[:5], lambda _: "", lambda text: text.replace("\n", " " * 40 + "\n")],
)
async def test_a_file_that_was_changed_meanwhile_is_refused(tmp_path: Path, change: Callable[[str], str]):
    """The saved position means nothing in another file: items would be left out in silence."""
    path = tmp_path / "keys.jsonl"
    path.write_text('{"pk": "a"}\n{"pk": "b"}\n')
    page = await KeysFileSource(path, HASH).read(0, None, 1)
    path.write_text(change(path.read_text()))
    with pytest.raises(UsageError, match="was changed since the run began"):
        await KeysFileSource(path, HASH).read(0, page.cursor, 1)


@pytest.mark.parametrize("make", [lambda _: None, Path.mkdir])
async def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, make: Callable[[Path], Any]):
    path = tmp_path / "keys.jsonl"
    make(path)
    with pytest.raises(UsageError, match="cannot be read"):
        await KeysFileSource(path, HASH).read(0, None, 10)
