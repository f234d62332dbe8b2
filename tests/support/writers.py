"""An application that keeps writing to a table while a run is on, and remembers what it has done."""

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.support.tables import Identity, Item, Table


@dataclass(slots=True)
class LiveWriters:
    """Writers that increment `count`, count up `revision` themselves, and delete, never create.

    What was acknowledged is in `increments`, `revisions` and `deleted`.
    """

    table: Table
    items: Sequence[Item]
    increments: Counter[Identity] = field(default_factory=Counter)
    revisions: Counter[Identity] = field(default_factory=Counter)
    deleted: set[Identity] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def writing(self, writers: int = 4) -> Iterator[None]:
        """Write from this many threads for the length of the block. Raises what a writer met."""
        with ThreadPoolExecutor(writers) as pool:
            tasks = [pool.submit(self._write, random.Random(seed)) for seed in range(writers)]
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

    def _write(self, choice: random.Random) -> None:
        gone = self.table.backend.dynamodb.exceptions.ConditionalCheckFailedException
        while not self._stop.is_set():
            item = choice.choice(self.items)
            key, identity = self.table.key(item), self.table.identity(item)
            action = choice.choices((self._increment, self._revise, self._delete), (6, 3, 1))[0]
            with contextlib.suppress(gone):
                action(key, identity)

    def _increment(self, key: Item, identity: Identity) -> None:
        self._add(key, "count")
        with self._lock:
            self.increments[identity] += 1

    def _revise(self, key: Item, identity: Identity) -> None:
        self._add(key, "revision")
        with self._lock:
            self.revisions[identity] += 1

    def _add(self, key: Item, attribute: str) -> None:
        self.table.backend.dynamodb.update_item(
            TableName=self.table.name,
            Key=key,
            UpdateExpression="ADD #attribute :one",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames={"#attribute": attribute},
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    def _delete(self, key: Item, identity: Identity) -> None:
        self.table.backend.dynamodb.delete_item(
            TableName=self.table.name, Key=key, ConditionExpression="attribute_exists(pk)"
        )
        with self._lock:
            self.deleted.add(identity)
