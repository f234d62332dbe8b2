"""Lambda and CloudWatch for a run: mappings of a stream, and figures by minute that arrive late."""

import datetime as dt
import math
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from refire_async.aws.other_services import UnansweredError

MINUTE_S = 60
KEPT_S = 15 * MINUTE_S


class Metric:
    """Values by the second in which they were measured. Those younger than `lag_s` are not available yet."""

    def __init__(self, lag_s: float, of_minute: Callable[[Iterable[float]], float] = max) -> None:
        """`of_minute`: combines all values of a minute or a second, as their maximum or their sum."""
        self.lag_s = lag_s
        self._seconds: dict[int, float] = {}
        self._of_minute = of_minute

    def add(self, value: float, now: float) -> None:
        """Add a value measured now."""
        second = math.floor(now)
        if second in self._seconds:
            self._seconds[second] = self._of_minute((self._seconds[second], value))
            return
        self._seconds[second] = value
        if next(iter(self._seconds)) < second - 2 * KEPT_S:
            self._seconds = {at: found for at, found in self._seconds.items() if at >= second - KEPT_S}

    def by_minute(self, now: float) -> dict[int, float]:
        """The known value of each minute at `now`."""
        found: dict[int, list[float]] = {}
        for second, value in self._seconds.items():
            if second <= now - self.lag_s:
                found.setdefault(second // MINUTE_S * MINUTE_S, []).append(value)
        return {minute: self._of_minute(values) for minute, values in found.items()}


class Function:
    """A function and its metrics. Ages are in seconds. `past`: figures by hour, by metric and statistic, as CloudWatch
    has them.
    """

    def __init__(self, lag_s: float = 60.0, **mapping: Any) -> None:
        self.mapping = mapping
        self.past: dict[tuple[str, str], dict[int, float]] = {}
        self.metrics = {
            "IteratorAge": Metric(lag_s),
            "Errors": Metric(lag_s, sum),
            "Throttles": Metric(lag_s, sum),
        }


class Lambdas:
    """Replaces `Services`. `functions` by name; `refused` by service has the reason why it does not respond."""

    def __init__(self, clock: Callable[[], float], **functions: Function) -> None:
        self.functions = functions
        self.refused: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []
        self.status = "Complete"
        self._clock = clock

    @asynccontextmanager
    async def open(self, service: str, timeout_s: float | None = None) -> AsyncIterator["Lambdas"]:
        """As `Services.open`."""
        if timeout_s is not None and timeout_s <= 0:
            raise ValueError(timeout_s)
        if service not in ("lambda", "cloudwatch"):
            raise UnansweredError(f"{service} is not there")
        if service in self.refused:
            raise UnansweredError(self.refused[service])
        yield self

    async def list_event_source_mappings(self, **question: Any) -> dict[str, Any]:
        """Lambda's response, one mapping per page."""
        names = list(self.functions)
        place = int(question.get("Marker", 0))
        if place >= len(names):
            return {"EventSourceMappings": []}
        arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{names[place]}"
        entry = {
            "FunctionArn": arn,
            "State": "Enabled",
            "BatchSize": 100,
            **self.functions[names[place]].mapping,
        }
        more = {"NextMarker": str(place + 1)} if place + 1 < len(names) else {}
        return {"EventSourceMappings": [entry], **more}

    async def get_metric_data(self, **question: Any) -> dict[str, Any]:
        """CloudWatch's response."""
        self.asked.append(question)
        return {
            "MetricDataResults": [self._result(query, question) for query in question["MetricDataQueries"]]
        }

    def _result(self, query: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
        metric = query["MetricStat"]["Metric"]
        (dimension,) = metric["Dimensions"]
        found: dict[int, float] = {}
        if metric["Namespace"] == "AWS/Lambda" and dimension["Name"] == "FunctionName":
            function = self.functions[dimension["Value"]]
            begin, end = question["StartTime"].timestamp(), question["EndTime"].timestamp()
            if query["MetricStat"]["Period"] == MINUTE_S:
                figures = function.metrics[metric["MetricName"]].by_minute(self._clock())
            else:
                figures = function.past.get((metric["MetricName"], query["MetricStat"]["Stat"]), {})
            factor = 1_000.0 if metric["MetricName"] == "IteratorAge" else 1.0
            found = {m: value * factor for m, value in figures.items() if begin <= m < end}
        return {
            "Id": query["Id"],
            "StatusCode": self.status,
            "Timestamps": [dt.datetime.fromtimestamp(minute, dt.UTC) for minute in found],
            "Values": list(found.values()),
        }
