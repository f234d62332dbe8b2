"""One line of a list: all forms of a key, what is wrong with bad ones, numbers of any size."""

import base64
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.keys import Item, KeySchema
from refire_async.sources.key_lines import BadLineError, keys_in_line

HASH = KeySchema("pk", "S")
BOTH = KeySchema("pk", "S", "sk", "N")


def parse(line: str | bytes, keys: KeySchema = BOTH) -> Item:
    """The one key on a line. Raises BadLineError."""
    found = keys_in_line(line.encode() if isinstance(line, str) else line, keys)
    if isinstance(found[0], BadLineError):
        raise found[0]
    (key,) = found
    assert not isinstance(key, BadLineError)
    return key


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
def test_key_attributes_with_names_of_line_members(name: str):
    """The failed-keys file of a table whose hash key is called `key` must be readable too."""
    keys = KeySchema(name, "S")
    key = {name: {"S": "a"}}
    assert parse(json.dumps(key), keys) == key
    assert parse(json.dumps({"key": key, "code": "c", "reason": "r"}), keys) == key
    assert parse(json.dumps({name: "a"}), keys) == key


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.integers(0, 10**38 - 1), st.integers(-130, 87))
def test_the_failed_keys_file_of_a_run_can_be_read(text: str, digits: int, exponent: int):
    """Keys are unchanged, except for the notation of numbers."""
    number = Decimal((0, tuple(map(int, str(digits))), exponent))
    if number and not -130 <= number.adjusted() <= 125:
        number = Decimal(digits)
    key = {"pk": {"S": text}, "sk": {"N": format(number, "f")}}
    found = parse(json.dumps({"key": key, "code": "c", "reason": "r"}))
    assert found["pk"] == key["pk"]
    assert Decimal(found["sk"]["N"]) == number


@given(st.integers(1, 10**38 - 1), st.integers(-125, 80), st.booleans())
def test_equal_numbers_have_one_text(digits: int, exponent: int, negative: bool):
    """A key that is listed in two notations is requested once."""
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
    """A key with a different number would be the key of another item or of none."""
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
        ('{"pk": "", "sk": 1}', "empty key attribute"),
        ('{"pk": "\\ud800", "sk": 1}', "unpaired surrogate"),
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
        (f'{{"pk": "a", "sk": {"1" * 5000}}}', "DynamoDB cannot hold"),
        (
            f'{{"pk": "{"a" * 2049}", "sk": 1}}',
            "has a hash key of 2,049 bytes, more than the maximum of 2,048",
        ),
        (f'{{"pk": {{"S": "{"ü" * 1025}"}}, "sk": 1}}', "has a hash key of 2,050 bytes"),
        ("[" * 500 + "]" * 500, "is not a JSON object"),
    ],
)
def test_the_message_says_what_is_wrong_with_a_line(line: str | bytes, what: str):
    """In one line, for any content."""
    with pytest.raises(BadLineError) as caught:
        parse(line)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a", "YQ", "Y Q==", "ä"])
def test_invalid_base64_is_refused(text: str):
    with pytest.raises(BadLineError, match="is not base64"):
        parse(json.dumps({"pk": text}), KeySchema("pk", "B"))


@pytest.mark.parametrize(("kind", "extra"), [("S", 1), ("B", 1)])
def test_sizes_are_those_of_the_bytes(kind: str, extra: int):
    """2,048 for a hash key and 1,024 for a sort key, of type B those that base64 stands for."""
    keys = KeySchema("pk", kind, "sk", kind)

    def line(hash_size: int, range_size: int) -> str:
        texts = ["a" * size for size in (hash_size, range_size)]
        if kind == "B":
            texts = [base64.b64encode(text.encode()).decode() for text in texts]
        return json.dumps(dict(zip(("pk", "sk"), texts, strict=True)))

    assert parse(line(2048, 1024), keys)
    with pytest.raises(BadLineError, match="sort key of 1,025 bytes, more than the maximum of 1,024"):
        parse(line(2048, 1024 + extra), keys)
    with pytest.raises(BadLineError, match="hash key of 2,049 bytes"):
        parse(line(2048 + extra, 1024), keys)
