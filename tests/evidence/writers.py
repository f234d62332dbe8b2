"""An application that writes to a table during a run, with every kind of write that a run could harm.

It increments (also two items in one transaction), increments the marker itself, replaces whole items (with its own
marker, without one, or from a copy from before the run), deletes, puts deleted items again, and inserts. Every write
has a token; acknowledged ones are recorded for the judge.
"""

import contextlib
import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from tests.evidence.judge import BY, COUNT, Write
from tests.support.backends import REGION
from tests.support.tables import Item, Table

THREADS = 2
ANSWER_S = 5.0
NOT_APPLIED = (
    "ConditionalCheckFailedException",
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "ExpiredTokenException",
    "TransactionConflictException",
    "TransactionCanceledException",
)

MIX = {
    "increment": 10,
    "transaction": 3,
    "revise": 4,
    "replace, own marker": 2,
    "replace, no marker": 1,
    "replace, old copy": 1,
    "delete": 2,
    "put again": 1,
    "insert": 1,
}
"""Relative frequency of each action."""


@dataclass(slots=True)
class Writers:
    """Writers with `rate` writes/s together. `writes` are those so far."""

    table: Table
    items: Sequence[Item]
    marker: str
    rate: float
    seed: int
    mix: dict[str, int] = field(default_factory=MIX.copy)
    writes: list[Write] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    hot: Sequence[Item] = ()
    """Items that get half of the writes: they exist to the end, and their marker changes repeatedly."""
    _deleted: list[Item] = field(default_factory=list)
    _tokens: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Write during the block. Raises the error of a writer."""
        with ThreadPoolExecutor(THREADS) as pool:
            tasks = [pool.submit(self._work, random.Random(f"{self.seed}/{n}")) for n in range(THREADS)]
            try:
                yield
            finally:
                self._stop.set()
            for task in tasks:
                task.result()

    def _work(self, draw: random.Random) -> None:
        client = _Client(self.table)
        pause_s = THREADS / self.rate
        due = time.monotonic()
        with contextlib.closing(client):
            while not self._stop.is_set():
                action = draw.choices(list(self.mix), list(self.mix.values()))[0]
                self._do(client, action, draw)
                due = max(due + pause_s, time.monotonic() - pause_s)
                self._stop.wait(max(0.0, due - time.monotonic()))

    def _do(self, client: "_Client", action: str, draw: random.Random) -> None:
        item = draw.choice(self.items)
        if self.hot and draw.random() < 0.5:
            item = draw.choice(self.hot)
            action = draw.choice(["revise" if "revise" in self.mix else "increment", "replace, own marker"])
        token = f"{action} {next(self._tokens)}"
        match action:
            case "increment" | "revise":
                attribute = COUNT if action == "increment" else self.marker
                outcome = client.add(item, attribute, token)
                write = Write("increment" if action == "increment" else "revise", self._id(item), token)
            case "delete":
                outcome = client.delete(item)
                write = Write("delete", self._id(item), token)
                if outcome:
                    self._deleted.append(item)
            case "transaction":
                self._transact(client, item, draw.choice(self.items))
                return
            case "put again" if not self._deleted:
                return
            case _:
                condition = (
                    "attribute_exists(pk)" if action.startswith("replace") else "attribute_not_exists(pk)"
                )
                put = self._whole(action, item, token, draw)
                outcome = client.put(put, condition)
                write = Write("put", self._id(put), token, put)
        self._note(action, outcome, write)

    def _transact(self, client: "_Client", *items: Item) -> None:
        """Increment two items, both or none."""
        if self._id(items[0]) == self._id(items[1]):
            return
        number = next(self._tokens)
        named = [(item, f"transaction {number}/{place}") for place, item in enumerate(items)]
        outcome = client.add_all(named)
        self._note(
            "transaction", outcome, *(Write("increment", self._id(item), token) for item, token in named)
        )

    def _note(self, action: str, outcome: bool | None, *writes: Write) -> None:
        """Record writes that were applied, or may have been."""
        if outcome is not False:
            self.writes += [replace(write, acknowledged=outcome is True) for write in writes]
            self.done[action] += 1

    def _whole(self, action: str, item: Item, token: str, draw: random.Random) -> Item:
        """The whole item to put."""
        put = {**item, BY: {"S": token}, COUNT: {"N": str(draw.randrange(1000, 2000))}}
        match action:
            case "insert":
                put["sk"] = {"N": str(10**6 + draw.randrange(10**9))}
                put.pop(self.marker, None)
            case "put again":
                put = {**self._deleted[-1], BY: {"S": token}}
                with contextlib.suppress(IndexError):  # the other thread was faster
                    self._deleted.pop()
                if draw.random() < 0.5:
                    put.pop(self.marker, None)
            case "replace, no marker":
                put.pop(self.marker, None)
            case "replace, own marker":
                number = str(10**4 + draw.randrange(10**9))
                put[self.marker] = {"N": number} if self.marker == "revision" else {"S": number}
        return put

    def _id(self, item: Item) -> Any:
        return self.table.identity(item)


class _Client:
    """One connection. Calls return True (applied), False (certainly not applied) or None (unknown)."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._connection = http.client.HTTPConnection(urlsplit(table.backend.url).netloc, timeout=ANSWER_S)
        scope = f"{table.backend.access_key}/20260101/{REGION}/dynamodb/aws4_request"
        self._headers = {
            "content-type": "application/x-amz-json-1.0",
            "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        }

    def add(self, item: Item, attribute: str, token: str) -> bool | None:
        """Increment an attribute of an existing item."""
        return self._call("UpdateItem", self._addition(item, attribute, token))

    def add_all(self, items: Sequence[tuple[Item, str]]) -> bool | None:
        """Increment the items, each with a token, in one transaction."""
        updates = [{"Update": self._addition(item, COUNT, token)} for item, token in items]
        return self._call("TransactWriteItems", {"TransactItems": updates})

    def _addition(self, item: Item, attribute: str, token: str) -> dict[str, Any]:
        return {
            "TableName": self._table.name,
            "Key": self._table.key(item),
            "UpdateExpression": "SET #by = :token ADD #attribute :one",
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeNames": {"#attribute": attribute, "#by": BY},
            "ExpressionAttributeValues": {":one": {"N": "1"}, ":token": {"S": token}},
        }

    def put(self, item: Item, condition: str) -> bool | None:
        """Put a whole item."""
        request = {"TableName": self._table.name, "Item": item, "ConditionExpression": condition}
        return self._call("PutItem", request)

    def delete(self, item: Item) -> bool | None:
        """Delete an existing item."""
        key = {"TableName": self._table.name, "Key": self._table.key(item)}
        return self._call("DeleteItem", {**key, "ConditionExpression": "attribute_exists(pk)"})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _call(self, operation: str, request: dict[str, Any]) -> bool | None:
        body = json.dumps(request)
        headers = {**self._headers, "x-amz-target": f"DynamoDB_20120810.{operation}"}
        try:
            self._connection.request("POST", "/", body, headers)
            answer = self._connection.getresponse()
            status, content = answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next request opens it again
            return None
        if status == 200:
            return True
        if status >= 500:
            return None
        kind = json.loads(content)["__type"].rpartition("#")[2]
        if kind not in NOT_APPLIED:
            raise AssertionError(f"{operation}: {content.decode()}")
        return False
