"""A look at some items of a list: what touching all that it names would take."""

import math
from collections import Counter
from collections.abc import Sequence

import anyio

from refire_async.forecast.load import LEAST_READ_RCU, Load, Sizes
from refire_async.model.capacity import TABLE
from refire_async.model.item_size import item_bytes
from refire_async.model.keys import Item, Key, identity
from refire_async.model.units import RCU_BYTES
from refire_async.pacing.budget import ReadBudget
from refire_async.sources.lookup import ITEM_RCU, LARGEST, Lookup
from refire_async.survey.question import SHARES, Question
from refire_async.wire.dataplane import DataPlane

MOST_LOOKED_UP = 2_000
MOST_RCU = 2_000.0
"""Items that are looked up, and read units spent on it, at most."""

MOST_DRAWN = 20_000
"""Items of a list of which the hash keys are looked at, at most."""


async def survey_list(data: DataPlane, question: Question, items: int, drawn: Sequence[Item]) -> Load:
    """What touching a list of `items` would take, of which `drawn` are some at random: keys, and the markers that the
    list knows. An export tells its markers, which saves looking them up; where one is behind, the first attempt to
    touch its item fails and is paid for.

    `MOST_LOOKED_UP` of them are looked up, with `MOST_RCU` units.

    Raises:
        WireError: the table cannot be read.
        RefusedError: nothing could be read in time.
    """
    look = _Look(data, question)
    await look.read(drawn[:MOST_LOOKED_UP])
    if drawn and not look.looked:
        raise question.unread()
    return look.load(items, drawn)


class _Look:
    def __init__(self, data: DataPlane, question: Question) -> None:
        self.looked = 0
        self._question = question
        self._exported = question.selection.kind == "export"
        self._lookup = Lookup(data, question.table.name, None)
        self._budget = ReadBudget(question.max_rcu)
        self._most_rcu = min(MOST_RCU, question.max_rcu * question.within_s)
        self._spent = 0.0
        self._sizes = Sizes()
        self._expired = self._gone = 0
        self._rcu = 0.0

    async def read(self, drawn: Sequence[Item]) -> None:
        """Look them up, as many as time and units allow."""
        key_of, names = self._question.table.keys.key_of, self._question.table.keys.names
        with anyio.move_on_after(self._question.within_s):
            for start in range(0, len(drawn), LARGEST):
                if self._spent >= self._most_rcu:
                    return
                part = {identity(names, item): item for item in drawn[start : start + LARGEST]}
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
            answer = await self._lookup.read(wanted, consistent=False)
            consumed = estimate if answer.rcu is None else answer.rcu
            self._spent += self._budget.settle(estimate, consumed)
            found += answer.items
            wanted = answer.unprocessed  # a reply has room for 16 MB
        return found

    def _note(self, listed: Item, item: Item | None) -> None:
        """One of the list, and what is there now; the units that a run reads for it."""
        question, attribute = self._question, self._question.marker.attribute
        self.looked += 1
        if item is None:
            self._gone += 1
            # An eventually consistent read, then one to be sure; of an export only that, after a write that fails.
            self._rcu += ITEM_RCU if self._exported else ITEM_RCU / 2 + ITEM_RCU
            return
        consistent = float(max(1, math.ceil(item_bytes(item) / RCU_BYTES)))
        behind = self._exported and listed.get(attribute) != item.get(attribute)
        if not self._exported:
            self._rcu += consistent / 2
        elif behind:
            self._rcu += consistent
        if question.is_expired(item):
            self._expired += 1
        else:
            question.note(item, self._sizes, refused=behind)

    def load(self, items: int, drawn: Sequence[Item]) -> Load:
        """What all of it comes to."""
        question, looked = self._question, max(1, self.looked)
        touched = len(self._sizes.sizes)
        units = question.by_resource(self._sizes.item_units())
        if self._exported and touched:
            # A write to an item that is gone fails too (DynamoDB Developer Guide: Working with items).
            units[TABLE] += self._gone / touched
        return Load(
            items=round(items * touched / looked),
            item_bytes=self._sizes.mean,
            item_wcu=units,
            rcu=items * self._rcu / looked,
            hottest_share=self._hottest_share(items, drawn),
            quantiles=self._sizes.quantiles(*SHARES),
            sampled=self.looked,
        )

    def _hottest_share(self, items: int, drawn: Sequence[Item]) -> float:
        """Of a list, whose items were drawn one by one. Those of an export lie side by side, which tells nothing."""
        keys = self._question.table.keys
        if not items:
            return 0.0
        if keys.range_name is None or self._exported:
            return 1.0 / items
        counted = Counter(str(item[keys.hash_name]) for item in drawn)
        return max(counted.values()) / len(drawn)
