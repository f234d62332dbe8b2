"""An application that writes to a table during a run, and records what it has done."""

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.support.tables import Identity, Item, Table


@dataclass(slots=True)
class LiveWriters:
    """Writers that increment `count`, increment `revision` themselves, and delete, never create.

    Some increments come in transactions, two items at a time: both happen, or none.

    What was acknowledged is in `increments`, `revisions` and `deleted`.
    """

    table: Table
    items: Sequence[Item]
    increments: Counter[Identity] = field(default_factory=Counter)
    revisions: Counter[Identity] = field(default_factory=Counter)
    deleted: set[Identity] = field(default_factory=set)
    transactions: int = 0
    """Acknowledged transactions."""
    turned_away: int = 0
    """Writes and transactions that met another transaction."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def writing(self, writers: int = 4) -> Iterator[None]:
        """Write from this many threads during the block. Raises the error of a writer."""
        # boto3 creates the classes of a client at their first use, for threads at the same time more than once.
        exceptions = self.table.backend.dynamodb.exceptions
        refusals = (
            exceptions.ConditionalCheckFailedException,
            exceptions.TransactionCanceledException,
            exceptions.TransactionConflictException,
        )
        with ThreadPoolExecutor(writers) as pool:
            tasks = [pool.submit(self._write, random.Random(seed), refusals) for seed in range(writers)]
            try:
                yield
            finally:
                self._stop.set()
            for task in tasks:
                task.result()

    @property
    def writes(self) -> int:
        """Acknowledged writes so far."""
        with self._lock:
            return self.increments.total() + self.revisions.total() + len(self.deleted)

    def _write(self, choice: random.Random, refusals: tuple[type[Exception], ...]) -> None:
        while not self._stop.is_set():
            item = choice.choice(self.items)
            key, identity = self.table.key(item), self.table.identity(item)
            actions = self._increment, self._revise, self._delete
            action = choice.choices((*actions, None), (6, 3, 1, 3))[0]
            try:
                if action is None:
                    self._increment_both(item, choice.choice(self.items))
                else:
                    action(key, identity)
            except refusals as error:
                self._note_conflict(error.response)

    def _increment(self, key: Item, identity: Identity) -> None:
        self._add(key, "count")
        with self._lock:
            self.increments[identity] += 1

    def _revise(self, key: Item, identity: Identity) -> None:
        self._add(key, "revision")
        with self._lock:
            self.revisions[identity] += 1

    def _increment_both(self, *items: Item) -> None:
        """Increment two items in one transaction."""
        if self.table.identity(items[0]) == self.table.identity(items[1]):
            return
        updates = [{"Update": self._addition(self.table.key(item), "count")} for item in items]
        self.table.backend.dynamodb.transact_write_items(TransactItems=updates)
        with self._lock:
            self.transactions += 1
            self.increments.update(self.table.identity(item) for item in items)

    def _note_conflict(self, response: Mapping[str, Any]) -> None:
        codes = [reason.get("Code") for reason in response.get("CancellationReasons", ())]
        if "TransactionConflict" in codes or response["Error"]["Code"] == "TransactionConflictException":
            with self._lock:
                self.turned_away += 1

    def _add(self, key: Item, attribute: str) -> None:
        self.table.backend.dynamodb.update_item(**self._addition(key, attribute))

    def _addition(self, key: Item, attribute: str) -> dict[str, Any]:
        return {
            "TableName": self.table.name,
            "Key": key,
            "UpdateExpression": "ADD #attribute :one",
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeNames": {"#attribute": attribute},
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }

    def _delete(self, key: Item, identity: Identity) -> None:
        self.table.backend.dynamodb.delete_item(
            TableName=self.table.name, Key=key, ConditionExpression="attribute_exists(pk)"
        )
        with self._lock:
            self.deleted.add(identity)
