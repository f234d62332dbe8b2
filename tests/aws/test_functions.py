"""Functions, mappings and pipes as the services describe them."""

from collections import deque
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws.event_source_mappings import ask_mapping, ask_mappings, parse_mapping
from refire_async.aws.function_names import parse_function
from refire_async.aws.functions import ask_function, ask_reserved_concurrency, parse_configuration
from refire_async.aws.other_services import UnansweredError
from refire_async.aws.pipes import ask_pipes, parse_pipe
from refire_async.aws.session import open_session
from refire_async.errors import ExitCode, RefusedError, UsageError
from refire_async.settings import Connection
from tests.aws.raw_server import RawServer, reply

HERE = Connection(region="eu-west-1", endpoint_url="http://127.0.0.1:9")
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:orders"
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"


@pytest.mark.parametrize(
    ("text", "name", "qualifier", "region", "address"),
    [
        ("orders", "orders", None, None, "orders"),
        ("orders:live", "orders", "live", None, "orders"),
        ("orders:$LATEST", "orders", "$LATEST", None, "orders"),
        (ARN, "orders", None, "eu-west-1", ARN),
        (f"{ARN}:7", "orders", "7", "eu-west-1", ARN),
        ("123456789012:function:orders", "orders", None, None, "123456789012:function:orders"),
        ("123456789012:orders:live", "orders", "live", None, "123456789012:orders"),
        ("function:orders", "orders", None, None, "function:orders"),
        ("live:live", "live", "live", None, "live"),
        (
            ARN.replace("aws", "aws-us-gov", 1),
            "orders",
            None,
            "eu-west-1",
            ARN.replace("aws", "aws-us-gov", 1),
        ),
    ],
)
def test_names_of_functions(
    text: str, name: str, qualifier: str | None, region: str | None, address: str
) -> None:
    """Names and ARNs, whole or in part, with and without a qualifier."""
    found = parse_function(text)
    assert (found.name, found.qualifier, found.region, found.address) == (name, qualifier, region, address)
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    ["", "a b", "orders:", "orders:a:b", "a/../b", "or.ders", ARN + "\n", "arn:aws:s3:::b", "ü", "$LATEST"],
)
def test_what_is_no_function(text: str) -> None:
    """It never becomes part of a path."""
    with pytest.raises(UsageError, match="names no Lambda function"):
        parse_function(text)


def test_whole_mapping() -> None:
    """What a delivery takes from a mapping (Lambda API reference: GetEventSourceMapping)."""
    mapping = parse_mapping(
        {
            "UUID": "u-1",
            "FunctionArn": f"{ARN}:live",
            "State": "Enabled",
            "BatchSize": 7,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "TumblingWindowInSeconds": 30,
            "StartingPosition": "LATEST",
            "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:eu-west-1:1:failed"}},
            "LastProcessingResult": "OK",
        }
    )
    assert (mapping.uuid, mapping.function_arn, mapping.state) == ("u-1", f"{ARN}:live", "Enabled")
    assert (mapping.name, mapping.qualifier) == ("orders", "live")
    assert mapping.partial_failures
    assert (mapping.tumbling_s, mapping.starting_position, mapping.last_result) == (30, "LATEST", "OK")
    assert mapping.failure_destination == "arn:aws:sqs:eu-west-1:1:failed"
    assert mapping.has_failure_destination
    bare = parse_mapping({"FunctionArn": ARN, "FunctionResponseTypes": None, "DestinationConfig": None})
    assert (bare.qualifier, bare.partial_failures, bare.tumbling_s) == (None, False, 0)
    assert not bare.has_failure_destination


PIPE = {
    "Name": "orders-pipe",
    "Arn": "arn:aws:pipes:eu-west-1:123456789012:pipe/orders-pipe",
    "DesiredState": "RUNNING",
    "CurrentState": "RUNNING",
    "Source": STREAM,
    "SourceParameters": {
        "FilterCriteria": {"Filters": [{"Pattern": '{"eventName":["INSERT"]}'}]},
        "DynamoDBStreamParameters": {
            "BatchSize": 10,
            "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-west-1:123456789012:dead"},
            "OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
            "MaximumBatchingWindowInSeconds": 2,
            "MaximumRecordAgeInSeconds": -1,
            "MaximumRetryAttempts": 3,
            "ParallelizationFactor": 4,
            "StartingPosition": "LATEST",
        },
    },
    "Target": f"{ARN}:live",
    "TargetParameters": {"InputTemplate": "{}"},
}


def test_whole_pipe() -> None:
    """What a delivery takes from a pipe (EventBridge Pipes API reference: DescribePipe)."""
    pipe = parse_pipe(PIPE)
    assert (pipe.name, pipe.function, pipe.enabled) == ("orders-pipe", "orders:live", True)
    assert (pipe.batch_size, pipe.window_s, pipe.parallelization) == (10, 2, 4)
    assert (pipe.max_age_s, pipe.max_retries, pipe.bisects) == (-1, 3, True)
    assert pipe.filters == ('{"eventName":["INSERT"]}',)
    assert pipe.failure_destination == "arn:aws:sqs:eu-west-1:123456789012:dead"
    assert pipe.transforms
    bare = parse_pipe(
        {"Name": "p", "Arn": "a", "Target": "arn:aws:sqs:eu-west-1:1:q", "DesiredState": "STOPPED"}
    )
    assert (bare.function, bare.enabled, bare.transforms, bare.filters) == (None, False, False, ())


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED")
    return monkeypatch


