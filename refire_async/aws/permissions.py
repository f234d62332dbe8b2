"""Which AWS permissions a command needs, no more: one table of every operation that the program can send. Pure.

Names of actions and what they can be limited to are from the Service Authorization Reference. Reading and writing by
PartiQL have actions of their own; BatchExecuteStatement itself has none (DynamoDB Developer Guide: IAM security
policies with PartiQL).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from refire_async.errors import UsageError
from refire_async.settings import WriterKind

Command: TypeAlias = Literal["run", "resume", "check", "plan", "verify"]
COMMANDS: tuple[Command, ...] = ("run", "resume", "check", "plan", "verify")
"""Commands that talk to AWS. The others look at files of this machine only."""

Place: TypeAlias = Literal["table", "source", "stream", "kinesis", "object", "topic", "account"]
"""What an action can be limited to. `source`: the table, or the index that is read."""

Purpose: TypeAlias = Literal["Describe", "Read", "Touch", "ReadStream", "Advice", "KeysFile", "Notify"]
"""A statement's Sid. Without `Advice` a command works all the same and says what it could not look at."""


@dataclass(frozen=True, slots=True)
class Need:
    """The permission that an operation takes, what it is for, and the commands that can send it."""

    action: str
    place: Place
    purpose: Purpose
    commands: tuple[Command, ...]


_WORK: tuple[Command, ...] = ("run", "resume")
_CHECK: tuple[Command, ...] = (*_WORK, "check")
_LOOK: tuple[Command, ...] = (*_CHECK, "plan")

NEEDS: dict[tuple[str, str], Need] = {
    ("dynamodb", "DescribeTable"): Need("dynamodb:DescribeTable", "table", "Describe", COMMANDS),
    ("dynamodb", "DescribeTimeToLive"): Need("dynamodb:DescribeTimeToLive", "table", "Describe", _LOOK),
    ("dynamodb", "DescribeKinesisStreamingDestination"): Need(
        "dynamodb:DescribeKinesisStreamingDestination", "table", "Describe", _CHECK
    ),
    ("dynamodb", "DescribeContinuousBackups"): Need(
        "dynamodb:DescribeContinuousBackups", "table", "Advice", _CHECK
    ),
    ("dynamodb", "Scan"): Need("dynamodb:Scan", "source", "Read", _LOOK),
    ("dynamodb", "Query"): Need("dynamodb:Query", "source", "Read", _LOOK),
    ("dynamodb", "BatchGetItem"): Need("dynamodb:BatchGetItem", "table", "Read", _LOOK),
    ("dynamodb", "BatchExecuteStatement"): Need("dynamodb:PartiQLUpdate", "table", "Touch", _CHECK),
    ("dynamodb", "UpdateItem"): Need("dynamodb:UpdateItem", "table", "Touch", _CHECK),
    ("dynamodbstreams", "DescribeStream"): Need(
        "dynamodb:DescribeStream", "stream", "ReadStream", (*_LOOK, "verify")
    ),
    ("dynamodbstreams", "GetShardIterator"): Need(
        "dynamodb:GetShardIterator", "stream", "ReadStream", ("verify",)
    ),
    ("dynamodbstreams", "GetRecords"): Need("dynamodb:GetRecords", "stream", "ReadStream", ("verify",)),
    ("lambda", "ListEventSourceMappings"): Need("lambda:ListEventSourceMappings", "account", "Advice", _LOOK),
    ("cloudwatch", "GetMetricData"): Need("cloudwatch:GetMetricData", "account", "Advice", _CHECK),
    ("application-autoscaling", "DescribeScalableTargets"): Need(
        "application-autoscaling:DescribeScalableTargets", "account", "Advice", _CHECK
    ),
    ("kinesis", "DescribeStreamSummary"): Need("kinesis:DescribeStreamSummary", "kinesis", "Advice", _CHECK),
    ("s3", "GetObject"): Need("s3:GetObject", "object", "KeysFile", _LOOK),
    ("sns", "Publish"): Need("sns:Publish", "topic", "Notify", _WORK),
}
"""By service and operation, as in the AWS API models."""

_TABLE = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):dynamodb:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):"
    r"table/(?P<table>[a-zA-Z0-9_.-]{3,255})"
)


@dataclass(frozen=True, slots=True)
class TableArn:
    """A table's ARN in parts. Make it with `parse_arn`."""

    partition: str
    region: str
    account: str
    table: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:dynamodb:{self.region}:{self.account}:table/{self.table}"


