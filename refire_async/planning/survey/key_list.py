"""Samples a list of keys or an export, to estimate the load of a run over it."""

from collections import Counter
from collections.abc import Sequence

from refire_async.aws.data_plane import DataPlane
from refire_async.model.capacity import TABLE
from refire_async.model.keys import Item
from refire_async.planning.forecast.load import Load
from refire_async.planning.survey.lookup import MOST_LOOKED_UP, LookedUp
from refire_async.planning.survey.request import SHARES, SurveyRequest

MOST_DRAWN = 20_000
"""Maximum number of items of a list whose hash keys are compared."""


async def survey_list(data: DataPlane, request: SurveyRequest, items: int, drawn: Sequence[Item]) -> Load:
    """The load of touching a list of `items`. `drawn` are random ones of them, with the markers that the list has.

    An export has markers, so the run does not look them up; if one is outdated, the first attempt to touch the item
    fails and is charged. This looks up at most `MOST_LOOKED_UP` items.

    Raises:
        AwsError: the table cannot be read.
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
        # A write to a deleted item fails and is charged too (DynamoDB Developer Guide: Working with items).
        units[TABLE] += seen.gone / touched
    return Load(
        items=round(items * touched / looked),
        item_bytes=seen.sizes.mean,
        item_wcu=units,
        rcu=items * seen.rcu / looked,
        # Items of an export are drawn in consecutive groups, which says nothing about hash keys.
        hottest_share=0.0 if exported else _hottest_share(request, drawn),
        quantiles=seen.sizes.quantiles(*SHARES),
        sampled=seen.looked,
    )


def _hottest_share(request: SurveyRequest, drawn: Sequence[Item]) -> float:
    """The share of the most frequent hash key among items that were drawn independently."""
    counted = Counter(str(item[request.table.keys.hash_name]) for item in drawn)
    return max(counted.values(), default=0) / max(1, len(drawn))
