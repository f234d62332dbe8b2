"""Bytes of a list: gzip or plain, JSON lines or CSV, in chunks of any size; bad lines by number."""

import csv
import gzip
import io
import json
import tracemalloc
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.errors import UsageError
from refire_async.model.keys import Key, KeySchema
from refire_async.sources.bad_lines import FIRST_BAD_LINES
from refire_async.sources.key_decoder import KeyDecoder
from refire_async.sources.lines import MAX_LINE_BYTES

HASH = KeySchema("pk", "S")
BOTH = KeySchema("pk", "S", "sk", "N")
BYTES = KeySchema("pk", "B")


def packed(data: bytes) -> bytes:
    """`data` as gzip, without a time stamp."""
    return gzip.compress(data, mtime=0)


def decode(data: bytes, keys: KeySchema = BOTH, cuts: tuple[int, ...] = ()) -> tuple[list[Key], KeyDecoder]:
    """All keys of `data`, in chunks that end at `cuts`."""
    decoder = KeyDecoder("keys", keys)
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    found = []
    for start, end in pairwise(borders):
        found += decoder.feed(data[start:end])
    return [*found, *decoder.finish()], decoder


def key(pk: str, sk: int | str) -> Key:
    return {"pk": {"S": pk}, "sk": {"N": str(sk)}}


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
rows = st.lists(st.tuples(texts, st.integers(-(10**20), 10**20)), min_size=1, max_size=12)
cuts = st.lists(st.integers(0, 4000), max_size=8).map(tuple)


def as_json(rows: list[tuple[str, int]], end: str) -> bytes:
    return "".join(
        json.dumps({"sk": sk, "pk": pk}, ensure_ascii=len(pk) % 2 == 0) + end for pk, sk in rows
    ).encode()


