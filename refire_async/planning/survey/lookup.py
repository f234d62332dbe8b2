"""Looks up given items: their sizes, and the units that a run needs to read their markers."""

import math
from collections.abc import Sequence
from functools import partial

import anyio

from refire_async.aws.answers import Found
from refire_async.aws.data_plane import DataPlane
from refire_async.aws.errors import AwsError, Disposition
from refire_async.model.item_size import item_bytes
from refire_async.model.keys import Item, Key, identity
from refire_async.model.units import RCU_BYTES
from refire_async.pacing.budget import ReadBudget
from refire_async.planning.forecast.load import LEAST_READ_RCU, SampleSizes
from refire_async.planning.survey.request import SurveyRequest
from refire_async.planning.survey.retry import with_retries
from refire_async.sources.lookup import ITEM_RCU, MAX_BATCH_KEYS, Lookup

MOST_LOOKED_UP = 2_000
MOST_RCU = 2_000.0
"""Maximum number of items to look up, and of read units for it."""


class LookedUp:
    """The `looked` items so far: the `sizes` of those that a run would touch, and the number of deleted ones (`gone`).

    `rcu` are the read units that a run needs to look them up. The survey itself consumes at most `MOST_RCU`.
    """

    def __init__(self, data: DataPlane, request: SurveyRequest) -> None:
        self.looked = 0
        self._request = request
        self._exported = request.selection.kind == "export"
        self._lookup = Lookup(data, request.table.name, request.table.keys, None)
        self._budget = ReadBudget(request.max_rcu)
        self._most_rcu = min(MOST_RCU, request.max_rcu * request.within_s)
        self._spent = 0.0
        self.sizes = SampleSizes()
        self.gone = 0
        self.rcu = 0.0

    async def read(self, drawn: Sequence[Item]) -> None:
        """Look up as many of `drawn` as time and units allow. Raises AwsError."""
        key_of, names = self._request.table.keys.key_of, self._request.table.keys.names
        with anyio.move_on_after(self._request.within_s):
            for start in range(0, len(drawn), MAX_BATCH_KEYS):
                if self._spent >= self._most_rcu:
                    return
                part = {identity(names, item): item for item in drawn[start : start + MAX_BATCH_KEYS]}
                found = await self._find([key_of(item) for item in part.values()])
                there = {identity(names, item): item for item in found}
                for key, listed in part.items():
                    self._note(listed, there.get(key))

    async def _find(self, wanted: Sequence[Key]) -> list[Item]:
        found: list[Item] = []
        while wanted:
            estimate = (
                self._spent / self.looked * len(wanted) if self.looked else len(wanted) * LEAST_READ_RCU
            )
            await self._budget.reserve(estimate)
            answer = await with_retries(partial(self._read, wanted))
            consumed = estimate if answer.rcu is None else answer.rcu
            self._spent += self._budget.correct(estimate, consumed)
            found += answer.items
            wanted = answer.unprocessed  # a response has at most 16 MB
        return found

    async def _read(self, wanted: Sequence[Key]) -> Found:
        answer = await self._lookup.read(wanted, consistent=False)
        if len(answer.unprocessed) == len(wanted):
            raise AwsError(
                "UnprocessedKeys", "BatchGetItem processed none of the keys", Disposition.THROTTLED
            )
        return answer

    def _note(self, listed: Item, item: Item | None) -> None:
        """Count an entry of the list and its item in the table, with the units that a run reads for it."""
        request, attribute = self._request, self._request.marker.attribute
        self.looked += 1
        if item is None:
            self.gone += 1
            # An eventually consistent read, then a consistent one; for an export only that, after a write that fails.
            self.rcu += ITEM_RCU if self._exported else ITEM_RCU / 2 + ITEM_RCU
            return
        consistent = float(max(1, math.ceil(item_bytes(item) / RCU_BYTES)))
        behind = self._exported and listed.get(attribute) != item.get(attribute)
        if not self._exported:
            self.rcu += consistent / 2
        elif behind:
            self.rcu += consistent
        if not request.is_expired(item):
            request.note(item, self.sizes, refused=behind)
