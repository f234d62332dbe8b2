"""A sample of a source's items, chosen by a hash of the key: the same items in every run and from every source."""

from collections.abc import Mapping
from hashlib import blake2b

import orjson

from refire_async.model.keys import AttributeValue, Cursor, KeySchema, identity
from refire_async.sources.base import Source, SourcePage

_SPACE = 1 << 64


class Sample:
    """Whether an item belongs to a sample of `percent` (above 0, at most 100), by its key alone."""

    def __init__(self, keys: KeySchema, percent: float) -> None:
        self._names = keys.names
        self._below = min(_SPACE, round(_SPACE * percent / 100.0))

    def takes(self, item: Mapping[str, AttributeValue]) -> bool:
        """Whether `item`, whose key values are in canonical form, belongs to the sample."""
        digest = blake2b(orjson.dumps(identity(self._names, item)), digest_size=8).digest()
        return int.from_bytes(digest, "big") < self._below


class SampledSource:
    """The items of `source` that belong to the sample. The other items are read, and paid for, too."""

    def __init__(self, source: Source, sample: Sample) -> None:
        self._source = source
        self._sample = sample
        self.total_segments = source.total_segments
        self.carries_marker = source.carries_marker
        self.may_repeat = source.may_repeat

    async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
        """See `Source.read`."""
        page = await self._source.read(segment, cursor, limit)
        taken = [item for item in page.items if self._sample.takes(item)]
        return SourcePage(taken, page.cursor, page.rcu, page.item_bytes)
