"""The sandbox without its HTTP, in the same loop as the engine and on the same virtual clock.

The engine runs against it unchanged: only the session is another one. Hours of capacity, throttling and stream
records pass in milliseconds, always in the same way.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import anyio
import orjson
from botocore.exceptions import ClientError

from refire_async.aws.control_plane import ControlPlane
from refire_async.aws.data_plane import DataPlane
from refire_async.aws.endpoint import Endpoint
from refire_async.aws.http_backend import DEFAULT_TIMEOUTS
from refire_async.aws.other_services import Services, UnansweredError
from refire_async.aws.route import Route
from refire_async.aws.session import Session
from refire_async.aws.streams import StreamReader
from refire_async.aws.transport_errors import failure
from refire_async.aws.types import Request, Response, Transport
from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.chaos import Call, Chaos
from refire_async.sandbox.database import Database
from refire_async.sandbox.database import Session as Caller
from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.fault_specs import parse_faults
from refire_async.sandbox.http import Ending
from refire_async.sandbox.http import Response as Answer
from refire_async.sandbox.operations import OPERATIONS
from refire_async.sandbox.responses import error_response
from refire_async.sandbox.tables import load_tables
from refire_async.settings import Connection
from tests.support.virtual_time import START_S

REGION = "eu-west-1"
WRITES = ("BatchExecuteStatement", "UpdateItem")
EPOCH = 1_767_225_600.0

Item: TypeAlias = dict[str, Any]
Watch: TypeAlias = Callable[[str, dict[str, Any]], None]
"""Called with every data-plane call before it is carried out; an error that it raises is the response."""


class LoopClock:
    """The running loop's time, for the sandbox."""

    def monotonic(self) -> float:
        """Virtual seconds; the start of the loop if none runs yet."""
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return START_S

    def time(self) -> float:
        """Unix seconds."""
        return EPOCH + self.monotonic()


def table_spec(
    name: str = "orders", *, sort_key: bool = False, stream: bool = True, **more: Any
) -> dict[str, Any]:
    """CreateTable members: hash key `pk` (S), with `sort_key` a sort key `sk` (N); on demand by default."""
    types = {"pk": "S", **({"sk": "N"} if sort_key else {})}
    roles = ("HASH", "RANGE")
    return {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in types.items()],
        "KeySchema": [{"AttributeName": n, "KeyType": r} for n, r in zip(types, roles, strict=False)],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {
            "StreamEnabled": stream,
            **({"StreamViewType": "NEW_IMAGE"} if stream else {}),
        },
        **more,
    }


