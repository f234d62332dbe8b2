"""Lines of the control socket: each message is decoded as sent, and any other input is rejected in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.pacing.control.protocol import (
    ProtocolError,
    RefusedVerbError,
    decode_answer,
    decode_request,
    encode_answer,
    encode_error,
    encode_request,
)

values = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=20))
members = st.dictionaries(
    st.text(max_size=10).filter(lambda name: name not in ("refire", "verb", "error")), values
)


@given(st.text(max_size=20), members)
def test_requests_are_decoded_as_sent(verb: str, given_members: dict[str, object]) -> None:
    line = encode_request(verb, given_members)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    request = decode_request(line)
    assert (request.verb, request.members) == (verb, given_members)


@given(members)
def test_answers_are_decoded_as_sent(given_members: dict[str, object]) -> None:
    assert decode_answer(encode_answer(given_members)) == given_members


@given(st.text(max_size=200))
def test_errors_arrive_in_one_line(error: str) -> None:
    with pytest.raises(RefusedVerbError) as caught:
        decode_answer(encode_error(error))
    assert len(str(caught.value).splitlines()) <= 1


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET / HTTP/1.1",
        b"[1]",
        b"null",
        b'{"verb": "rate"}',
        b'{"refire": 2, "verb": "rate"}',
        b'{"refire": true, "verb": "rate"}',
        b'{"refire": 1}',
        b'{"refire": 1, "verb": ["rate"]}',
        b"\xff\xfe",
        b"[" * 4_000,
    ],
)
def test_any_other_input_is_rejected(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_request(line)


@given(st.binary(max_size=100))
def test_no_bytes_break_the_decoder(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_request(line)
