"""What probes make: under a prefix, with a tag, and taken away again. `clean` finds what a crash left behind."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.probes.clients import Clients
from tests.probes.tables import PK

PREFIX = "refire-probe-"
TAG = "refire-probes"
"""Every resource has this tag; its value is the id of the session that made it."""

ROLE_PATH = "/refire-probes/"
_WAIT_S = 180.0


def tags(session: str) -> list[dict[str, str]]:
    """The tag in the form of DynamoDB, S3 and IAM."""
    return [{"Key": TAG, "Value": session}]


@dataclass(frozen=True, slots=True)
class Left:
    """Something that probes made. `delete` takes it away; calling it twice is no error."""

    kind: str
    name: str
    delete: Callable[[], None]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def find(clients: Clients, complain: Callable[[str], None]) -> Iterator[Left]:
    """Everything under the prefix with the tag, of any session.

    On a server without tags (DynamoDB Local, the sandbox) the mark is the name of the table's hash key. `complain` gets
    a line for each kind that could not be searched, as without a permission; not for services that a server lacks.
    """
    for kind, search in _SEARCHES.items():
        if kind != "tables" and clients.server in ("sandbox", "dynamodb-local"):
            continue
        try:
            yield from search(clients)
        except (ClientError, BotoCoreError) as error:
            complain(f"{kind} could not be searched: {error}")


def _tables(clients: Clients) -> Iterator[Left]:
    client = clients.get("dynamodb")
    page: dict[str, str] = {"ExclusiveStartTableName": PREFIX}  # also skips, where lists are sorted
    if not clients.at_aws:
        page = {}
    while True:
        answer = client.list_tables(**page)
        for name in answer["TableNames"]:
            if name.startswith(PREFIX) and _is_own_table(client, name):
                yield Left("table", name, deleting_table(client, name))
        if "LastEvaluatedTableName" not in answer:
            return
        page = {"ExclusiveStartTableName": answer["LastEvaluatedTableName"]}


def _is_own_table(client: Any, name: str) -> bool:
    try:
        table = client.describe_table(TableName=name)["Table"]
    except ClientError:  # gone meanwhile
        return False
    if table["TableStatus"] == "DELETING":
        return False
    try:
        answer = client.list_tags_of_resource(ResourceArn=table["TableArn"])
    except ClientError as error:
        if code_of(error) != "UnknownOperationException":
            raise
        return any(key["AttributeName"] == PK and key["KeyType"] == "HASH" for key in table["KeySchema"])
    return any(tag["Key"] == TAG for tag in answer.get("Tags", ()))


def deleting_table(client: Any, name: str) -> Callable[[], None]:
    """A function that deletes the table, also one that is still being made or changed."""

    def delete() -> None:
        deadline = time.monotonic() + _WAIT_S
        while True:
            try:
                client.delete_table(TableName=name)
            except ClientError as error:
                match code_of(error):
                    case "ResourceNotFoundException":
                        return
                    # It is being created, changed or deleted.
                    case "ResourceInUseException" | "LimitExceededException" if time.monotonic() < deadline:
                        if _status(client, name) in ("DELETING", None):
                            return
                        time.sleep(1)
                    case _:
                        raise
            else:
                return

    return delete


def _status(client: Any, name: str) -> str | None:
    try:
        status: str = client.describe_table(TableName=name)["Table"]["TableStatus"]
    except ClientError:
        return None
    return status


def _functions(clients: Clients) -> Iterator[Left]:
    client = clients.get("lambda")
    for page in client.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            name = function["FunctionName"]
            if name.startswith(PREFIX) and TAG in client.list_tags(Resource=function["FunctionArn"]).get(
                "Tags", {}
            ):
                yield Left("function", name, deleting(client.delete_function, FunctionName=name))


def _mappings(clients: Clients) -> Iterator[Left]:
    """Mappings of our functions: they outlive a function."""
    client = clients.get("lambda")
    for page in client.get_paginator("list_event_source_mappings").paginate():
        for mapping in page["EventSourceMappings"]:
            function = mapping.get("FunctionArn", "").partition(":function:")[2]
            stream = mapping.get("EventSourceArn", "")
            if (
                function.startswith(PREFIX)
                and f":table/{PREFIX}" in stream
                and mapping.get("State") != "Deleting"
            ):
                uuid = mapping["UUID"]
                yield Left("mapping", uuid, deleting(client.delete_event_source_mapping, UUID=uuid))


def _queues(clients: Clients) -> Iterator[Left]:
    client = clients.get("sqs")
    for page in client.get_paginator("list_queues").paginate(QueueNamePrefix=PREFIX):
        for url in page.get("QueueUrls", ()):
            if TAG in client.list_queue_tags(QueueUrl=url).get("Tags", {}):
                yield Left("queue", url.rpartition("/")[2], deleting(client.delete_queue, QueueUrl=url))


def _buckets(clients: Clients) -> Iterator[Left]:
    client = clients.get("s3")
    for bucket in client.list_buckets().get("Buckets", ()):
        name = bucket["Name"]
        if name.startswith(PREFIX) and _is_own_bucket(client, name):
            yield Left("bucket", name, deleting_bucket(client, name))


def _is_own_bucket(client: Any, name: str) -> bool:
    try:
        answer = client.get_bucket_tagging(Bucket=name)
    except ClientError:  # no tags at all, or of another owner
        return False
    return any(tag["Key"] == TAG for tag in answer["TagSet"])


def deleting_bucket(client: Any, name: str) -> Callable[[], None]:
    """A function that deletes the bucket with its objects."""

    def delete() -> None:
        with _gone_is_done():
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
                for entry in page.get("Contents", ()):
                    client.delete_object(Bucket=name, Key=entry["Key"])
            client.delete_bucket(Bucket=name)

    return delete


def _roles(clients: Clients) -> Iterator[Left]:
    client = clients.get("iam")
    for page in client.get_paginator("list_roles").paginate(PathPrefix=ROLE_PATH):
        for role in page["Roles"]:
            name = role["RoleName"]
            # Not every IAM emulator knows paths.
            if name.startswith(PREFIX) and role["Path"] == ROLE_PATH:
                tagged = client.list_role_tags(RoleName=name)["Tags"]
                if any(tag["Key"] == TAG for tag in tagged):
                    yield Left("role", name, deleting_role(client, name))


def deleting_role(client: Any, name: str) -> Callable[[], None]:
    """A function that deletes the role with its policies."""

    def delete() -> None:
        with _gone_is_done():
            for policy in client.list_role_policies(RoleName=name)["PolicyNames"]:
                client.delete_role_policy(RoleName=name, PolicyName=policy)
            client.delete_role(RoleName=name)

    return delete


def deleting(operation: Callable[..., Any], **parameters: Any) -> Callable[[], None]:
    """A function that deletes something by one operation, also if it is still being made or changed."""

    def delete() -> None:
        deadline = time.monotonic() + _WAIT_S
        while True:
            try:
                with _gone_is_done():
                    operation(**parameters)
            except ClientError as error:
                if code_of(error) not in _BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(1)
            else:
                return

    return delete


# What uses other things comes first: a mapping before its function, a function before its role.
_SEARCHES: dict[str, Callable[[Clients], Iterator[Left]]] = {
    "event source mappings": _mappings,
    "functions": _functions,
    "tables": _tables,
    "queues": _queues,
    "buckets": _buckets,
    "roles": _roles,
}

_BUSY = frozenset(("ResourceInUseException", "ResourceConflictException"))
_GONE = frozenset(
    (
        "ResourceNotFoundException",
        "NoSuchBucket",
        "NoSuchEntity",
        "404",
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
    )
)


@contextlib.contextmanager
def _gone_is_done() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if code_of(error) not in _GONE:
            raise


def code_of(error: ClientError) -> str:
    """The service's short name of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))