class InProcess:
    """One DynamoDB. `watch` gets every data-plane call; `latency_s` is the range of a call's duration."""

    def __init__(
        self,
        *tables: dict[str, Any],
        burst_seconds: float = 300.0,
        partitions: int | None = None,
        growth_after: float | None = None,
    ) -> None:
        capacity = CapacitySettings(burst_seconds=burst_seconds)
        if growth_after is not None:
            capacity = capacity.with_growth_after(growth_after)
        self._database = Database(clock=LoopClock(), settings=capacity, partitions=partitions)
        load_tables(self._database, tables)
        self._chaos = Chaos(self._database, latency=None, seed=0)
        self._draw = random.Random(3)
        self.latency_s = (0.002, 0.010)
        self.watch: Watch | None = None
        self.calls: Counter[str] = Counter()
        self.connections: list[Connection] = []
        self.services: Services | None = None
        self.answers: dict[str, Callable[[Any], Any]] = {}
        """Changes the response of a control call, by operation: for settings that the sandbox does not have."""

    def __call__(self, operation: str, **request: Any) -> Any:
        """Carry out an operation at once. Raises ServiceError."""
        return orjson.loads(orjson.dumps(self._handler(operation)(Caller(self._database, REGION), request)))

    @staticmethod
    def _handler(operation: str) -> Callable[..., Any]:
        return next(handler for target, handler in OPERATIONS.items() if target.endswith(f".{operation}"))

    async def _transport(self, request: Request) -> Response:
        self.calls[request.operation] += 1
        await anyio.sleep(self._draw.uniform(*self.latency_s) / 2)
        parsed = orjson.loads(request.body)
        try:
            if self.watch is not None:
                self.watch(request.operation, parsed)
            answer = self._chaos.run(
                Call(request.operation, REGION, parsed, partial(self._execute, request, parsed))
            )
        except ServiceError as error:
            answer = error_response(error)
        await self._arrival(answer)
        await anyio.sleep(self._draw.uniform(*self.latency_s) / 2)
        return Response(answer.status, {}, answer.body)

    def _execute(self, request: Request, parsed: Any) -> bytes:
        return orjson.dumps(self._handler(request.operation)(Caller(self._database, REGION), parsed))

    @staticmethod
    async def _arrival(answer: Answer) -> None:
        """Wait for the latency of the response. Raises the AWS client's error for one that is incomplete."""
        dripping_s = len(answer.body) / answer.bytes_per_s if answer.ending is Ending.DRIP else 0.0
        if answer.ending is Ending.SILENT or dripping_s > DEFAULT_TIMEOUTS.answer_s:
            await anyio.sleep(DEFAULT_TIMEOUTS.answer_s)
            raise failure("Timeout", "sandbox")
        await anyio.sleep(answer.delay_s + dripping_s)
        if answer.ending is Ending.RESET:
            raise failure("ConnectionLost", "sandbox")
        if answer.ending is Ending.TRUNCATED:
            raise failure("TruncatedAnswer", "sandbox")
        if answer.wrong_crc:
            raise failure("DamagedAnswer", "sandbox")

    def break_down(self, document: dict[str, Any]) -> None:
        """Put the faults of a fault file in force."""
        self._chaos.install(parse_faults(document))

    @property
    def struck(self) -> int:
        """The number of requests and members that a fault has struck."""
        return sum(fault["struck"] for fault in self._chaos.struck())

    async def _streams_transport(self) -> Transport:
        return self._transport

    @asynccontextmanager
    async def open_session(self, connection: Connection, concurrency: int) -> AsyncIterator[Session]:
        """Replaces the engine's `open_session`."""
        if concurrency < 1:
            raise ValueError(concurrency)
        self.connections.append(connection)
        control = ControlPlane(_Client(self), "sandbox")
        yield Session(
            data=DataPlane(self._transport),
            control=control,
            streams=StreamReader(self._streams_transport),
            services=self.services or Services(_Alone(), Endpoint("http://sandbox/", "sandbox")),
            region=REGION,
            route=Route(Endpoint("http://sandbox/", "sandbox"), REGION),
        )

    def fill(self, table: str, items: list[Item]) -> None:
        """Put items."""
        for item in items:
            self("PutItem", TableName=table, Item=item)

    def items(self, table: str) -> list[Item]:
        """All items of a table."""
        found: list[Item] = []
        more: dict[str, Any] = {}
        while True:
            page = self("Scan", TableName=table, **more)
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                return found
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def fired(self, table: str) -> Counter[str]:
        """MODIFY records of a table's stream by hash key."""
        arn = self("DescribeTable", TableName=table)["Table"]["LatestStreamArn"]
        found: Counter[str] = Counter()
        for shard in self("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]:
            start = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = self("GetShardIterator", **start)["ShardIterator"]
            while iterator is not None:
                page = self("GetRecords", ShardIterator=iterator)
                for record in page["Records"]:
                    if record["eventName"] == "MODIFY":
                        found[
                            "/".join(str(next(iter(v.values()))) for v in record["dynamodb"]["Keys"].values())
                        ] += 1
                iterator = page.get("NextShardIterator") if page["Records"] else None
        return found


def _as_it_is(answer: Any) -> Any:
    return answer


class _Alone:
    """An AWS session without any other service."""

    def client(self, service: str) -> Any:
        """Refuses."""
        raise UnansweredError(f"{service} was not asked")

    def configured_endpoint(self, service: str) -> str | None:
        """None is set."""


class _Client:
    """The part of an aioboto3 client that the control plane uses."""

    def __init__(self, service: InProcess) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = "".join(word.title() for word in name.split("_"))

        async def call(**request: Any) -> Any:
            await anyio.sleep(0.005)
            try:
                answer = self._service(operation, **request)
                return self._service.answers.get(operation, _as_it_is)(answer)
            except ServiceError as error:
                said = {"Error": {"Code": error.type, "Message": error.message}}
                raise ClientError(said, operation) from error  # type: ignore[arg-type]

        return call
