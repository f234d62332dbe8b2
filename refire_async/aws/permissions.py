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

Command: TypeAlias = Literal["run", "resume", "check", "plan", "verify", "replay", "redrive", "doctor"]
COMMANDS: tuple[Command, ...] = ("run", "resume", "check", "plan", "verify", "replay", "redrive", "doctor")
"""Commands that talk to AWS. The others look at files of this machine only."""

Place: TypeAlias = Literal[
    "table", "source", "stream", "kinesis", "object", "bucket", "topic", "function", "any-version", "mapping",
    "pipe", "queue", "key", "account", "checkpoint", "archive",
]  # fmt: skip
"""What an action can be limited to. `source`: the table, or the index that is read. `function`: at the qualifier that
is invoked; `any-version`: the function itself.
"""

Purpose: TypeAlias = Literal[
    "Describe", "Read", "Touch", "ReadStream", "Advice", "ReadObjects", "Notify", "Deliver", "Queue", "Decrypt",
    "Map", "Checkpoint", "Archive",
]  # fmt: skip
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
_DELIVER: tuple[Command, ...] = ("replay", "redrive")
_WITH_TABLE: tuple[Command, ...] = (*_LOOK, "verify", "replay", "doctor")
_ADVISED: tuple[Command, ...] = (*_CHECK, "doctor")

NEEDS: dict[tuple[str, str], Need] = {
    ("dynamodb", "DescribeTable"): Need("dynamodb:DescribeTable", "table", "Describe", _WITH_TABLE),
    ("dynamodb", "DescribeTimeToLive"): Need(
        "dynamodb:DescribeTimeToLive", "table", "Describe", (*_LOOK, "doctor")
    ),
    ("dynamodb", "DescribeKinesisStreamingDestination"): Need(
        "dynamodb:DescribeKinesisStreamingDestination", "table", "Describe", _ADVISED
    ),
    ("dynamodb", "DescribeContinuousBackups"): Need(
        "dynamodb:DescribeContinuousBackups", "table", "Advice", _ADVISED
    ),
    ("dynamodb", "Scan"): Need("dynamodb:Scan", "source", "Read", (*_LOOK, "replay", "doctor")),
    ("dynamodb", "Query"): Need("dynamodb:Query", "source", "Read", (*_LOOK, "replay")),
    ("dynamodb", "BatchGetItem"): Need(
        "dynamodb:BatchGetItem", "table", "Read", (*_LOOK, "replay", "doctor")
    ),
    ("dynamodb", "BatchExecuteStatement"): Need("dynamodb:PartiQLUpdate", "table", "Touch", _CHECK),
    ("dynamodb", "UpdateItem"): Need("dynamodb:UpdateItem", "table", "Touch", _CHECK),
    ("dynamodbstreams", "DescribeStream"): Need(
        "dynamodb:DescribeStream", "stream", "ReadStream", (*_LOOK, "verify", *_DELIVER, "doctor")
    ),
    ("dynamodbstreams", "GetShardIterator"): Need(
        "dynamodb:GetShardIterator", "stream", "ReadStream", ("verify", *_DELIVER, "doctor")
    ),
    ("dynamodbstreams", "GetRecords"): Need(
        "dynamodb:GetRecords", "stream", "ReadStream", ("verify", *_DELIVER, "doctor")
    ),
    ("lambda", "Invoke"): Need("lambda:InvokeFunction", "function", "Deliver", _DELIVER),
    ("lambda", "GetFunctionConfiguration"): Need(
        "lambda:GetFunctionConfiguration", "function", "Deliver", _DELIVER
    ),
    ("lambda", "GetFunctionConcurrency"): Need(
        "lambda:GetFunctionConcurrency", "any-version", "Advice", _DELIVER
    ),
    ("lambda", "ListEventSourceMappings"): Need(
        "lambda:ListEventSourceMappings", "account", "Advice", (*_LOOK, *_DELIVER, "doctor")
    ),
    ("lambda", "GetEventSourceMapping"): Need("lambda:GetEventSourceMapping", "mapping", "Advice", _DELIVER),
    ("pipes", "ListPipes"): Need("pipes:ListPipes", "account", "Advice", (*_CHECK, *_DELIVER, "doctor")),
    ("pipes", "DescribePipe"): Need("pipes:DescribePipe", "pipe", "Advice", (*_CHECK, *_DELIVER, "doctor")),
    ("cloudwatch", "GetMetricData"): Need(
        "cloudwatch:GetMetricData", "account", "Advice", (*_CHECK, *_DELIVER, "doctor")
    ),
    ("application-autoscaling", "DescribeScalableTargets"): Need(
        "application-autoscaling:DescribeScalableTargets", "account", "Advice", _ADVISED
    ),
    ("kinesis", "DescribeStreamSummary"): Need(
        "kinesis:DescribeStreamSummary", "kinesis", "Advice", _ADVISED
    ),
    ("s3", "GetObject"): Need("s3:GetObject", "object", "ReadObjects", (*_LOOK, *_DELIVER)),
    ("s3", "ListObjectsV2"): Need("s3:ListBucket", "bucket", "ReadObjects", ("redrive",)),
    ("sqs", "GetQueueAttributes"): Need("sqs:GetQueueAttributes", "queue", "Queue", ("redrive",)),
    ("sqs", "ReceiveMessage"): Need("sqs:ReceiveMessage", "queue", "Queue", ("redrive",)),
    ("sqs", "ChangeMessageVisibilityBatch"): Need(
        "sqs:ChangeMessageVisibility", "queue", "Queue", ("redrive",)
    ),
    ("sqs", "DeleteMessageBatch"): Need("sqs:DeleteMessage", "queue", "Queue", ("redrive",)),
    ("lambda", "CreateAlias"): Need("lambda:CreateAlias", "any-version", "Map", ("replay",)),
    ("lambda", "DeleteAlias"): Need("lambda:DeleteAlias", "any-version", "Map", ("replay",)),
    ("lambda", "CreateEventSourceMapping"): Need(
        "lambda:CreateEventSourceMapping", "account", "Map", ("replay",)
    ),
    ("lambda", "DeleteEventSourceMapping"): Need(
        "lambda:DeleteEventSourceMapping", "mapping", "Map", ("replay",)
    ),
    ("kms", "Decrypt"): Need("kms:Decrypt", "key", "Decrypt", _DELIVER),
    ("dynamodb", "GetItem"): Need("dynamodb:GetItem", "checkpoint", "Checkpoint", (*_WORK, "verify")),
    ("dynamodb", "PutItem"): Need("dynamodb:PutItem", "checkpoint", "Checkpoint", (*_WORK, "verify")),
    ("s3", "PutObject"): Need("s3:PutObject", "archive", "Archive", (*_WORK, "verify")),
    ("s3", "DeleteObject"): Need("s3:DeleteObject", "archive", "Archive", ()),
    # Those of `refire checkpoint-table` and `refire forget`, which a person calls.
    ("dynamodb", "DeleteItem"): Need("dynamodb:DeleteItem", "checkpoint", "Checkpoint", ()),
    ("dynamodb", "CreateTable"): Need("dynamodb:CreateTable", "checkpoint", "Checkpoint", ()),
    ("dynamodb", "DeleteTable"): Need("dynamodb:DeleteTable", "checkpoint", "Checkpoint", ()),
    ("dynamodb", "UpdateTimeToLive"): Need("dynamodb:UpdateTimeToLive", "checkpoint", "Checkpoint", ()),
    ("sns", "Publish"): Need("sns:Publish", "topic", "Notify", (*_WORK, *_DELIVER)),
}
"""By service and operation, as in the AWS API models. `kms:Decrypt` is what SQS and S3 do in the caller's name."""

