"""Look up items by key, within the read budget and with retries."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from refire_async.aws.answers import Found
from refire_async.aws.errors import AwsError, Disposition
from refire_async.errors import StoppedError
from refire_async.model.counts import Totals
from refire_async.model.keys import Item, Key, KeySchema, identity
from refire_async.model.stop import StopRequest
from refire_async.pacing.budget import ReadBudget
from refire_async.pipeline.reads import ReadRetries
from refire_async.pipeline.waits import Waits
from refire_async.sources.lookup import ITEM_RCU, MAX_BATCH_KEYS, Lookup

BAD_KEY = ("Validation", "ValidationError")
"""Names of errors with which BatchGetItem rejects a request that holds an invalid key, among other causes."""


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The `items` that exist, and the keys that DynamoDB rejects, each with its error."""

    items: list[Item]
    rejected: list[tuple[Key, AwsError]]


class BudgetedLookup:
    """Looks up items by key for the readers and workers of one attempt, in chunks that fit the read budget."""

    def __init__(
        self,
        *,
        lookup: Lookup,
        keys: KeySchema,
        budget: ReadBudget,
        reads: ReadRetries,
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

    async def read_markers(self, segment: int, keys: Sequence[Key]) -> LookupResult:
        """Look up the items of `keys`, for a source that does not carry the marker. They come in any order.

        The read is eventually consistent, like a source's, at half the price: the write of an item with a stale marker
        fails its condition. Keys that are not found are read again consistently before their items count as gone.

        Raises:
            AwsError, StoppedError: as `read_current`.
        """
        names = self._keys.names
        found = await self._read(segment, keys, consistent=False)
        if len(found.items) + len(found.rejected) < len(keys):
            known = {identity(names, item) for item in (*found.items, *(key for key, _ in found.rejected))}
            missing = [key for key in keys if identity(names, key) not in known]
            again = await self._read(segment, missing, consistent=True)
            found = LookupResult(found.items + again.items, found.rejected + again.rejected)
        return found

    async def read_current(self, segment: int, items: list[Item]) -> dict[tuple[object, ...], Item]:
        """Read `items` again, consistently. Returns those that the table has now, by key identity.

        An item whose key DynamoDB rejects is returned unchanged: its write is rejected too, with the reason.

        Raises:
            AwsError, StoppedError: as `ReadRetries.call`.
            StoppedError: the run stops before the budget grants the read.
        """
        keys = self._keys
        found = await self._read(segment, [keys.key_of(item) for item in items], consistent=True)
        present = {identity(keys.names, item): item for item in found.items}
        rejected = {identity(keys.names, key) for key, _ in found.rejected}
        return present | {key: item for item in items if (key := identity(keys.names, item)) in rejected}

    async def _read(self, segment: int, wanted: Sequence[Key], *, consistent: bool) -> LookupResult:
        result = LookupResult([], [])
        requests = [wanted] if wanted else []
        while requests:
            wanted = requests.pop()
            price = self._rcu_per_item if consistent else self._rcu_per_item / 2
            size = self._budget.page_limit(price, MAX_BATCH_KEYS)
            chunk, rest = wanted[:size], wanted[size:]
            if rest:
                requests.append(rest)
            try:
                answer = await self._reads.call(segment, partial(self._read_chunk, chunk, consistent))
            except AwsError as error:
                if error.name not in BAD_KEY:
                    raise
                # One invalid key fails the whole request: halve it until that key is alone.
                middle = len(chunk) // 2
                if middle:
                    requests += [chunk[middle:], chunk[:middle]]
                else:
                    result.rejected.append((chunk[0], error))
                continue
            result.items.extend(answer.items)
            if answer.unprocessed:
                requests.append(answer.unprocessed)
        return result

    async def _read_chunk(self, chunk: Sequence[Key], consistent: bool) -> Found:  # noqa: FBT001 - through `partial`
        times = len(chunk) if consistent else len(chunk) / 2
        estimate = times * self._rcu_per_item
        if (self._stop.reason is not None and self._budget.paused) or not await self._waits.unless_stopped(
            self._budget.reserve(estimate)
        ):
            raise StoppedError("stopped before everything was result up", "continue with 'refire resume'")
        answer = await self._lookup.read(chunk, consistent=consistent)
        consumed = estimate
        if answer.rcu is not None:
            consumed = answer.rcu
            self._rcu_per_item += 0.2 * (max(ITEM_RCU, consumed / times) - self._rcu_per_item)
        self._totals.rcu += self._budget.correct(estimate, consumed)
        if len(answer.unprocessed) == len(chunk):
            # Equivalent to throttling: the next try waits, and this one does not count as a success.
            raise AwsError(
                "UnprocessedKeys", "BatchGetItem processed none of the keys", Disposition.THROTTLED
            )
        return answer