def as_csv(rows: list[tuple[str, int]], end: str, delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    # Python before 3.13 leaves a carriage return in a value without quotes, and no reader takes it back.
    quoting = csv.QUOTE_ALL if any("\r" in pk for pk, _ in rows) else csv.QUOTE_MINIMAL
    writer = csv.writer(text, lineterminator=end, delimiter=delimiter, quoting=quoting)
    writer.writerow(["other", "sk", "pk"])
    writer.writerows(["x, y", sk, pk] for pk, sk in rows)
    return text.getvalue().encode()


@given(rows, cuts, st.sampled_from(["\n", "\r\n"]), st.sampled_from([as_json, as_csv]), st.integers(0, 3))
def test_the_keys_do_not_depend_on_form_and_chunks(rows, cuts, end, form, members: int):  # type: ignore[no-untyped-def]
    """JSON and CSV, plain and gzip of one member or several: cut anywhere, even within a character or a header."""
    plain = form(rows, end)
    data = plain
    if members:
        size = len(plain) // members + 1
        data = b"".join(packed(plain[n : n + size]) for n in range(0, len(plain), size))
    found, decoder = decode(data, cuts=cuts)
    assert found == [key(pk, sk) for pk, sk in rows]
    assert decoder.bad.count == 0


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_are_found_by_their_names(delimiter: str):
    """With any delimiter, and with the byte order mark of some programs."""
    data = b"\xef\xbb\xbf" + as_csv([("a;b\t,c", 1), ('quo"te', -5)], "\r\n", delimiter)
    assert decode(data)[0] == [key("a;b\t,c", 1), key('quo"te', -5)]


def test_values_have_the_types_of_the_key_schema():
    """Digits of a string key stay text, numbers become canonical, bytes are base64."""
    assert decode(b"pk,sk\n007,1E2\n 7 ,+5.50\n")[0] == [key("007", 100), key(" 7 ", "5.5")]
    assert decode(b"pk\nYR==\n", BYTES)[0] == [{"pk": {"B": "YQ=="}}]


@pytest.mark.parametrize("data", [b"", b"\n\n  \n", b"pk,sk\n", packed(b""), b"\xef\xbb\xbf"])
def test_an_empty_list_has_no_keys(data: bytes):
    found, decoder = decode(data)
    assert (found, decoder.bad.count) == ([], 0)


def test_bad_lines_have_the_numbers_that_an_editor_shows():
    """Blank lines count, and a row that spans several lines counts from its first."""
    found, decoder = decode(b'{"pk": "a", "sk": 1}\n\n{"pk": "b"}\n\n\noops\n{"pk": "c", "sk": 3}\n')
    assert found == [key("a", 1), key("c", 3)]
    assert decoder.bad.first == [(3, "has no 'sk'"), (6, "is not JSON")]
    assert decoder.bad.describe("keys.jsonl") == "keys.jsonl line 3 has no 'sk'; 2 bad lines in all: 3, 6"
    found, decoder = decode(b'pk,sk,note\na,1,"two\nlines"\nb,one,\nc\n,5\n"d",6,"x\n\ny"\n\xff,7,\ne,8,\n')
    assert found == [key("a", 1), key("d", 6), key("e", 8)]
    assert decoder.bad.first == [
        (4, "has an invalid key: a key attribute is not a number"),
        (5, "has too few columns"),
        (6, "has an empty key attribute"),
        (10, "has a key attribute with an unpaired surrogate"),
    ]


@given(st.lists(st.booleans(), min_size=1, max_size=40), cuts)
def test_no_line_is_lost(good: list[bool], cuts: tuple[int, ...]):
    """Every line is a key or counted as bad, wherever the chunks end; only the first few are listed."""
    for lines in (
        [json.dumps({"pk": "a", "sk": 1}) if fine else "{" for fine in good],
        ["pk,sk", *("a,1" if fine else "a,x" for fine in good)],
    ):
        found, decoder = decode("\n".join(lines).encode(), cuts=cuts)
        assert len(found) == sum(good)
        assert decoder.bad.count == len(good) - sum(good)
        first = [number for number, line in enumerate(lines, 1) if line in ("{", "a,x")]
        assert [number for number, _ in decoder.bad.first] == first[:FIRST_BAD_LINES]
        if decoder.bad.count > FIRST_BAD_LINES:
            assert f"and {decoder.bad.count - FIRST_BAD_LINES} more" in decoder.bad.describe("keys")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"nonsense\n", "line 1 is neither JSON nor the header of a CSV with pk, sk"),
        (b"\n\npk,other\n", "line 3 is neither JSON nor the header"),
        (b"pk,pk,sk\n", "line 1 is neither JSON nor the header"),
        (b"x" * (3 * MAX_LINE_BYTES), "line 1 is longer than 8 MB"),
        (b'{"pk": "a", "sk": 1}\n' + b"x" * (3 * MAX_LINE_BYTES), "line 2 is longer than 8 MB"),
        (packed(b'{"pk": "a", "sk": 1}\n' * 1000)[:-9], "ends too early for gzip"),
        (b"\x1f\x8bnonsense", "is damaged gzip"),
        (packed(b'{"pk": "a", "sk": 1}\n') + b"nonsense", "is damaged gzip"),
    ],
)
def test_files_that_are_no_list_are_refused(data: bytes, what: str):
    """In one line, and without reading the whole file into memory."""
    cuts = tuple(range(0, len(data), 1 << 20))
    with pytest.raises(UsageError, match=what) as caught:
        decode(data, cuts=cuts)
    assert "\n" not in str(caught.value)


def test_a_small_chunk_of_gzip_with_much_content_is_unpacked_in_parts():
    """1 GB of zeros packs into 1 MB: the line that never ends is found long before it is in memory."""
    with pytest.raises(UsageError, match="longer than 8 MB"):
        decode(packed(b" " * (64 << 20)))


@pytest.mark.parametrize("unit", [b"[", b'{"pk":', b"x", b" "])
def test_a_gzip_bomb_is_refused(unit: bytes) -> None:
    """64 KB of the file, 64 MB of one line: refused once it is longer than any item, without going through the rest."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([*(packer.compress(unit * ((1 << 20) // len(unit))) for _ in range(64)), packer.flush()])
    decoder = KeyDecoder("list", KeySchema("pk", "S"))
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="longer than 8 MB"):
            list(decoder.feed(bomb))
        assert tracemalloc.get_traced_memory()[1] < 60 << 20
    finally:
        tracemalloc.stop()