_READS_ITEMS = frozenset((("dynamodb", "Scan"), ("dynamodb", "Query"), ("dynamodb", "BatchGetItem")))

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


@dataclass(frozen=True, slots=True, kw_only=True)
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
    function: str | None = None
    """The ARN of the Lambda function that receives events, with a qualifier or without; None for another target."""
    items: bool = False
    """Whether a replay makes its events of present items."""
    failed: str | None = None
    """Where failed batches are redriven from: a queue's ARN or `s3://bucket/prefix`; None for a file."""
    keep: bool = False
    """Whether a redrive leaves the messages in the queue."""
    kms_key: str | None = None
    """The ARN of the key that encrypts the queue or the objects."""
    mapping: bool = False
    """Whether a replay delivers by a temporary event source mapping."""
    checkpoint_table: str | None = None
    archive: str | None = None
    """The name of the table with the state of a run, in the account and region of the table."""

    @property
    def _given(self) -> str | None:
        """Where the keys of a list come from."""
        return self.keys_file or self.export

    @property
    def _looks_before(self) -> bool:
        """Whether the table itself is sampled, whatever the selection."""
        return bool({"check", "doctor"} & set(self.commands))

    def operations(self) -> Iterable[tuple[str, str]]:
        """Every operation that these commands can send in this use."""
        for operation, need in NEEDS.items():
            wanted = set(self.commands) & set(need.commands)
            if self.dry_run:
                wanted -= _not_dry(operation)
            if operation in _READS_ITEMS and not self.items:
                wanted.discard("replay")
            if wanted and operation not in self._never():
                yield operation

    def _never(self) -> set[tuple[str, str]]:
        """Operations of other selections and of the other writer."""
        never = {("dynamodb", "UpdateItem" if self.writer == "partiql" else "BatchExecuteStatement")}
        samples = self._looks_before and (self._given is not None or self.index is not None)
        samples = samples or "doctor" in self.commands
        if (self._given is not None or self.by_key) and not samples:
            never.add(("dynamodb", "Scan"))
        if self._given is not None or not self.by_key:
            never.add(("dynamodb", "Query"))
        if not self._objects():
            never.add(("s3", "GetObject"))
        never |= self._never_delivered() | self._never_mapped()
        if self.topic is None:
            never.add(("sns", "Publish"))
        if self.checkpoint_table is None:
            never |= {operation for operation, need in NEEDS.items() if need.place == "checkpoint"}
        if self.archive is None:
            never.add(("s3", "PutObject"))
        if self._given is None and self.index is None and set(self.commands) <= {"plan", "verify"}:
            never.add(("dynamodb", "BatchGetItem"))  # a plan looks up what a list or an index names
        return never

    def _never_delivered(self) -> set[tuple[str, str]]:
        """Operations of other targets and of other sources of failed batches."""
        never: set[tuple[str, str]] = set()
        if self.function is None:
            never |= {
                operation for operation, need in NEEDS.items() if need.place in ("function", "any-version")
            }
        if self._queue is None:
            never |= {operation for operation, need in NEEDS.items() if need.place == "queue"}
        elif self.keep:
            never.add(("sqs", "DeleteMessageBatch"))
        if self._prefix is None:
            never.add(("s3", "ListObjectsV2"))
        if self.kms_key is None:
            never.add(("kms", "Decrypt"))
        return never

    def _never_mapped(self) -> set[tuple[str, str]]:
        """Operations of the other way to deliver."""
        if not self.mapping:
            return {operation for operation, need in NEEDS.items() if need.purpose == "Map"}
        return set() if "redrive" in self.commands else {("lambda", "Invoke")}

    @property
    def _queue(self) -> str | None:
        """The ARN of the queue with the failed batches."""
        return self.failed if self.failed is not None and not self.failed.startswith("s3://") else None

    @property
    def _prefix(self) -> str | None:
        """`bucket/prefix` of the objects with the failed batches."""
        found = self.failed is not None and self.failed.startswith("s3://") and "redrive" in self.commands
        return str(self.failed).removeprefix("s3://") if found else None

    def _objects(self) -> list[str]:
        """Objects in S3 that are read. Incremental exports have their data in a folder beside."""
        found: list[str] = []
        if self._given is not None and self._given.startswith("s3://"):
            name = self._given.removeprefix("s3://").rstrip("/")
            found += [name] if self.export is None else [f"{name}/*", f"{name.rpartition('/')[0]}/data/*"]
        if self._prefix is not None:
            found.append(f"{self._prefix}*" if "/" in self._prefix else f"{self._prefix}/*")
        return found

    @property
    def _archive_prefix(self) -> str:
        return str(self.archive).removeprefix("s3://").rstrip("/")

    def _functions(self, place: Place) -> list[str]:
        """The function at the qualifier that is invoked. Without one, a mapping may name it: any."""
        plain = ":".join(str(self.function).split(":")[:7])
        if place == "any-version":
            return [plain]
        return [plain, f"{plain}:*"] if plain == self.function else [str(self.function)]

    def resources(self, place: Place) -> list[str]:
        """What an action of this kind is limited to."""
        match place:
            case "topic" | "queue" | "key":
                return [str({"topic": self.topic, "queue": self._queue, "key": self.kms_key}[place])]
            case "function" | "any-version":
                return self._functions(place)
            case "object":
                return [f"arn:{self.table.partition}:s3:::{name}" for name in self._objects()]
            case "archive":
                return [f"arn:{self.table.partition}:s3:::{self._archive_prefix}/*"]
            case "source" if self.index is not None:
                look = [str(self.table)] if self._looks_before else []
                return [*look, f"{self.table}/index/{self.index}"]
            case _:
                return [self._of_the_account(place)]

    def _of_the_account(self, place: Place) -> str:
        """What follows from the table alone: where names are not known before, all of a kind."""
        table = self.table
        beside = f"{table.region}:{table.account}"
        return {
            "account": "*",
            "checkpoint": f"{str(table).rpartition('/')[0]}/{self.checkpoint_table}",
            "stream": f"{table}/stream/*",
            "kinesis": f"arn:{table.partition}:kinesis:{beside}:stream/*",
            "bucket": f"arn:{table.partition}:s3:::{str(self._prefix).partition('/')[0]}",
            "mapping": f"arn:{table.partition}:lambda:{beside}:event-source-mapping:*",
            "pipe": f"arn:{table.partition}:pipes:{beside}:pipe/*",
        }.get(place, str(table))


def _not_dry(operation: tuple[str, str]) -> set[Command]:
    """Commands whose --dry-run does not send this operation."""
    if NEEDS[operation].purpose == "Touch":
        return {"run", "resume"}
    not_previewed = operation in _NOT_PREVIEWED or NEEDS[operation].purpose == "Map"
    return set(_DELIVER) if not_previewed else set()


_NOT_PREVIEWED = frozenset((("lambda", "Invoke"), ("sqs", "DeleteMessageBatch")))


CHECKPOINT_ACTIONS = ("dynamodb:Query", "dynamodb:UpdateItem")
"""What a run does with its checkpoint table besides the operations that are for that table alone."""


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
        if need.purpose == "Checkpoint":
            statements[key].actions |= set(CHECKPOINT_ACTIONS)
        if need.purpose == "Archive":
            statements[key].actions.add("s3:GetObject")
            bucket = resources[0].partition("/")[0]
            statements["ListArchive",] = _Statement("ListArchive", [bucket], {"s3:ListBucket"})
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
