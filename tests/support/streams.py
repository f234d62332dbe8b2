"""Reads a DynamoDB stream from its beginning: all shards, parents before children."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Change:
    """One stream record. Images are `None` where the record has none."""

    event: str
    key: dict[str, Any]
    old: dict[str, Any] | None
    new: dict[str, Any] | None

    @property
    def changed(self) -> frozenset[str]:
        """Names of the attributes that differ between the two images."""
        old, new = self.old or {}, self.new or {}
        return frozenset(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


@dataclass(slots=True)
class StreamReader:
    """Reads from its current position. `modified` counts the MODIFY records read so far.

    `quiet_s`: how long the stream must be silent before it counts as read to its current end.
    """

    client: Any
    arn: str
    modified: int = 0
    quiet_s: float = 0.0
    _iterators: dict[str, str | None] = field(default_factory=dict)
    """The position in each shard; `None` once a closed shard is read to its end."""

    def read(self) -> list[Change]:
        """Every record from the position to the current end of the stream, in order per item."""
        changes = self._read_shards()
        silent_since = time.monotonic()
        while time.monotonic() - silent_since < self.quiet_s:
            time.sleep(self.quiet_s / 10)
            if more := self._read_shards():
                changes += more
                silent_since = time.monotonic()
        self.modified += sum(change.event == "MODIFY" for change in changes)
        return changes

    def _read_shards(self) -> list[Change]:
        return [change for shard in self._shards() for change in self._read_shard(shard)]

    def wait_until(self, reached: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Keep reading until `reached()` is true, which may use `modified` or anything else.

        Raises TimeoutError when it does not come to hold in time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            self.read()
            if reached():
                return
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"the awaited moment did not come in {timeout_s:g} s ({self.modified} MODIFY)"
                )
            time.sleep(_POLL_S)  # polling: a stream has no way to call us

    def _shards(self) -> list[str]:
        """All shard ids, each after its parent."""
        parents: dict[str, str | None] = {}
        page: dict[str, Any] = {"StreamArn": self.arn}
        while True:
            description = self.client.describe_stream(**page)["StreamDescription"]
            for shard in description["Shards"]:
                parents[shard["ShardId"]] = shard.get("ParentShardId")
            last = description.get("LastEvaluatedShardId")
            if last is None:
                return parents_first(parents)
            page["ExclusiveStartShardId"] = last

    def _read_shard(self, shard: str) -> list[Change]:
        if shard not in self._iterators:
            start = {"StreamArn": self.arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
            self._iterators[shard] = self.client.get_shard_iterator(**start)["ShardIterator"]
        changes: list[Change] = []
        while (iterator := self._iterators[shard]) is not None:
            page = self.client.get_records(ShardIterator=iterator)
            self._iterators[shard] = page.get("NextShardIterator")
            changes += [_parse(record) for record in page["Records"]]
            # Both emulators write the record together with the item, so an empty page is the current end.
            if not page["Records"]:
                break
        return changes


def parents_first(parents: dict[str, str | None]) -> list[str]:
    """Shard ids in an order in which each comes after its parent; parents that were trimmed do not count."""
    ordered: dict[str, None] = {}
    for shard in parents:
        line = []
        ancestor: str | None = shard
        while ancestor is not None and ancestor in parents and ancestor not in ordered:
            line.append(ancestor)
            ancestor = parents[ancestor]
        ordered.update(dict.fromkeys(reversed(line)))
    return list(ordered)


def _parse(record: dict[str, Any]) -> Change:
    data = record["dynamodb"]
    return Change(record["eventName"], data["Keys"], data.get("OldImage"), data.get("NewImage"))