def json(value: Any, status: int = 200, **headers: str) -> Any:
    return reply(orjson.dumps(value), status, Content_Type="application/json", **headers)


async def test_asking_lambda(aws: pytest.MonkeyPatch) -> None:
    """Over the wire: a function at a qualifier, its concurrency, its mappings."""
    function = {"FunctionName": "orders", "FunctionArn": f"{ARN}:live", "Version": "7", "Timeout": 30}
    mapping = {"UUID": "u-1", "FunctionArn": ARN}
    script = deque(
        [
            json({**function, "State": "Pending", "StateReason": "The function is\nbeing created."}),
            json({"ReservedConcurrentExecutions": 0}),
            json({}),
            json({"EventSourceMappings": [mapping], "NextMarker": "m"}),
            json({"EventSourceMappings": [mapping | {"UUID": "u-2"}]}),
            json(mapping),
        ]
    )
    async with RawServer(script=script) as server:
        aws.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
        async with open_session(HERE, 1) as session:
            name = parse_function(f"{ARN}:live")
            found = await ask_function(session.services, name)
            reserved = [await ask_reserved_concurrency(session.services, name, 60.0) for _ in range(2)]
            mappings = await ask_mappings(session.services, STREAM, 60.0)
            one = await ask_mapping(session.services, "u-1", 60.0)
    assert (found.name, found.arn, found.version, found.timeout_s) == ("orders", f"{ARN}:live", "7", 30)
    assert (found.state, found.state_reason) == ("Pending", "The function is being created.")
    assert reserved == [0, None]
    assert [mapping.uuid for mapping in mappings] == ["u-1", "u-2"]
    assert one.uuid == "u-1"
    assert "Qualifier=live" in server.received[0].line


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            json({"Message": "no"}, 404, X_Amzn_ErrorType="ResourceNotFoundException"),
            "there is no function orders",
        ),
        (json({"Message": "no"}, 403, X_Amzn_ErrorType="AccessDeniedException"), "AccessDeniedException"),
        (json({"FunctionName": "orders"}), "left 'FunctionArn' out"),
        (json([1]), "does not answer as that service does"),
        (
            json({"FunctionName": "orders", "FunctionArn": ARN, "Timeout": "x"}),
            "does not answer as that service",
        ),
    ],
)
async def test_function_that_cannot_be_described(aws: pytest.MonkeyPatch, answer: Any, says: str) -> None:
    """One line, and nothing is invoked."""
    async with RawServer(script=deque([answer])) as server:
        aws.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
        async with open_session(HERE, 1) as session:
            with pytest.raises(RefusedError, match=says) as caught:
                await ask_function(session.services, parse_function("orders"))
    assert caught.value.exit_code is ExitCode.REFUSED
    assert caught.value.action
    assert "\n" not in str(caught.value)


async def test_asking_pipes(aws: pytest.MonkeyPatch) -> None:
    """A prefix matches more than this stream; each pipe of the stream is described."""
    script = deque(
        [
            json({"Pipes": [{"Name": "other", "Source": STREAM + "9"}], "NextToken": "t"}),
            json({"Pipes": [{"Name": "orders-pipe", "Source": STREAM}]}),
            json(PIPE),
        ]
    )
    async with RawServer(script=script) as server:
        aws.setenv("AWS_ENDPOINT_URL_PIPES", server.url)
        async with open_session(HERE, 1) as session:
            (pipe,) = await ask_pipes(session.services, STREAM, 60.0)
    assert pipe.name == "orders-pipe"
    assert "SourcePrefix=" in server.received[0].line
    assert server.received[2].line.startswith("GET /v1/pipes/orders-pipe ")


@pytest.mark.parametrize("answer", [json({"Pipes": [{}]}), json({"Pipes": [7]}), json({"Pipes": 7})])
async def test_misshapen_pipes(aws: pytest.MonkeyPatch, answer: Any) -> None:
    """No answer, said in one line."""
    async with RawServer(script=deque([answer])) as server:
        aws.setenv("AWS_ENDPOINT_URL_PIPES", server.url)
        async with open_session(HERE, 1) as session:
            with pytest.raises(UnansweredError):
                await ask_pipes(session.services, STREAM, 60.0)


@given(timeout=st.none() | st.integers(), state=st.none() | st.text())
def test_timeouts_are_those_that_lambda_has(timeout: int | None, state: str | None) -> None:
    """1 s to 15 min, whatever is said."""
    found = parse_configuration({"FunctionName": "f", "FunctionArn": "a", "Timeout": timeout, "State": state})
    assert 1 <= found.timeout_s <= 900
