"""Files of failure records are divided into the same texts, however the bytes arrive."""

from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.delivery.sources import failures
from refire_async.delivery.sources.failures import split_documents
from refire_async.errors import UsageError
from tests.support.examples import examples

LINES = b'{"a": 1}\n\n{"b": 2}\n{"c": "3'
DOCUMENT = b'{\n "a": [1,\n 2]\n}\n'


async def _arriving(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _split(pieces: Sequence[bytes]) -> list[tuple[bytes, str]]:
    async def collect() -> list[tuple[bytes, str]]:
        return [found async for found in split_documents("f", _arriving(pieces))]

    return anyio.run(collect)


def _pieces(content: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    return [content[start:end] for start, end in pairwise(ends)]


@examples(40, 2_000)
@given(
    content=st.sampled_from([LINES, DOCUMENT, LINES + b"\n", b"", b"\n", b" \n{}"]),
    cuts=st.lists(st.integers(0, 40)),
)
def test_the_texts_do_not_depend_on_where_the_bytes_are_cut(content: bytes, cuts: list[int]) -> None:
    """Lines where the first one is a whole text, else one document; as if the content came in one piece."""
    assert _split(_pieces(content, cuts)) == _split([content])


def test_lines_are_numbered_and_a_document_is_one_text() -> None:
    """Blank lines count and are left out; a line without an end is a text too."""
    assert _split([LINES]) == [
        (b'{"a": 1}', "f line 1"),
        (b'{"b": 2}', "f line 3"),
        (b'{"c": "3', "f line 4"),
    ]
    assert _split([DOCUMENT]) == [(DOCUMENT, "f")]


@pytest.mark.parametrize("first", [b"{\n", b"{}\n", b""], ids=["document", "line", "no-line-end"])
def test_a_text_that_is_too_large_is_refused(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds for a document, for a later line, and before any line end; not for the whole of many lines."""
    monkeypatch.setattr(failures, "LARGEST_DOCUMENT", 64)
    with pytest.raises(UsageError, match="more than"):
        _split([first, *[b"x" * 10] * 8])
    assert len(_split([b"{}\n"] * 100)) == 100
