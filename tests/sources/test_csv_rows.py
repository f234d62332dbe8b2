"""CSV rows: stray and unclosed quotes; headers that differ slightly from the key attributes."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.errors import UsageError
from refire_async.model.keys import KeySchema
from refire_async.sources.csv_rows import DELIMITERS, Splitter
from tests.sources.test_key_decoder import BOTH, HASH, decode, key
from tests.support.examples import examples

TEXTS = KeySchema("pk", "S", "sk", "S")

values = st.text(st.sampled_from('ab",;\t| \n5'), max_size=6)


@examples(80, 2_000)
@given(st.lists(values, min_size=1, max_size=4), st.sampled_from(DELIMITERS), st.booleans())
def test_values_of_a_csv_writer_are_read_back(row: list[str], delimiter: str, everything: bool):
    """With necessary quotes only, or with all values quoted."""
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if everything else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerow(row)
    assert Splitter(delimiter).split(text.getvalue()[:-1]) == row


@examples(80, 2_000)
@given(st.lists(st.text(st.sampled_from('ab"5 '), max_size=6), min_size=1, max_size=4))
def test_quotes_within_values_are_characters(row: list[str]):
    """A quote at the beginning of a value must close at its end."""
    found = Splitter(",").split(",".join(row))
    if not any('"' in value[:1] for value in row):
        assert found == row
    elif found is not None:
        assert found == next(csv.reader([",".join(row)], strict=True))


def test_a_stray_quote_does_not_affect_other_rows():
    """Inches: 2,000 rows, four of them with a quote."""
    lines = [f"p{n:04}," + ('pipe 5" steel' if n % 500 == 3 else "pipe") for n in range(2_000)]
    found, decoder = decode("\n".join(["pk,description", *lines]).encode(), HASH)
    assert [one["pk"]["S"] for one in found] == [f"p{n:04}" for n in range(2_000)]
    assert decoder.bad.count == 0


def test_a_key_with_a_stray_quote_is_that_key():
    found, _ = decode(b'pk\tname\n5" nail\tx\nbolt\tx\n6" nail\tx\n', HASH)
    assert [one["pk"]["S"] for one in found] == ['5" nail', "bolt", '6" nail']


@pytest.mark.parametrize(
    ("rows", "good", "bad"),
    [
        # A quote that never closes.
        ('a,"big\nb,x\nc,y\n', "bc", [(2, "has a quote that is not closed")]),
        ('"a,x\nb,x\n', "b", [(2, "has a quote that is not closed")]),
        # One that closes within a value of another row.
        ('a,"big\nb,5" x\nc,y\n', "bc", [(2, "has a quote within a value in quotes")]),
        ('a,"5" nail"\nb,x\n', "b", [(2, "has a quote within a value in quotes")]),
        # One that closes at the end of another row.
        ('a,"5\nb,6"\nc,y\n', "bc", [(2, "has a quote that closes in a later line, and the lines between")]),
        ('a,"5\nb,x\nc,"6\nd,y\n', "bd", [(2, "has a quote"), (4, "has a quote that is not closed")]),
        # Rows that were merged, or values with a delimiter and no quotes.
        ("a,x,b,y\nc,z\n", "c", [(2, "has more columns than the header")]),
        # Empty columns at the end, empty rows, and a value of several lines are none of this.
        ('a,x,,\n,\n\nb,"two\nlines, of which, none is a row"\n', "ab", []),
    ],
)
def test_rows_that_merge_are_bad_lines(rows: str, good: str, bad: list[tuple[int, str]]):
    """The rows after the one with the quote are read."""
    found, decoder = decode(f"pk,note\n{rows}".encode(), HASH)
    assert "".join(one["pk"]["S"] for one in found) == good
    assert len(decoder.bad.first) == len(bad)
    for (number, what), (expected_number, expected) in zip(decoder.bad.first, bad, strict=True):
        assert number == expected_number
        assert what.startswith(expected)


def test_a_quote_that_never_closes_takes_no_memory_and_no_rows():
    """Half a megabyte of lines follows it, and then more."""
    found, decoder = decode(b'pk,note\na,"\n' + b"b,x\n" * 300_000, HASH, (1 << 18, 1 << 19))
    assert len(found) == 300_000
    assert decoder.bad.first == [(2, "has a quote that is not closed")]


def test_a_large_column_beside_the_keys():
    """The module csv has a limit of 128 KB; an item has up to 400 KB."""
    large = "x" * 300_000
    found, decoder = decode(f'pk,body,sk\na,{large},1\nb,"{large} "" {large}",2\n'.encode())
    assert found == [key("a", 1), key("b", 2)]
    assert decoder.bad.count == 0


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\r\npk;sk\r\na;1\r\nb;2\r\n",
        '"sep=,"\npk,sk\na,1\nb,2',
        "pk, sk\na, 1\nb, 2\n",
        '"pk", "sk"\n"a", 1\n"b", "2"\n',
        "pk , sk \na , 1 \nb , 2 \n",
        "PK,SK\na,1\nb,2\n",
        "Sk;other;Pk\n1;x;a\n2;y;b\n",
        "pk|sk\na|1\nb|2\n",
        "a,1\nb,2\n",
        "a; 1\nb; 2\n",
        "a\t1.0E+00\nb\t2\n",
        "pk,sk\ra,1\rb,2\r",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-16", "utf-32"])
def test_headers_and_separators_of_common_programs(text: str, encoding: str):
    """In every encoding that is recognized by a mark or by zero bytes, in one chunk and byte by byte."""
    data = text.encode(encoding)
    for cuts in ((), tuple(range(len(data)))):
        assert decode(data, cuts=cuts)[0] == [key("a", 1), key("b", 2)]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("a\nb\n", HASH),  # a header that is called otherwise, or a key?
        ("a,b\nc,d\n", TEXTS),  # which one is the sort key?
        ("a,1,x\nb,2,y\n", BOTH),
        ("1,a\n2,b\n", BOTH),
        ("Pk,PK,sk\na,b,1\n", BOTH),
        ("pk,pk,sk\na,b,1\n", BOTH),
        ("Items:\n- pk: a\n", BOTH),
    ],
)
def test_ambiguous_headers_are_refused(text: str, keys: KeySchema):
    with pytest.raises(
        UsageError, match=r"line 1 is neither JSON nor the header .* columns?\); .* first line"
    ) as caught:
        decode(text.encode(), keys)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "bad"), [("1.23457E+11", 1), ("1E+11", 1), ("1.0E+00", 0), ("1E+3", 0), ("1.5E+01", 0)]
)
def test_numbers_that_a_spreadsheet_has_shortened_are_bad_lines(text: str, bad: int):
    """`1.23457E+11` has lost six digits: it would be the key of another item or of none."""
    for keys, line in ((BOTH, f"pk,sk\na,{text}\n"), (HASH, f"pk\n{text}\n")):
        assert decode(line.encode(), keys)[1].bad.count == bad
