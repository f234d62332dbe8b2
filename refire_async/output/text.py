"""Numbers, times and untrusted text, formatted for people."""

import math
from typing import TextIO


def count(number: float) -> str:
    """A whole number with separators: `1,234,567`."""
    return f"{number:,.0f}"


def units(number: float) -> str:
    """Capacity units or a rate: one decimal below 100, `12.5`, `812`, `39,500`."""
    return f"{number:,.1f}" if abs(number) < 99.95 and number != int(number) else f"{number:,.0f}"


def percent(share: float) -> str:
    """A share (0 to 1) with one decimal, rounded down: `100%` only at 1."""
    return "100%" if share >= 1 else f"{math.floor(share * 1000) / 10:.1f}%"


def duration(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3 min 20 s`, `5 h 02 min`, `3 d 04 h`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours:02d} h"


def about_duration(seconds: float) -> str:
    """An estimate, to its largest unit or two: `5 s`, `42 s`, `2 min`, `5 h 02 min`, `3 d 04 h`."""
    if seconds < 59.5:
        return f"{max(math.ceil(seconds), 1)} s"
    return f"{round(seconds / 60)} min" if seconds < 3570 else duration(seconds)


def milliseconds(seconds: float) -> str:
    """A latency: `0.8 ms`, `12 ms`, `1,500 ms`."""
    value = seconds * 1000
    return f"{value:,.1f} ms" if value < 9.95 else f"{value:,.0f} ms"


def dollars(amount: float) -> str:
    """US dollars: `<$0.0001`, `$0.0042`, `$0.62`, `$1,234`."""
    if 0 < amount < 0.0001:
        return "<$0.0001"
    if amount >= 99.995:
        return f"${amount:,.0f}"
    return f"${amount:.2f}" if amount >= 0.095 or amount == 0 else f"${amount:.4f}"


_REASONS = (
    ("KeyRange", "hot key range"),
    ("AccountLimit", "account limit"),
    ("MaxOnDemand", "on-demand maximum"),
)


def throttling_reason(reason: str) -> str:
    """A throttling reason of DynamoDB in a few words.

    The service builds them from {Table|Index}{Read|Write}{what was exceeded} (DynamoDB Developer Guide:
    Diagnosing throttling). Anything else stays as it is.
    """
    side = "index" if reason.startswith("Index") else "table"
    kind = "reads" if "Read" in reason else "writes"
    for part, text in _REASONS:
        if part in reason:
            return f"{side} {kind}: {text}"
    if "ProvisionedThroughput" in reason and reason.startswith(("Index", "Table")):
        return f"{side} {kind}: provisioned capacity"
    return reason


def visible(text: str) -> str:
    r"""`text` with control and formatting characters escaped: an ESC shows as `\x1b`, a bidi override as `\u202e`.

    Line ends stay. For everything printed that may contain foreign text: reasons, names of tables and indexes,
    messages of services, paths. A lone surrogate (a byte of a path that is not UTF-8) shows as `\udcff`.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def visible_json(line: str, *, ascii_only: bool = False) -> str:
    r"""As `visible` for a line of JSON, which stays the same JSON: an ESC shows as `\u001b`.

    `ascii_only`: all other than ASCII is escaped too, for a stream whose encoding lacks them.
    """
    if line.isprintable() and (line.isascii() or not ascii_only):
        return line
    return "".join(
        c if c.isprintable() and (c.isascii() or not ascii_only) else _json_escape(c) for c in line
    )


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def is_utf8(stream: TextIO) -> bool:
    """Whether the stream's encoding is UTF-8. Streams in memory, which have no encoding, count as such."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").replace("_", "") == "utf8"


def one_line(text: str) -> str:
    """`text` without line ends or control characters, so that an error message stays on one line."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` characters; an ellipsis replaces the middle."""
    if len(text) <= width:
        return text
    head = width // 2
    tail = width - 1 - head
    return f"{text[:head]}…{text[len(text) - tail :]}"
