"""Filter patterns of a temporary mapping, judged by our own matcher of patterns."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.delivery.mapping_filters import MOST_FILTERS, window_patterns
from refire_async.delivery.patterns import Patterns
from refire_async.delivery.record import EventRecord
from refire_async.delivery.window import Window
from refire_async.errors import UsageError

FILTERS = (
    '{"dynamodb":{"NewImage":{"state":{"S":["open"]}}}}',
    '{"eventName":["INSERT","REMOVE"]}',
    '{"dynamodb":{"NewImage":{"state":{"S":[{"prefix":"o"}]}}},"eventName":["MODIFY"]}',
    "{}",
)


def _record(kind: str, at: float, state: str) -> EventRecord:
    body = orjson.dumps(
        {
            "eventName": kind,
            "dynamodb": {"ApproximateCreationDateTime": at, "NewImage": {"state": {"S": state}}},
        }
    )
    return EventRecord(body, b"{}", 1, at, kind)


@given(
    filters=st.lists(st.sampled_from(FILTERS), max_size=3),
    kinds=st.sets(st.sampled_from(["INSERT", "MODIFY", "REMOVE"])),
    kind=st.sampled_from(["INSERT", "MODIFY", "REMOVE"]),
    at=st.sampled_from([99.0, 100.0, 100.4, 150.0, 199.999, 200.0, 200.25, 201.0]),
    state=st.sampled_from(["open", "other", "closed"]),
)
def test_passes_what_direct_delivery_selects(
    filters: list[str], kinds: set[str], kind: str, at: float, state: str
) -> None:
    """The original pattern, the window and the kinds, all at once."""
    window, record = Window(100.7, 200.25), _record(kind, at, state)
    merged = Patterns(window_patterns(filters, window, kinds))
    expected = at in window and (not kinds or kind in kinds) and Patterns(tuple(filters)).passes(record)
    assert merged.passes(record) == expected


@pytest.mark.parametrize(
    ("filters", "kinds", "said"),
    [
        (['{"dynamodb":{"ApproximateCreationDateTime":[{"exists":true}]}}'], [], "cannot be limited"),
        (['{"$or":[{"dynamodb":{"ApproximateCreationDateTime":[1]}},{}]}'], [], "cannot be limited"),
        (['{"dynamodb":[{"exists":true}]}'], [], "cannot be limited"),
        (['{"eventName":[{"prefix":"I"}]}'], ["INSERT"], "--event"),
        (['{"$or":[{"eventName":["INSERT"]},{"eventName":["MODIFY"]}]}'], ["INSERT"], "--event"),
        (["{}"] * (MOST_FILTERS + 1), [], "at most 10"),
        (['{"eventID":["' + "x" * 4_100 + '"]}'], [], "longer than 4,096"),
    ],
)
def test_refused(filters: list[str], kinds: list[str], said: str) -> None:
    """What cannot be expressed is one line that names the other way."""
    with pytest.raises(UsageError, match=said) as refused:
        window_patterns(filters, Window(1.0, 2.0), kinds)
    assert "--how direct" in str(refused.value)
