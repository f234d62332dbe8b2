"""A look at some items of a list: what touching all that it names would take."""

from collections import Counter
from collections.abc import Sequence

from refire_async.aws.data_plane import DataPlane
from refire_async.model.capacity import TABLE
from refire_async.model.keys import Item
from refire_async.planning.forecast.load import Load
from refire_async.planning.survey.lookup import MOST_LOOKED_UP, LookedUp
from refire_async.planning.survey.request import SHARES, SurveyRequest

MOST_DRAWN = 20_000
"""Items of a list of which the hash keys are looked at, at most."""


async def survey_list(data: DataPlane, request: SurveyRequest, items: int, drawn: Sequence[Item]) -> Load:
    """What touching a list of `items` would take, of which `drawn` are some at random: keys, and the markers that the
    list knows. An export tells its markers, which saves looking them up; where one is behind, the first attempt to
    touch its item fails and is paid for.

    `MOST_LOOKED_UP` of them are looked up.

    Raises:
        WireError: the table cannot be read.
        RefusedError: nothing could be read in time.
    """
    seen = LookedUp(data, request)
    await seen.read(drawn[:MOST_LOOKED_UP])
    if drawn and not seen.looked:
        raise request.unread()
    exported = request.selection.kind == "export"
    looked, touched = max(1, seen.looked), len(seen.sizes.sizes)
    units = request.by_resource(seen.sizes.item_units())
    if exported and touched:
        # A write to an item that is gone fails too (DynamoDB Developer Guide: Working with items).
        units[TABLE] += seen.gone / touched
    return Load(
        items=round(items * touched / looked),
        item_bytes=seen.sizes.mean,
        item_wcu=units,
        rcu=items * seen.rcu / looked,
        # Items of an export are drawn side by side, which tells nothing of hash keys.
        hottest_share=0.0 if exported else _hottest_share(request, drawn),
        quantiles=seen.sizes.quantiles(*SHARES),
        sampled=seen.looked,
    )


def _hottest_share(request: SurveyRequest, drawn: Sequence[Item]) -> float:
    """The share of the hash key that most of the items have, which were drawn one by one."""
    counted = Counter(str(item[request.table.keys.hash_name]) for item in drawn)
    return max(counted.values(), default=0) / max(1, len(drawn))
