"""Lambda's control plane and CloudWatch, as far as a temporary event source mapping needs them, on virtual time.

Each request is checked against botocore's model of the service, as boto3 would before it sends anything. What the
mapping does with its records is a timetable: `FakeAws.work` gives its metrics by seconds since it was made.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import anyio
import botocore.session
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from refire_async.aws.other_services import asking

MODELS = {name: botocore.session.get_session().get_service_model(name) for name in ("lambda", "cloudwatch")}
ACCOUNT = "arn:aws:lambda:eu-west-1:123456789012:function:"
ENABLED_AFTER_S = 45.0
DELETED_AFTER_S = 30.0
START_S = 1_796_000_000.0


class KilledError(BaseException):
    """The process was killed: nothing that it does afterwards has an effect."""


def now() -> float:
    """Unix seconds on the virtual clock."""
    return START_S + anyio.current_time()


@dataclass
class Made:
    """A mapping as it was requested, and its life."""

    uuid: str
    request: dict[str, Any]
    at: float
    deleted_at: float | None = None


@dataclass
class FakeAws:
    """`work(seconds)` are the metrics of the temporary mapping by name, `result(seconds)` its LastProcessingResult.

    `refuse` maps an operation to the errors of its next calls. `metrics` False: CloudWatch denies access.
    """

    work: Callable[[float], Mapping[str, int]]
    result: Callable[[float], str] = lambda seconds: "OK" if seconds < 120 else "No records processed"
    refuse: dict[str, list[str]] = field(default_factory=dict)
    metrics: bool = True
    dead: bool = False
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)
    mappings: dict[str, Made] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, service: str, timeout_s: float | None = 3.0) -> AsyncIterator[Any]:
        """As `Services.open`."""
        async with asking(service, timeout_s):  # type: ignore[arg-type]
            yield _Client(self, service)

    def names(self) -> list[str]:
        """Operations in the order of their calls."""
        return [name for name, _ in self.calls]

    @property
    def left(self) -> list[str]:
        """Temporary things that exist now."""
        return [alias for _, alias in self.aliases] + [
            made.uuid for made in self.mappings.values() if self.state(made) is not None
        ]

    def state(self, made: Made) -> str | None:
        """Of a mapping now; None: gone."""
        if made.deleted_at is not None:
            return "Deleting" if now() < made.deleted_at + DELETED_AFTER_S else None
        return "Creating" if now() < made.at + ENABLED_AFTER_S else "Enabled"


class _Client:
    """The client of one service: an attribute per operation, in Python's spelling."""

    def __init__(self, aws: FakeAws, service: str) -> None:
        self._aws = aws
        self._service = service
        self.meta = SimpleNamespace(region_name="eu-west-1")

    def __getattr__(self, method: str) -> Callable[..., Any]:
        name = "".join(word.capitalize() for word in method.split("_"))

        async def call(**request: Any) -> dict[str, Any]:
            await anyio.sleep(0.05)
            if self._aws.dead:
                raise KilledError
            shape = MODELS[self._service].operation_model(name).input_shape
            report = ParamValidator().validate(request, shape)
            assert not report.has_errors(), report.generate_report()
            self._aws.calls.append((name, request))
            if self._aws.refuse.get(name):
                raise refusal(name, self._aws.refuse[name].pop(0))
            answer: dict[str, Any] = OPERATIONS[name](self._aws, request)
            return answer

        return call


def refusal(operation: str, code: str, message: str = "said so") -> ClientError:
    """An error as botocore raises it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def _describe(aws: FakeAws, made: Made) -> dict[str, Any]:
    state = aws.state(made)
    if state is None:
        raise refusal("GetEventSourceMapping", "ResourceNotFoundException")
    return {
        **{name: value for name, value in made.request.items() if name != "FunctionName"},
        "UUID": made.uuid,
        "FunctionArn": ACCOUNT + made.request["FunctionName"],
        "State": state,
        "LastProcessingResult": aws.result(now() - made.at) if state == "Enabled" else "No records processed",
    }


def _create_alias(aws: FakeAws, request: dict[str, Any]) -> dict[str, Any]:
    place = (request["FunctionName"], request["Name"])
    if place in aws.aliases:
        raise refusal("CreateAlias", "ResourceConflictException")
    aws.aliases[place] = request["FunctionVersion"]
    return {"Name": request["Name"]}


def _delete_alias(aws: FakeAws, request: dict[str, Any]) -> dict[str, Any]:
    if aws.aliases.pop((request["FunctionName"], request["Name"]), None) is None:
        raise refusal("DeleteAlias", "ResourceNotFoundException")
    return {}


def _create_mapping(aws: FakeAws, request: dict[str, Any]) -> dict[str, Any]:
    name, _, alias = request["FunctionName"].partition(":")
    if (name, alias) not in aws.aliases:
        raise refusal("CreateEventSourceMapping", "ResourceNotFoundException")
    for made in aws.mappings.values():
        if made.request["FunctionName"] == request["FunctionName"] and aws.state(made) is not None:
            raise refusal("CreateEventSourceMapping", "ResourceConflictException")
    made = Made(f"uuid-{len(aws.mappings) + 1}", request, now())
    aws.mappings[made.uuid] = made
    return _describe(aws, made)


def _delete_mapping(aws: FakeAws, request: dict[str, Any]) -> dict[str, Any]:
    made = aws.mappings.get(request["UUID"])
    if made is None or aws.state(made) is None:
        raise refusal("DeleteEventSourceMapping", "ResourceNotFoundException")
    if aws.state(made) == "Creating":
        raise refusal("DeleteEventSourceMapping", "ResourceInUseException")
    made.deleted_at = made.deleted_at or now()
    return _describe(aws, made)


def _get_mapping(aws: FakeAws, request: dict[str, Any]) -> dict[str, Any]:
    made = aws.mappings.get(request["UUID"])
    if made is None:
        raise refusal("GetEventSourceMapping", "ResourceNotFoundException")
    return _describe(aws, made)


def _list_mappings(aws: FakeAws, request: dict[str, Any]) -> dict[str, Any]:
    return {
        "EventSourceMappings": [
            _describe(aws, made)
            for made in aws.mappings.values()
            if aws.state(made) is not None and made.request["EventSourceArn"] == request["EventSourceArn"]
        ]
    }


def _get_metric_data(aws: FakeAws, request: dict[str, Any]) -> dict[str, Any]:
    if not aws.metrics:
        raise refusal("GetMetricData", "AccessDenied")
    results = []
    for query in request["MetricDataQueries"]:
        metric = query["MetricStat"]["Metric"]
        made = aws.mappings[metric["Dimensions"][0]["Value"]]
        assert metric["Namespace"] == "AWS/Lambda"
        value = aws.work(now() - made.at).get(metric["MetricName"])
        at = [] if value is None else [datetime.fromtimestamp(made.at, UTC)]
        values = [] if value is None else [float(value)]
        results.append({"Id": query["Id"], "Timestamps": at, "Values": values, "StatusCode": "Complete"})
    return {"MetricDataResults": results}


OPERATIONS: dict[str, Callable[[FakeAws, dict[str, Any]], dict[str, Any]]] = {
    "CreateAlias": _create_alias,
    "DeleteAlias": _delete_alias,
    "CreateEventSourceMapping": _create_mapping,
    "DeleteEventSourceMapping": _delete_mapping,
    "GetEventSourceMapping": _get_mapping,
    "ListEventSourceMappings": _list_mappings,
    "GetMetricData": _get_metric_data,
}
