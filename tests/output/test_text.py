"""Numbers and times are readable, and an error is one line for any text in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.output.text import (
    count,
    duration,
    milliseconds,
    one_line,
    percent,
    shorten,
    throttling_reason,
    units,
    visible,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (61, "1 min 01 s"),
        (3599.7, "1 h 00 min"),
        (7320, "2 h 02 min"),
        (172_800, "2 d 00 h"),
        (187_200, "2 d 04 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    """Two units at most, and never 60 of one."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.0%"), (0.1239, "12.3%"), (0.9999, "99.9%"), (1, "100%"), (1.2, "100%")]
)
def test_percent_is_not_rounded_up(share: float, text: str) -> None:
    """100% means that all is done."""
    assert percent(share) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (3, "3"), (12.34, "12.3"), (99.96, "100"), (39_999.6, "40,000")]
)
def test_units(number: float, text: str) -> None:
    """Small numbers keep a decimal, large ones get separators."""
    assert units(number) == text


def test_count_and_milliseconds() -> None:
    """Separators, and a decimal only where it matters."""
    assert count(1_234_567) == "1,234,567"
    assert [milliseconds(s) for s in (0.0008, 0.0124, 1.5)] == ["0.8 ms", "12 ms", "1,500 ms"]


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("TableWriteKeyRangeThroughputExceeded", "table writes: hot key range"),
        ("IndexWriteProvisionedThroughputExceeded", "index writes: provisioned capacity"),
        ("TableReadAccountLimitExceeded", "table reads: account limit"),
        ("TableWriteMaxOnDemandThroughputExceeded", "table writes: on-demand maximum"),
        ("ThrottlingException", "ThrottlingException"),
    ],
)
def test_throttling_reason(reason: str, text: str) -> None:
    """The service's reasons as text; unknown ones are unchanged."""
    assert throttling_reason(reason) == text


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    """No line end and no control character remains."""
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line.isprintable()


@given(st.text())
def test_visible_has_no_control_characters(text: str) -> None:
    """Line ends and printable characters stay as they are, everything else becomes printable."""
    shown = visible(text)
    assert shown.replace("\n", "").isprintable()
    assert shown.count("\n") == text.count("\n")
    if text.replace("\n", "").isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb\tc", "a\\rb\\tc"),
        ("abc\u202edef", "abc\\u202edef"),
        ("caf\udce9", "caf\\udce9"),
        ("two\nlines, größer", "two\nlines, größer"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    """Escapes show as they are written in Python and JSON."""
    assert visible(text) == shown


@given(st.text(alphabet="abc", max_size=40), st.integers(3, 20))
def test_shorten_fits(text: str, width: int) -> None:
    """A long text loses its middle, others are unchanged."""
    short = shorten(text, width)
    assert short == text if len(text) <= width else len(short) == width
    assert short[0:1] == text[0:1]
    assert short[-1:] == text[-1:]