def parse_arn(text: str) -> TableArn:
    """A table from its ARN. Raises UsageError."""
    found = _TABLE.fullmatch(text)
    if found is None:
        raise UsageError(
            f"--table must be the ARN of a table, not {text!r}",
            "for example --table arn:aws:dynamodb:eu-west-1:123456789012:table/orders (DescribeTable tells it)",
        )
    return TableArn(**found.groupdict())


@dataclass(frozen=True, slots=True)
class Use:
    """What a command is going to do with a table. `keys_file` is a path or `s3://bucket/key`, `export` a folder or its
    like in S3.
    """

    table: TableArn
    commands: tuple[Command, ...] = ("run",)
    index: str | None = None
    by_key: bool = False
    keys_file: str | None = None
    export: str | None = None
    writer: WriterKind = "partiql"
    dry_run: bool = False
    topic: str | None = None
    """The ARN of the SNS topic that receives the notice at the end of a run."""

    @property
    def _given(self) -> str | None:
        """Where the keys of a list come from."""
        return self.keys_file or self.export

    @property
    def _looks_before(self) -> bool:
        """Whether the table itself is sampled, whatever the selection."""
        return "check" in self.commands

    def operations(self) -> Iterable[tuple[str, str]]:
        """Every operation that these commands can send in this use."""
        for operation, need in NEEDS.items():
            wanted = set(self.commands) & set(need.commands)
            if self.dry_run and need.purpose == "Touch":
                wanted -= {"run", "resume"}
            if wanted and operation not in self._never():
                yield operation

    def _never(self) -> set[tuple[str, str]]:
        """Operations of other selections and of the other writer."""
        never = {("dynamodb", "UpdateItem" if self.writer == "partiql" else "BatchExecuteStatement")}
        samples = self._looks_before and (self._given is not None or self.index is not None)
        if (self._given is not None or self.by_key) and not samples:
            never.add(("dynamodb", "Scan"))
        if self._given is not None or not self.by_key:
            never.add(("dynamodb", "Query"))
        if self._given is None or not self._given.startswith("s3://"):
            never.add(("s3", "GetObject"))
        if self.topic is None:
            never.add(("sns", "Publish"))
        if self._given is None and self.index is None and set(self.commands) <= {"plan", "verify"}:
            never.add(("dynamodb", "BatchGetItem"))  # a plan looks up what a list or an index names
        return never

    def _objects(self) -> list[str]:
        """Objects in S3 that are read. Incremental exports have their data in a folder beside."""
        name = (self._given or "").removeprefix("s3://").rstrip("/")
        if self.export is None:
            return [name]
        return [f"{name}/*", f"{name.rpartition('/')[0]}/data/*"]

    def resources(self, place: Place) -> list[str]:
        """What an action of this kind is limited to."""
        table = self.table
        match place:
            case "account" | "topic":
                return ["*" if place == "account" else str(self.topic)]
            case "stream":
                return [f"{table}/stream/*"]
            case "kinesis":
                return [f"arn:{table.partition}:kinesis:{table.region}:{table.account}:stream/*"]
            case "object":
                return [f"arn:{table.partition}:s3:::{name}" for name in self._objects()]
            case "source" if self.index is not None:
                look = [str(table)] if self._looks_before else []
                return [*look, f"{table}/index/{self.index}"]
            case _:
                return [str(table)]


@dataclass(slots=True)
class _Statement:
    sid: str
    resources: list[str]
    actions: set[str] = field(default_factory=set)


def policy(use: Use) -> dict[str, Any]:
    """The IAM policy document for a use: one statement per purpose and resource."""
    statements: dict[tuple[str, ...], _Statement] = {}
    for operation in use.operations():
        need = NEEDS[operation]
        resources = use.resources(need.place)
        key = (need.purpose, *resources)
        if key not in statements:
            others = sum(statement.sid.startswith(need.purpose) for statement in statements.values())
            sid = need.purpose + (str(others + 1) if others else "")
            statements[key] = _Statement(sid, resources)
        statements[key].actions.add(need.action)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": statement.sid,
                "Effect": "Allow",
                "Action": sorted(statement.actions),
                "Resource": statement.resources[0] if len(statement.resources) == 1 else statement.resources,
            }
            for statement in statements.values()
        ],
    }
