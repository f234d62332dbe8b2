"""A table in a sandbox and its consumers in moto, for tests that give them problems."""

import io
import itertools
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from moto.awslambda.models import lambda_backends

from refire_async.aws.config import AwsSession
from refire_async.aws.endpoint import Endpoint
from refire_async.aws.other_services import Services
from refire_async.model.finding import Finding
from refire_async.preflight.check import check
from refire_async.sandbox.errors import ServiceError
from refire_async.settings import Connection, RunSettings
from tests.support.backends import REGION
from tests.support.inprocess_server import InProcess, table_spec
from tests.support.moto import Moto

ACCOUNT = "123456789012"
_NUMBERS = itertools.count()


class Consumers:
    """Lambda, CloudWatch, autoscaling and Kinesis of moto, for many tables in turn."""

    def __init__(self, moto: Moto, stack: ExitStack) -> None:
        def client(service: str) -> Any:
            made = moto.client(service)
            stack.callback(made.close)
            return made

        self.functions, self.metrics, self.kinesis = (client(s) for s in ("lambda", "cloudwatch", "kinesis"))
        self.scaling, self.pipes = client("application-autoscaling"), client("pipes")
        self.services = Services(
            AwsSession(Connection(region=REGION)), Endpoint("http://sandbox/", "sandbox")
        )
        # moto loads a service when it is first queried, which takes longer than a check waits.
        self.metrics.list_metrics()
        self.kinesis.list_streams()
        self.scaling.describe_scalable_targets(ServiceNamespace="dynamodb")
        self.pipes.list_pipes()
        trust = client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
        self.role = trust["Role"]["Arn"]
        # moto requires a stream that it knows. The mapping then gets the sandbox's.
        table = table_spec("known-to-moto")
        self.known_stream = client("dynamodb").create_table(**table)["TableDescription"]["LatestStreamArn"]
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as code:
            code.writestr("f.py", "")
        self.code = archive.getvalue()

    def make_function(self) -> str:
        """Create a function with a unique name."""
        name = f"consumer-{next(_NUMBERS)}"
        self.functions.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role=self.role,
            Handler="f.g",
            Code={"ZipFile": self.code},
        )
        return name

    def map(self, function: str, stream_arn: str, **settings: Any) -> None:
        """Create an event source mapping."""
        made = self.functions.create_event_source_mapping(
            FunctionName=function, EventSourceArn=self.known_stream, StartingPosition="LATEST", **settings
        )
        backend = lambda_backends[ACCOUNT][REGION]
        backend.get_event_source_mapping(made["UUID"]).event_source_arn = stream_arn

    def pipe(self, stream_arn: str, *patterns: str) -> None:
        """Create a pipe that reads the stream, with filter patterns."""
        filters = {"Filters": [{"Pattern": pattern} for pattern in patterns]}
        self.pipes.create_pipe(
            Name=f"pipe-{next(_NUMBERS)}",
            RoleArn=self.role,
            Source=stream_arn,
            Target=f"arn:aws:sqs:{REGION}:{ACCOUNT}:any",
            SourceParameters={
                "FilterCriteria": filters,
                "DynamoDBStreamParameters": {"StartingPosition": "LATEST", "BatchSize": 100},
            },
        )


class Harness:
    """One table, healthy until a test changes it: a stream, backups, and no consumer yet."""

    def __init__(self, consumers: Consumers | None, **spec: Any) -> None:
        """Without `consumers` no other service is queried."""
        self.name = f"orders-{next(_NUMBERS)}"
        sort_key = spec.pop("sort_key", False)
        view_type = spec.pop("view_type", "NEW_AND_OLD_IMAGES")
        stream = {"StreamEnabled": True, "StreamViewType": view_type}
        self.db = InProcess(
            table_spec(self.name, sort_key=sort_key, **{"StreamSpecification": stream, **spec})
        )
        if consumers is not None:
            self.db.services = consumers.services
            self.consumers = consumers
        self.settings: dict[str, Any] = {}
        recovery = {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}
        self.db.answers["DescribeContinuousBackups"] = lambda _: {"ContinuousBackupsDescription": recovery}

    @property
    def stream_arn(self) -> str:
        """The table's stream."""
        arn: str = self.db("DescribeTable", TableName=self.name)["Table"]["LatestStreamArn"]
        return arn

    def fill(self, items: int = 30, **attributes: Any) -> None:
        """Put items. A callable attribute is called with the item's number, and returns None for no attribute."""
        for n in range(items):
            values = {a: v(n) if callable(v) else v for a, v in attributes.items()}
            present = {a: v for a, v in values.items() if v is not None}
            self.db.fill(self.name, [{"pk": {"S": f"o-{n}"}, **present}])

    def describe_as(self, **members: Any) -> None:
        """Make DescribeTable return these members."""
        self.db.answers["DescribeTable"] = lambda answer: {"Table": {**answer["Table"], **members}}

    def deny(self, operation: str) -> None:
        """Deny this operation."""

        def refuse(called: str, _request: dict[str, Any]) -> None:
            if called == operation:
                raise denied(operation)

        def refuse_control(_answer: Any) -> Any:
            raise denied(operation)

        self.db.watch = refuse
        self.db.answers[operation] = refuse_control

    def consumer(self, *filters: str, **settings: Any) -> str:
        """Create a function that is mapped to the stream, and return its name."""
        name = self.consumers.make_function()
        if filters:
            settings["FilterCriteria"] = {"Filters": [{"Pattern": pattern} for pattern in filters]}
        self.consumers.map(name, self.stream_arn, **settings)
        return name

    def measured(self, namespace: str, metric: str, dimension: str, name: str, value: float) -> None:
        """Put a data point with the time of a minute ago."""
        self.consumers.metrics.put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": dimension, "Value": name}],
                    "Timestamp": datetime.fromtimestamp(time.time() - 60, UTC),
                    "Value": value,
                }
            ],
        )

    def kinesis(self, shards: int) -> None:
        """Add an active Kinesis destination."""
        self.consumers.kinesis.create_stream(StreamName=self.name, ShardCount=shards)
        arn = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{self.name}"
        destination = {"StreamArn": arn, "DestinationStatus": "ACTIVE"}
        self.db.answers["DescribeKinesisStreamingDestination"] = lambda _: {
            "KinesisDataStreamDestinations": [destination]
        }

    def scale(self, least: int, most: int) -> None:
        """Scale the table's write capacity."""
        self.consumers.scaling.register_scalable_target(
            ServiceNamespace="dynamodb",
            ResourceId=f"table/{self.name}",
            ScalableDimension="dynamodb:table:WriteCapacityUnits",
            MinCapacity=least,
            MaxCapacity=most,
        )

    async def check(self) -> list[Finding]:
        """The findings of `refire check`."""
        settings = RunSettings(**{"table": self.name, **self.settings})
        async with self.db.open_session(settings.connection, 8) as session:
            return await check(session, settings)


def denied(operation: str) -> ServiceError:
    """The service's error for a missing permission."""
    message = f"User: arn:aws:iam::{ACCOUNT}:user/ann is not authorized to perform: dynamodb:{operation}"
    return ServiceError("AccessDeniedException", message)


@contextmanager
def consumers_of(moto: Moto) -> Iterator[Consumers]:
    """The clients; closed at the end."""
    with ExitStack() as stack:
        yield Consumers(moto, stack)
