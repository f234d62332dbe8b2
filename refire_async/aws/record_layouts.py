"""Where the records in an answer to GetRecords are: patterns for what stands between the images of two records. Pure.

In JSON without white space, the bytes of `CUT` stand exactly once in each record, at its own level: the name of an
attribute is followed by an object (`"SequenceNumber":{"S":`), and quotes within a text are escaped. What lies between
two of them is the end of one record and the beginning of the next, up to its images.

Not seen: two members of one name in one record, if the second stands behind the first image. The service sends none.
"""

import re
from typing import NamedTuple

CUT = b'"SequenceNumber":"'
CUT_SIZE = len(CUT)

TEXT = rb'(?:[^"\\]|\\.)*'
TIME = rb"[1-9][0-9]{0,11}(?:\.[0-9]+)?(?:E[0-9])?"

_NUMBERED = rb'(?P<number>[0-9]{1,40})","SizeBytes":(?P<size>[0-9]{1,9}),"StreamViewType":"[A-Z_]+"\}'
_NAMED = rb'"eventID":"(?P<id>[^"\\]*)","eventName":"(?P<kind>INSERT|MODIFY|REMOVE)",'
_USER = rb'(?P<user>,"userIdentity":\{[^{}\\]*\})?\}'

_ORDERS = (
    (
        rb"\{" + _NAMED + rb'"eventVersion":"[^"\\]*","eventSource":"aws:dynamodb","awsRegion":"[^"\\]*",',
        b"",
    ),
    (
        rb'\{"awsRegion":"[^"\\]*",',
        b"," + _NAMED + rb'"eventSource":"aws:dynamodb","eventVersion":"[^"\\]*"',
    ),
)
"""What stands before and behind the change, as DynamoDB Local writes records, and with members by name (API reference:
GetRecords, example)."""


class Layout(NamedTuple):
    """An order of a record's members, as patterns: up to the first record's images, between the images of two records,
    and after those of the last one. `border` is the one byte before, between or behind records."""

    first: re.Pattern[bytes]
    between: re.Pattern[bytes]
    last: re.Pattern[bytes]


def layouts(keys: bytes, *, groups: frozenset[str] | None = None) -> tuple[Layout, ...]:
    """All orders, for records whose `Keys` match a pattern.

    Of the groups `number`, `size`, `id`, `kind`, `user`, `border` and `created` only those in `groups` are captured
    (None: all): each one costs time.
    """
    change = rb'"dynamodb":\{"ApproximateCreationDateTime":(?P<created>%b),"Keys":%b,"' % (TIME, keys)

    def pattern(text: bytes) -> re.Pattern[bytes]:
        if groups is not None:
            text = re.sub(rb"\(\?P<(\w+)>", lambda found: _kept(found, groups), text)
        return re.compile(text)

    return tuple(
        Layout(
            pattern(rb'\{(?:"NextShardIterator":"[^"\\]*",)?"Records":(?P<border>\[)' + begin + change),
            pattern(_NUMBERED + end + _USER + rb"(?P<border>,)" + begin + change),
            pattern(
                _NUMBERED + end + _USER + rb'(?P<border>\])(?:,"NextShardIterator":(?:"[^"\\]*"|null))?\}$'
            ),
        )
        for begin, end in _ORDERS
    )


def _kept(found: re.Match[bytes], groups: frozenset[str]) -> bytes:
    return found[0] if found[1].decode() in groups else b"(?:"
