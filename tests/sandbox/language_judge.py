"""DynamoDB Local as the judge of the sandbox's languages: one table, spoken to in plain JSON.

An SDK would refuse to send what is malformed, so requests go out as they are. Two threads never share a judge.
"""

import http.client
import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from refire_async.sandbox.errors import ServiceError

HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "Authorization": (
        "AWS4-HMAC-SHA256 Credential=judge/20260101/us-east-1/dynamodb/aws4_request, "
        "SignedHeaders=host, Signature=none"
    ),
}
IDLE_S = 5.0
HASH, RANGE = "pk", "sk"
KEY_NAMES = (HASH, RANGE)

Outcome = Any
"""Whatever a success yields, or ("error type", "message")."""


class Judge:
    """A table of DynamoDB Local with the key (pk: S, sk: one of S, N, B), and one item of it."""

    def __init__(self, url: str, range_type: str = "S") -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        self._used = time.monotonic()
        self.table = f"language-{uuid.uuid4().hex}"
        self.key: dict[str, Any] = {
            HASH: {"S": "a"},
            RANGE: {range_type: {"S": "b", "N": "1", "B": "Yg=="}[range_type]},
        }
        self.answer(
            "CreateTable",
            TableName=self.table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": HASH, "KeyType": "HASH"},
                {"AttributeName": RANGE, "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": HASH, "AttributeType": "S"},
                {"AttributeName": RANGE, "AttributeType": range_type},
            ],
        )

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def ask(self, operation: str, **request: Any) -> Outcome:
        """The answer to a request on the table: the response, or (error type, message)."""
        if time.monotonic() - self._used > IDLE_S:
            self._connection.close()  # before the server does; the next request opens another
        self._used = time.monotonic()
        body = json.dumps(request).encode()
        headers = {**HEADERS, "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        self._connection.request("POST", "/", body, headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status == 200:
            return json.loads(content)
        try:
            error = json.loads(content)
        except ValueError:
            return "InternalFailure", f"HTTP {response.status}"
        return error["__type"].rpartition("#")[2], error.get("message") or error.get("Message") or ""

    def answer(self, operation: str, **request: Any) -> dict[str, Any]:
        """The response to a request that must succeed."""
        outcome = self.ask(operation, **request)
        assert isinstance(outcome, dict), (operation, request, outcome)
        return outcome

    def put(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Make the item consist of the key and these attributes; returns it."""
        item = {**attributes, **self.key}
        self.answer("PutItem", TableName=self.table, Item=item)
        return item

    def get(self) -> dict[str, Any] | None:
        """The item as it is."""
        return self.answer("GetItem", TableName=self.table, Key=self.key).get("Item")

    def sql(self, statement: str, parameters: list[Any] | None = None) -> Outcome:
        """Items that a PartiQL statement returns, or (error type, message)."""
        request: dict[str, Any] = {"Statement": statement}
        if parameters:
            request["Parameters"] = parameters
        outcome = self.ask("ExecuteStatement", **request)
        return outcome["Items"] if isinstance(outcome, dict) else outcome


def ours(run: Callable[[], Any]) -> Outcome:
    """What the sandbox makes of it: a result, or (error type, message)."""
    try:
        return run()
    except ServiceError as error:
        return error.type, error.message


def given(**members: Any) -> dict[str, Any]:
    """Members of a request without those that are None or empty."""
    return {name: value for name, value in members.items() if value}
