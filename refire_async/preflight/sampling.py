"""Samples items from the whole table, with little capacity and in little time."""

import math
import time
from collections import deque
from typing import Any

import anyio
import orjson

from refire_async.aws.answers import ReadPage, parse_page
from refire_async.aws.data_plane import DataPlane
from refire_async.aws.errors import AwsError
from refire_async.model.item_size import MAX_ITEM_BYTES, item_bytes
from refire_async.model.keys import AttributeValue, Item, KeySchema
from refire_async.model.units import RCU_BYTES, WCU_BYTES
from refire_async.preflight.facts import CheckedRun, SampledItems
from refire_async.sources.table import hash_key_condition, hash_key_values

MOST_ITEMS = 1_000
SEGMENTS = 16
PAGE_ITEMS = 64
"""Items per page: 16 pages are 1,000 items. A page has at most 1 MB, which bounds the memory."""

MOST_RCU = 500.0
"""Maximum read units of a sample, so that there are fewer items if they are large: 4 MB at most."""

SMALL_TABLE_BYTES = 1 << 20
NEAR_BYTES = 8 * 1024
_SHARE_OF_A_SECOND = 0.1
_FIRST_ITEM_BYTES = 4_096.0


class Sampler:
    """Collects the facts of a sample page by page, without keeping items."""

    def __init__(self, run: CheckedRun, now_s: float, *, whole_items: bool) -> None:
        """`whole_items`: the pages have all attributes, so that each item's size is known."""
        self._attribute = run.marker_attribute
        self._ttl = run.ttl_attribute
        self._now_s = now_s
        self._whole_items = whole_items
        self._markers: list[AttributeValue | None] = []
        self._units = 0.0
        self._near = 0
        self._expired = 0
        self.pages = 0
        self.rcu = 0.0
        self.item_bytes = _FIRST_ITEM_BYTES

    @property
    def items(self) -> int:
        """Number of items so far."""
        return len(self._markers)

    def add(self, items: list[Item], rcu: float) -> None:
        """Add one page, whose eventually consistent read consumed `rcu`."""
        self.pages += 1
        self.rcu += rcu
        self._markers += [item.get(self._attribute) for item in items]
        self._expired += sum(map(self._has_expired, items))
        if not items:
            return
        if self._whole_items:
            sizes = [float(item_bytes(item)) for item in items]
        else:
            sizes = [rcu * 2 * RCU_BYTES / len(items)] * len(items)
        self._units += sum(max(1, math.ceil(size / WCU_BYTES)) for size in sizes)
        self._near += self._whole_items and sum(size > MAX_ITEM_BYTES - NEAR_BYTES for size in sizes)
        # The next page may be like this one or like earlier ones: use the larger size.
        self.item_bytes = max(sum(sizes) / len(items), self.item_bytes / 2)

    def sample(self) -> SampledItems:
        """The sample so far."""
        items = len(self._markers)
        mean = self._units / items if items else 1.0
        return SampledItems(tuple(self._markers), mean, self._near, self._expired, self.rcu)

    def _has_expired(self, item: Item) -> bool:
        if self._ttl is None:
            return False
        expires = item.get(self._ttl, {}).get("N")
        return expires is not None and float(expires) < self._now_s


async def sample(
    data: DataPlane, run: CheckedRun, until: float, *, whole_items: bool = False, now_s: float | None = None
) -> SampledItems | None:
    """Sample up to `MOST_ITEMS` items: some from each of 16 ranges of the key hash, or of 16 hash keys.

    Reads are eventually consistent, a page at a time, within the read budget; a page takes at most a tenth of a
    second's budget. `now_s` is the service's time, for the expiry of items. Ends at `until` (of the event loop's
    clock) or at an error, with the items so far; None if there was no response.

    Raises:
        AwsError: the first page could not be read.
    """
    sampler = Sampler(run, time.time() if now_s is None else now_s, whole_items=whole_items)
    rate = max(run.limits.read, 0.1)
    requests = deque(_page_requests(run, whole_items=whole_items))
    due = anyio.current_time()
    with anyio.CancelScope(deadline=until):
        while requests and sampler.items < MOST_ITEMS and sampler.rcu < MOST_RCU:
            await anyio.sleep(max(0.0, due - anyio.current_time()))
            request = requests.popleft()
            allowed = int(rate * _SHARE_OF_A_SECOND * 2 * RCU_BYTES / sampler.item_bytes)
            request["Limit"] = max(1, min(PAGE_ITEMS, MOST_ITEMS - sampler.items, allowed))
            try:
                page = await _read(data, run.table.keys, request)
            except AwsError:
                if not sampler.pages:
                    raise
                break
            sampler.add(page.items, page.rcu)
            due = anyio.current_time() + page.rcu / rate
            if page.last is not None:
                requests.append({**request, "ExclusiveStartKey": page.last})
    return sampler.sample() if sampler.pages else None


async def _read(data: DataPlane, keys: KeySchema, request: dict[str, Any]) -> ReadPage:
    operation = "Query" if "KeyConditionExpression" in request else "Scan"
    answer = await data.call(operation, orjson.dumps(request))
    return parse_page(answer, operation, keys, request.get("ExclusiveStartKey"))


def _page_requests(run: CheckedRun, *, whole_items: bool) -> list[dict[str, Any]]:
    """One request for each part of the table."""
    table, selection = run.table, run.selection
    attributes = dict.fromkeys((*table.keys.names, run.marker_attribute, run.ttl_attribute))
    names = {f"#a{n}": name for n, name in enumerate(attributes) if name is not None}
    common: dict[str, Any] = {"TableName": table.name, "ReturnConsumedCapacity": "TOTAL"}
    if not whole_items:
        common |= {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
    if selection.kind == "query" and selection.index is None:
        common["KeyConditionExpression"], hash_names = hash_key_condition(selection, "k")
        common["ExpressionAttributeNames"] = hash_names if whole_items else names | hash_names
        total = len(selection.key_values)
        return [
            {**common, "ExpressionAttributeValues": hash_key_values(selection, "k", segment)}
            for segment in range(0, total, math.ceil(total / SEGMENTS))
        ]
    # Every segment costs a read, however few items it has.
    segments = SEGMENTS if table.size_bytes > SMALL_TABLE_BYTES else 1
    return [{**common, "Segment": n, "TotalSegments": segments} for n in range(segments)]
