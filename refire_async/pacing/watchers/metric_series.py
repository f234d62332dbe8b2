"""CloudWatch's answers as series by minute."""

import math
from collections.abc import Mapping
from typing import Any

from refire_async.aws.other_services import UnansweredError
from refire_async.pacing.headroom import minute_of


def read_series(answer: Mapping[str, Any]) -> dict[str, dict[int, float]]:
    """The figures of a GetMetricData answer, by id of the query and minute (its first second since 1970).

    Raises:
        UnansweredError: it is not all of what was asked for, or makes no sense.
    """
    found: dict[str, dict[int, float]] = {}
    try:
        for result in answer["MetricDataResults"]:
            # PartialData means more pages; a quarter of an hour is one page (CloudWatch API: GetMetricData).
            if result.get("StatusCode", "Complete") != "Complete":
                raise UnansweredError(f"cloudwatch answered with {result['StatusCode']}")
            minutes = [minute_of(moment.timestamp()) for moment in result["Timestamps"]]
            values = [float(value) for value in result["Values"]]
            if not all(math.isfinite(value) and value >= 0 for value in values):
                raise UnansweredError("cloudwatch answered with a figure that cannot be")
            found[result["Id"]] = dict(zip(minutes, values, strict=True))
    except (LookupError, ValueError, TypeError, AttributeError):
        raise nonsense() from None
    return found


def nonsense() -> UnansweredError:
    """The answer is to another question."""
    return UnansweredError("cloudwatch answered something else than was asked for")
