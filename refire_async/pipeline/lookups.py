"""Look-ups of items by key, within the read budget and with retries."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from refire_async.aws.errors import AwsError, Disposition
from refire_async.errors import StoppedError
from refire_async.model.keys import Item, Key, KeySchema, identity
from refire_async.model.stop import StopRequest
from refire_async.model.totals import Totals
from refire_async.pacing.budget import ReadBudget
from refire_async.pipeline.reads import Reads
from refire_async.pipeline.waits import Waits
from refire_async.sources.lookup import ITEM_RCU, MAX_BATCH_KEYS, Found, Lookup

BAD_KEY = ("Validation", "ValidationError")
"""Names of errors by which BatchGetItem refuses one of its keys, among other things."""


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The `items` that exist, and the keys that DynamoDB refuses, each with its error."""

    items: list[Item]
    refused: list[tuple[Key, AwsError]]


class LookUps:
    """Reads items by key for the readers and workers of one attempt."""

    def __init__(
        self,
        *,
        lookup: Lookup,
        keys: KeySchema,
        budget: ReadBudget,
        reads: Reads,
        waits: Waits,
        stop: StopRequest,
        totals: Totals,
    ) -> None:
        """`keys` is the table's key schema; `totals` counts the RCU that look-ups consume."""
        self._lookup = lookup
        self._keys = keys
        self._budget = budget
        self._reads = reads
        self._waits = waits
        self._stop = stop
        self._totals = totals
        self._rcu_per_item = ITEM_RCU  # moving average of a consistent look-up

    async def look_up_first(self, segment: int, keys: Sequence[Key]) -> LookedUp:
        """Look up `keys` of a source that does not carry the marker. The items come in any order.

        The read is eventually consistent, like a source's, at half the price: the write of an item with a stale marker
        fails its condition. Keys that are not found are read again consistently before their items count as gone.

        Raises:
            AwsError, StoppedError: as `look_up`.
        """
        names = self._keys.names
        looked = await self._look_up(segment, keys, consistent=False)
        if len(looked.items) + len(looked.refused) < len(keys):
            known = {identity(names, item) for item in (*looked.items, *(key for key, _ in looked.refused))}
            missing = [key for key in keys if identity(names, key) not in known]
            again = await self._look_up(segment, missing, consistent=True)
            looked = LookedUp(looked.items + again.items, looked.refused + again.refused)
        return looked

    async def look_up(self, segment: int, items: list[Item]) -> dict[tuple[object, ...], Item]:
        """Look up `items` consistently. Returns what the table has now, by key identity, without items that are gone.

        An item whose key DynamoDB refuses is returned unchanged: its write is refused too, with the reason.

        Raises:
            AwsError, StoppedError: as `Reads.with_retries`.
            StoppedError: the run stops before the budget grants the read.
        """
        keys = self._keys
        looked = await self._look_up(segment, [keys.key_of(item) for item in items], consistent=True)
        found = {identity(keys.names, item): item for item in looked.items}
        refused = {identity(keys.names, key) for key, _ in looked.refused}
        return found | {key: item for item in items if (key := identity(keys.names, item)) in refused}

    async def _look_up(self, segment: int, wanted: Sequence[Key], *, consistent: bool) -> LookedUp:
        looked = LookedUp([], [])
        requests = [wanted] if wanted else []
        while requests:
            wanted = requests.pop()
            price = self._rcu_per_item if consistent else self._rcu_per_item / 2
            size = self._budget.page_limit(price, MAX_BATCH_KEYS)
            chunk, rest = wanted[:size], wanted[size:]
            if rest:
                requests.append(rest)
            try:
                answer = await self._reads.with_retries(
                    segment, partial(self._look_up_once, chunk, consistent)
                )
            except AwsError as error:
                if error.name not in BAD_KEY:
                    raise
                # One bad key fails the whole request: halve it until that key is alone.
                middle = len(chunk) // 2
                if middle:
                    requests += [chunk[middle:], chunk[:middle]]
                else:
                    looked.refused.append((chunk[0], error))
                continue
            looked.items.extend(answer.items)
            if answer.unprocessed:
                requests.append(answer.unprocessed)
        return looked

    async def _look_up_once(self, chunk: Sequence[Key], consistent: bool) -> Found:  # noqa: FBT001 - through `partial`
        times = len(chunk) if consistent else len(chunk) / 2
        estimate = times * self._rcu_per_item
        if (self._stop.reason is not None and self._budget.paused) or not await self._waits.unless_stopped(
            self._budget.reserve(estimate)
        ):
            raise StoppedError("stopped before everything was looked up", "continue with 'refire resume'")
        answer = await self._lookup.read(chunk, consistent=consistent)
        consumed = estimate
        if answer.rcu is not None:
            consumed = answer.rcu
            self._rcu_per_item += 0.2 * (max(ITEM_RCU, consumed / times) - self._rcu_per_item)
        self._totals.rcu += self._budget.settle(estimate, consumed)
        if len(answer.unprocessed) == len(chunk):
            # Equivalent to a refusal: the next try waits, and this one does not count as a success.
            raise AwsError("UnprocessedKeys", "BatchGetItem left every key out", Disposition.THROTTLED)
        return answer
