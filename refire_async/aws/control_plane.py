"""Describe tables with aioboto3, which retries by itself. These calls are rare."""

from typing import Any

import anyio

from refire_async.aws.botocore_errors import FOREIGN, from_control_plane
from refire_async.aws.credentials import CredentialSource
from refire_async.aws.errors import AwsError
from refire_async.aws.http_backend import CALL_S
from refire_async.aws.transport_errors import failure
from refire_async.errors import ExitCode
from refire_async.model.keys import IndexKeys, KeyAttribute, KeySchema
from refire_async.model.table import BillingMode, Index, Stream, Table, Throughput


class ControlPlane:
    """Describes tables, by name or ARN. Every error is an AwsError, from the same error table as the data plane's.

    Control calls write nothing: the exit code of their errors is REFUSED.
    """

    def __init__(
        self,
        client: Any,
        host: str,
        credentials: CredentialSource | None = None,
    ) -> None:
        """`client`, an open aioboto3 client for DynamoDB, signs with `credentials`; the caller closes it."""
        self._client = client
        self._host = host
        self._credentials = credentials

    async def describe_table(self, name: str) -> Table:
        """The description of the table."""
        described = await self._ask("DescribeTable", self._client.describe_table, name, "Table")
        try:
            return parse_table(described)
        except (
            LookupError,
            ValueError,
        ) as error:  # botocore checks the types; missing members raise here
            raise self._refused("UnreadableAnswer") from error

    async def ttl_attribute(self, name: str) -> str | None:
        """The TTL attribute; None if time to live is disabled or being disabled."""
        described = await self._ask(
            "DescribeTimeToLive", self._client.describe_time_to_live, name, "TimeToLiveDescription"
        )
        if described.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
            return None
        attribute: str | None = described.get("AttributeName")
        return attribute

    async def kinesis_destinations(self, name: str) -> tuple[str, ...]:
        """ARNs of the Kinesis data streams that receive changes of the table at present."""
        try:
            destinations = await self._ask(
                "DescribeKinesisStreamingDestination",
                self._client.describe_kinesis_streaming_destination,
                name,
                "KinesisDataStreamDestinations",
            )
        except AwsError as error:
            if error.name == "UnknownOperation":  # an emulator
                return ()
            raise
        return tuple(
            destination["StreamArn"]
            for destination in destinations
            if destination.get("DestinationStatus") == "ACTIVE" and "StreamArn" in destination
        )

    async def point_in_time_recovery(self, name: str) -> bool:
        """Whether point-in-time recovery of the table is enabled."""
        described: dict[str, Any] = await self._ask(
            "DescribeContinuousBackups",
            self._client.describe_continuous_backups,
            name,
            "ContinuousBackupsDescription",
        )
        recovery = described.get("PointInTimeRecoveryDescription", {})
        return bool(recovery.get("PointInTimeRecoveryStatus") == "ENABLED")

    async def _ask(self, operation: str, method: Any, table: str, member: str) -> Any:
        """Call `method` for `table`, and return `member` of its answer. Raises AwsError."""
        try:
            with anyio.fail_after(CALL_S):
                answer: dict[str, Any] = await method(TableName=table)
        except FOREIGN as error:
            owner = "" if self._credentials is None else self._credentials.owner
            raise from_control_plane(error, operation, self._host, owner) from error
        except TimeoutError as error:
            raise self._refused("Timeout") from error
        if member not in answer:  # botocore accepts any 200 as an answer
            raise self._refused("UnreadableAnswer")
        return answer[member]

    def _refused(self, code: str) -> AwsError:
        error = failure(code, self._host)
        error.exit_code = ExitCode.REFUSED
        return error


def parse_table(described: dict[str, Any]) -> Table:
    """Parse a TableDescription. Raises LookupError or ValueError if it lacks a member that every table has."""
    types = {entry["AttributeName"]: entry["AttributeType"] for entry in described["AttributeDefinitions"]}
    # Tables that were never on demand have no summary (API reference: TableDescription).
    billing: BillingMode = described.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    indexes = [
        *(_index(entry, "global", types, billing) for entry in described.get("GlobalSecondaryIndexes", ())),
        *(_index(entry, "local", types, billing) for entry in described.get("LocalSecondaryIndexes", ())),
    ]
    stream = described.get("StreamSpecification", {})
    return Table(
        name=described["TableName"],
        arn=described["TableArn"],
        # DynamoDB Local has no TableId; the creation time also distinguishes a table from its successor.
        table_id=described.get("TableId") or f"created {described['CreationDateTime'].timestamp():.3f}",
        status=described["TableStatus"],
        keys=_keys(described["KeySchema"], types),
        billing=billing,
        throughput=_throughput(described, billing),
        indexes=tuple(indexes),
        stream=Stream(
            enabled=bool(stream.get("StreamEnabled")),
            view_type=stream.get("StreamViewType"),
            arn=described.get("LatestStreamArn"),
        ),
        item_count=described.get("ItemCount", 0),
        size_bytes=described.get("TableSizeBytes", 0),
        replicas=tuple(entry["RegionName"] for entry in described.get("Replicas", ())),
    )


def _keys(schema: list[dict[str, str]], types: dict[str, str]) -> KeySchema:
    """The keys of a table, which has one hash key and at most one sort key."""
    ((hash_name, hash_type),) = _key_attributes(schema, "HASH", types)
    range_name, range_type = next(iter(_key_attributes(schema, "RANGE", types)), (None, None))
    return KeySchema(hash_name, hash_type, range_name, range_type)


def _key_attributes(
    schema: list[dict[str, str]], kind: str, types: dict[str, str]
) -> tuple[KeyAttribute, ...]:
    """The key attributes of a kind, in the schema's order."""
    names = (entry["AttributeName"] for entry in schema if entry["KeyType"] == kind)
    return tuple((name, types[name]) for name in names)


def _index(entry: dict[str, Any], scope: Any, types: dict[str, str], billing: BillingMode) -> Index:
    projection, schema = entry["Projection"], entry["KeySchema"]
    return Index(
        name=entry["IndexName"],
        scope=scope,
        keys=IndexKeys(_key_attributes(schema, "HASH", types), _key_attributes(schema, "RANGE", types)),
        projection=projection["ProjectionType"],
        projected=frozenset(projection.get("NonKeyAttributes", ())),
        status=entry.get("IndexStatus", "ACTIVE"),  # local indexes have no status of their own
        throughput=_throughput(entry, billing),
        item_count=entry.get("ItemCount", 0),
    )


def _throughput(entry: dict[str, Any], billing: BillingMode) -> Throughput:
    provisioned = entry.get("ProvisionedThroughput", {}) if billing == "PROVISIONED" else {}
    maximum = entry.get("OnDemandThroughput", {})
    warm = entry.get("WarmThroughput", {})
    return Throughput(
        provisioned_read=_units(provisioned.get("ReadCapacityUnits")),
        provisioned_write=_units(provisioned.get("WriteCapacityUnits")),
        maximum_read=_units(maximum.get("MaxReadRequestUnits")),
        maximum_write=_units(maximum.get("MaxWriteRequestUnits")),
        warm_read=_units(warm.get("ReadUnitsPerSecond")),
        warm_write=_units(warm.get("WriteUnitsPerSecond")),
    )


def _units(value: int | None) -> float | None:
    """Units per second. An unset value is missing, 0 or -1, depending on the member."""
    return float(value) if value is not None and value > 0 else None
