"""What CloudWatch may answer, as botocore hands it on: series, or one line that says why there are none."""

from datetime import UTC, datetime
from typing import Any

import pytest

from refire_async.aws.cloudwatch import parse_metric_data
from refire_async.aws.other_services import UnansweredError
from tests.support.misshapen import misshapen

GOOD: dict[str, Any] = {
    "MetricDataResults": [
        {
            "Id": "q",
            "StatusCode": "Complete",
            "Timestamps": [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 1, tzinfo=UTC)],
            "Values": [1.0, 2.0],
        }
    ]
}
ODD = (
    float("nan"),
    float("inf"),
    -1.0,
    datetime.max.replace(tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    [],
    {},
    "x",
    None,
    10**400,
)


def test_a_good_answer() -> None:
    """The other test shows nothing where this fails."""
    assert list(parse_metric_data(GOOD)["q"].values()) == [1.0, 2.0]


def test_every_part_in_every_other_shape() -> None:
    """Lists of other lengths, times that no calendar has, numbers that are none."""
    shapes = [shape for shape in misshapen(GOOD, ODD) if isinstance(shape, dict)]
    refused = 0
    for shape in shapes:
        try:
            found = parse_metric_data(shape)
        except UnansweredError:
            refused += 1
        else:
            assert all(value >= 0 for series in found.values() for value in series.values())
    assert refused > len(shapes) / 2


def test_lists_of_other_lengths() -> None:
    """More values than times, or fewer."""
    (result,) = GOOD["MetricDataResults"]
    for values in ([1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(UnansweredError):
            parse_metric_data({"MetricDataResults": [{**result, "Values": values}]})
