"""Where a probe works: clients, tables, keys that no other probe uses, and attempts whose refusals are values."""

import contextlib
import itertools
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.probes.clients import Clients
from tests.probes.consumers import Consumers
from tests.probes.facts import DiffersError, NotTriedError
from tests.probes.resources import PREFIX, Left, code_of, deleting_table, tags
from tests.probes.stream_log import StreamLog
from tests.probes.tables import KINDS, PK, SK

Item = dict[str, Any]

_MISSING_OPERATIONS = frozenset(
    ("UnknownOperationException", "InvalidAction", "UnsupportedOperation", "NotImplemented")
)
_THROTTLED = frozenset(
    ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")
)
_DENIED = frozenset(("AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "AuthorizationError"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. `code` and `message` are those of a refusal, empty otherwise."""

    body: dict[str, Any]
    code: str = ""
    message: str = ""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.body.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))

    @property
    def headers(self) -> dict[str, str]:
        """Headers by name in lower case."""
        return dict(self.body.get("ResponseMetadata", {}).get("HTTPHeaders", {}))

    @property
    def said(self) -> str:
        """The short name of the refusal, or `accepted`."""
        return self.code or "accepted"


class Lab:
    """The resources of one session of probes. `close` takes away what it made."""

    def __init__(self, clients: Clients, session: str, *, timeout_s: float | None = None) -> None:
        """`session` is in the name and the tag of everything. `timeout_s`: for what does not show at once."""
        self.clients = clients
        self.session = session
        self.timeout_s = timeout_s if timeout_s is not None else (90.0 if clients.at_aws else 3.0)
        self.consumers = Consumers(self)
        self._made: dict[str, Left] = {}
        self._tables: dict[str, str] = {}
        self._ready: set[str] = set()
        self._streams: dict[str, StreamLog] = {}
        self._numbers = itertools.count(1)
        self._results: dict[str, Any] = {}
        self._scanned: list[Item] = []

    # Clients

    @property
    def dynamodb(self) -> Any:
        """A boto3 client that sends each request once and does not check parameters."""
        return self.clients.get("dynamodb")

    @property
    def streams(self) -> Any:
        """A client of DynamoDB Streams."""
        return self.clients.get("dynamodbstreams")

    def attempt(self, operation: Callable[..., Any], **parameters: Any) -> Answer:
        """Call an operation; a refusal is an answer too. Throttling is waited out.

        Raises NotTriedError if the server does not have the operation or these credentials may not call it.
        """
        deadline = time.monotonic() + self.timeout_s
        while True:
            answer = self.attempt_once(operation, **parameters)
            if answer.code not in _THROTTLED or time.monotonic() > deadline:
                return answer
            time.sleep(0.2)

    def attempt_once(self, operation: Callable[..., Any], **parameters: Any) -> Answer:
        """As `attempt`, but throttling is a refusal like others."""
        try:
            return Answer(operation(**parameters))
        except ClientError as error:
            code = code_of(error)
            if reason := unavailable(error):
                raise NotTriedError(reason) from error
            return Answer(error.response, code, str(error.response.get("Error", {}).get("Message", "")))

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """The result of `make`, which runs once for all probes that share it; or the error that it raised."""
        if name not in self._results:
            try:
                self._results[name] = make()
            except (NotTriedError, DiffersError, ClientError) as error:
                self._results[name] = error
        found = self._results[name]
        if isinstance(found, Exception):
            raise found
        return found

    # Tables

    def begin(self, kinds: Iterable[str]) -> None:
        """Start to create tables, so that they become active together. Refusals show when they are used."""
        for kind in kinds:
            with contextlib.suppress(ClientError, NotTriedError):
                self._create(kind)

    def table(self, kind: str) -> str:
        """The name of the table of this kind, active. Raises NotTriedError if the server does not make it."""
        self._create(kind)
        name = self._tables[kind]
        if kind not in self._ready:
            self.wait_for_table(name)
            self._ready.add(kind)
        return name

    def _create(self, kind: str) -> None:
        if kind not in self._tables:
            name = f"{PREFIX}{self.session}-{kind}"
            self.make_table(name, KINDS[kind][1])
            self._tables[kind] = name

    def make_table(self, name: str, parameters: dict[str, Any]) -> None:
        """Create a table with the tag. Raises NotTriedError if the server does not take the parameters."""
        client = self.dynamodb
        # Before it exists, so that a refusal that came too late leaves nothing.
        self.note(Left("table", name, deleting_table(client, name)))
        answer = self.attempt(client.create_table, TableName=name, **parameters, Tags=tags(self.session))
        if answer.code and answer.code != "ResourceInUseException":
            self.forget("table", name)
            raise NotTriedError(f"CreateTable is refused: {answer.code}")

    def wait_for_table(self, name: str) -> dict[str, Any]:
        """The description of the table once it and its indexes are active."""

        def active() -> dict[str, Any] | None:
            described: dict[str, Any] = self.dynamodb.describe_table(TableName=name)["Table"]
            entries = [described["TableStatus"]]
            entries += [index["IndexStatus"] for index in described.get("GlobalSecondaryIndexes", ())]
            return described if set(entries) == {"ACTIVE"} else None

        return self.wait("an active table", active, 300.0)

    def stream(self, kind: str) -> StreamLog:
        """The stream of the table of this kind."""
        name = self.table(kind)
        if kind not in self._streams:
            arn = self.dynamodb.describe_table(TableName=name)["Table"].get("LatestStreamArn")
            if arn is None:
                raise DiffersError("the table has no LatestStreamArn")
            self._streams[kind] = self.stream_at(arn)
        return self._streams[kind]

    def stream_at(self, arn: str) -> StreamLog:
        """A stream by its ARN."""
        return StreamLog(self.streams, arn, self.timeout_s, 0.25 if self.clients.at_aws else 0.02)

    # Items

    def key(self) -> str:
        """A hash key that no other probe uses. Its length is always the same."""
        return f"key-{next(self._numbers):05d}"

    def put(self, kind: str, **attributes: Any) -> str:
        """Put an item with a new key and these attributes (DynamoDB JSON). Returns the key."""
        key = self.key()
        self.dynamodb.put_item(TableName=self.table(kind), Item={PK: {"S": key}, **attributes})
        return key

    def get(self, kind: str, key: str, **more: Any) -> Item | None:
        """The item as a consistent read finds it; None if there is none. `more` is the rest of its key."""
        answer = self.dynamodb.get_item(
            TableName=self.table(kind), Key={PK: {"S": key}, **more}, ConsistentRead=True
        )
        item: Item | None = answer.get("Item")
        return item

    def update(self, kind: str, key: str, expression: str, **parameters: Any) -> Answer:
        """Try an UpdateItem. Values may be given by name without the colon, names without the hash sign:
        `values={"v": …}`, `names={"n": …}`."""
        return self.attempt(
            self.dynamodb.update_item,
            TableName=self.table(kind),
            Key={PK: {"S": key}, **parameters.pop("sort", {})},
            UpdateExpression=expression,
            **placeholders(parameters),
        )

    def change(self, kind: str, key: str, expression: str, **parameters: Any) -> Answer:
        """As `update`, for a change that has to succeed. Raises DiffersError."""
        answer = self.update(kind, key, expression, **parameters)
        if answer.code:
            raise DiffersError(f"UpdateItem is refused: {answer.code}: {answer.message}")
        return answer

    def check(self, kind: str, key: str, condition: str, **parameters: Any) -> str:
        """`true`, `false` or the name of the refusal of a condition on an item, which is not changed."""
        answer = self.attempt(
            self.dynamodb.update_item,
            TableName=self.table(kind),
            Key={PK: {"S": key}},
            UpdateExpression="SET touched = :touched",
            ConditionExpression=condition,
            **placeholders({**parameters, "values": {**parameters.get("values", {}), "touched": {"S": "x"}}}),
        )
        return {"": "true", "ConditionalCheckFailedException": "false"}.get(answer.code, answer.code)

    def statement(self, text: str, *parameters: Item, **more: Any) -> Answer:
        """Try a PartiQL statement. An empty list of parameters is left out: the service refuses it."""
        given = {"Parameters": list(parameters)} if parameters else {}
        return self.attempt(self.dynamodb.execute_statement, Statement=text, **given, **more)

    def batch(self, *statements: tuple[str, list[Item]], **more: Any) -> Answer:
        """Try a batch of PartiQL statements, each with its parameters."""
        entries = [
            {"Statement": text, **({"Parameters": parameters} if parameters else {})}
            for text, parameters in statements
        ]
        return self.attempt(self.dynamodb.batch_execute_statement, Statements=entries, **more)

    def members(self, *statements: tuple[str, list[Item]]) -> list[str]:
        """The codes of a batch's members, `accepted` without one. Raises DiffersError if the batch is refused."""
        answer = self.batch(*statements)
        if answer.code:
            raise DiffersError(f"BatchExecuteStatement is refused: {answer.code}: {answer.message}")
        return [member.get("Error", {}).get("Code", "accepted") for member in answer.body["Responses"]]

    def scanned_items(self) -> list[Item]:
        """The 60 items of the table `scanned`: 20 hash keys with 3 items each, made at the first call."""
        name = self.table("scanned")
        if not self._scanned:
            self._scanned = [
                {PK: {"S": f"scanned-{n // 3:03d}"}, SK: {"N": str(n % 3)}, "text": {"S": "x" * 50}}
                for n in range(60)
            ]
            for first in range(0, 60, 20):
                puts = [{"PutRequest": {"Item": item}} for item in self._scanned[first : first + 20]]
                self.dynamodb.batch_write_item(RequestItems={name: puts})
        return self._scanned

    # Waiting and clearing away

    def wait(self, what: str, look: Callable[[], Any], timeout_s: float | None = None) -> Any:
        """The first result of `look` that is not None. Raises DiffersError after the timeout."""
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + timeout_s
        while (found := look()) is None:
            if time.monotonic() > deadline:
                raise DiffersError(f"{what} did not show within {timeout_s:g} s")
            time.sleep(1.0 if self.clients.at_aws else 0.02)
        return found

    def note(self, left: Left) -> None:
        """Something is about to be made, and is to be taken away at the end."""
        self._made[str(left)] = left

    def forget(self, kind: str, name: str) -> None:
        """It was not made, or is gone already."""
        self._made.pop(f"{kind} {name}", None)

    @property
    def made(self) -> list[Left]:
        """What is to be taken away, newest first."""
        return list(reversed(self._made.values()))

    def close(self) -> list[str]:
        """Take away everything. Returns a line for each thing that is still there."""
        failed = []
        for left in self.made:
            try:
                left.delete()
            except (ClientError, BotoCoreError) as error:
                failed.append(f"{left}: {error}")
        self._made.clear()
        return failed


def placeholders(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a call with `names`, `values` and `condition` written out."""
    written = dict(parameters)
    if names := written.pop("names", None):
        written["ExpressionAttributeNames"] = {f"#{name}": of for name, of in names.items()}
    if values := written.pop("values", None):
        written["ExpressionAttributeValues"] = {f":{name}": value for name, value in values.items()}
    if condition := written.pop("condition", None):
        written["ConditionExpression"] = condition
    return written


def unavailable(error: ClientError) -> str | None:
    """Why a call says nothing about a fact: the server lacks the operation, or these credentials may not call it."""
    code, operation = code_of(error), error.operation_name
    if code in _MISSING_OPERATIONS:
        return f"the server has no {operation}"
    if code in _DENIED:
        return f"no permission for {operation}"
    return None


def crc32(body: bytes) -> int:
    """The checksum of an answer."""
    return zlib.crc32(body)
