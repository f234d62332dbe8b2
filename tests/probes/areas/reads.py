"""Scan, Query and BatchGetItem: what they return, in what pieces, and what the pieces cost."""

from typing import Any

from tests.probes.cost import Cost
from tests.probes.facts import Area, Seen, equal, seen_if
from tests.probes.lab import Item, Lab
from tests.probes.sources import EXTENDDB, api, dg
from tests.probes.tables import PK

area = Area("reads", "Reads: segments, pages, resuming and their cost", tables=("scanned",))


@area(
    "segments-cover",
    assumed="The segments of a parallel scan together return each item exactly once.",
    source=dg("Scanning tables: parallel scan"),
    code="sources/table.py, pipeline/readers.py",
    rests="Coverage, Once",
    how="Scan 60 items in 7 segments; how many items came, and how many of them differ.",
)
def _(lab: Lab) -> Seen:
    items = lab.scanned_items()
    found = [_name(item) for segment in range(7) for item in _segment(lab, segment, 7)]
    return equal(
        f"{len(items)} items, {len(items)} of them differ",
        f"{len(found)} items, {len(set(found))} of them differ",
    )


@area(
    "segments-are-hash-ranges",
    assumed="A segment is a range of the hash of the hash key: each half of the table is two quarters of it.",
    source="tried on DynamoDB Local; that partitions are ranges of the hash: DynamoDB Developer Guide: Partitions",
    code="preflight/sampling.py, pipeline/sizing.py, sandbox/store/keys.py",
    rests="Plan, Check, Sandbox",
    how="Scan in 2 and in 4 segments; the items of each half against those of its quarters.",
    believed={"ministack": "the service, after its documentation: ministack deals items out by their place"},
)
def _(lab: Lab) -> Seen:
    lab.scanned_items()
    halves = [{_name(item) for item in _segment(lab, segment, 2)} for segment in range(2)]
    quarters = [{_name(item) for item in _segment(lab, segment, 4)} for segment in range(4)]
    same = [halves[n] == quarters[2 * n] | quarters[2 * n + 1] for n in range(2)]
    return equal("both halves", "both halves" if all(same) else f"{sum(same)} of 2 halves")


@area(
    "hash-key-in-one-segment",
    assumed="All items of a hash key are in one segment, side by side and by their sort key.",
    source=dg("Partitions and data distribution"),
    code="planning/survey/hash_keys.py, pacing/lane_rate.py",
    rests="Plan",
    how="Scan in 5 segments; how often the hash key changes in all of them, and whether the sort keys rise.",
)
def _(lab: Lab) -> Seen:
    lab.scanned_items()
    changes, rising, before = 0, True, ("", -1)
    for segment in range(5):
        for item in _segment(lab, segment, 5):
            hash_key, sort_key = _name(item)
            changes += hash_key != before[0]
            rising = rising and (hash_key != before[0] or sort_key > before[1])
            before = (hash_key, sort_key)
    return equal(
        "20 hash keys one after another, sort keys rise",
        f"{changes} hash keys one after another, sort keys {'rise' if rising else 'do not rise'}",
    )


@area(
    "resume-at-key",
    assumed="A scan that goes on behind LastEvaluatedKey returns each item once.",
    source=api("Scan: ExclusiveStartKey"),
    code="sources/table.py, checkpoint/ledger.py, pipeline/readers.py",
    rests="Coverage, Once, Resume",
    how="Scan one of two segments in pages of 7 items, and whole.",
)
def _(lab: Lab) -> Seen:
    lab.scanned_items()
    pages = [_name(item) for item in _segment(lab, 0, 2, Limit=7)]
    whole = [_name(item) for item in _segment(lab, 0, 2)]
    return equal(
        "the same items", "the same items" if pages == whole else f"{len(pages)} items for {len(whole)}"
    )


@area(
    "any-key-starts",
    assumed="A scan can start behind the key of any item of its segment, and behind one that no item has.",
    source=api("Scan: ExclusiveStartKey"),
    code="planning/survey/hash_keys.py, checkpoint/ledger.py",
    rests="Resume, Plan",
    how="Start behind the third item of the scan, and behind a sort key that is missing; the next items.",
)
def _(lab: Lab) -> Seen:
    lab.scanned_items()
    whole = _segment(lab, 0, 1)
    behind = _page(lab, Limit=2, ExclusiveStartKey=_key(whole[2]))["Items"]
    missing = _page(lab, Limit=2, ExclusiveStartKey={PK: whole[0][PK], "sk": {"N": "0.5"}})["Items"]
    said = [
        "the next" if found == whole[first : first + 2] else "others"
        for found, first in ((behind, 3), (missing, 1))
    ]
    return equal("the next, the next", said)


@area(
    "key-at-exact-limit",
    assumed="A page that reaches Limit has a LastEvaluatedKey, also if nothing is left; without it the scan is over.",
    source="tried on DynamoDB Local; DynamoDB API Reference: Scan",
    code="sources/table.py, pipeline/readers.py",
    rests="Coverage",
    how="Query 3 items with the limits 3 and 4.",
)
def _(lab: Lab) -> Seen:
    lab.scanned_items()
    said = [
        "key" if "LastEvaluatedKey" in _query(lab, "scanned-003", Limit=limit) else "no key"
        for limit in (3, 4)
    ]
    return equal("key, no key", said)


@area(
    "key-of-other-segment",
    assumed="A start key outside of the segment is a ValidationException.",
    source=EXTENDDB,
    code="checkpoint/identity.py",
    rests="Resume",
    how="The key of an item of the first of two segments as the start of the second.",
    believed={"ministack": "the service: measured there; ministack does not check"},
)
def _(lab: Lab) -> Seen:
    lab.scanned_items()
    key = _key(_segment(lab, 0, 2)[0])
    answer = lab.attempt(
        lab.dynamodb.scan, TableName=lab.table("scanned"), Segment=1, TotalSegments=2, ExclusiveStartKey=key
    )
    return equal("ValidationException", answer.said)


@area(
    "other-total-is-accepted",
    assumed="A start key with another TotalSegments is taken without a word if it is in that segment.",
    source="tried on DynamoDB Local",
    code="checkpoint/identity.py",
    rests="Resume",
    how="A key from the first of four segments as the start of the first of two.",
)
def _(lab: Lab) -> Seen:
    lab.scanned_items()
    (first, *_) = _segment(lab, 0, 4)
    answer = lab.attempt(
        lab.dynamodb.scan,
        TableName=lab.table("scanned"),
        Segment=0,
        TotalSegments=2,
        ExclusiveStartKey=_key(first),
    )
    return equal("accepted", answer.said)


@area(
    "segment-limits",
    assumed="TotalSegments is at most 1,000,000, and Segment is less than it.",
    source=api("Scan"),
    code="pipeline/sizing.py, planning/survey/table.py",
    rests="Resume, Plan",
    how="Segment 999,999 of 1,000,000, one segment more, and segment 2 of 2.",
)
def _(lab: Lab) -> Seen:
    said = [
        lab.attempt(
            lab.dynamodb.scan, TableName=lab.table("scanned"), Segment=segment, TotalSegments=total
        ).said
        for segment, total in ((999_999, 1_000_000), (0, 1_000_001), (2, 2))
    ]
    return equal("accepted, ValidationException, ValidationException", said)


@area(
    "filter-is-after-limit",
    assumed="Limit counts items before the filter; a page can be empty and have a LastEvaluatedKey all the same.",
    source=dg("Scanning tables: limiting the number of items"),
    code="sources/where.py, sources/table.py, model/counts.py",
    rests="Coverage, Honest end",
    how="Scan with Limit 5 and a filter that no item passes.",
)
def _(lab: Lab) -> Seen:
    lab.scanned_items()
    page = _page(lab, Limit=5, FilterExpression="attribute_exists(nothing)")
    return equal(
        "0 of 5 items, a key",
        f"{page['Count']} of {page['ScannedCount']} items, {'a key' if 'LastEvaluatedKey' in page else 'no key'}",
    )


@area(
    "filter-is-not-cheaper",
    assumed="Neither a filter nor a projection nor Select COUNT lowers what a scan costs.",
    source=dg("Scanning tables: filter expressions"),
    code="planning/forecast/cost.py, pacing/budget.py",
    rests="Budget, Plan",
    how="The units of a scan of 60 items: plain, with a filter, with a projection, counted.",
)
def _(lab: Lab) -> Seen:
    lab.scanned_items()
    filtered = {"FilterExpression": "attribute_exists(nothing)"}
    ways: tuple[dict[str, Any], ...] = ({}, filtered, {"ProjectionExpression": PK}, {"Select": "COUNT"})
    units = [_units(_page(lab, **way)) for way in ways]
    return equal([units[0]] * 4, units)


@area(
    "query-rounds-once",
    assumed="A Query adds up the sizes of its items and rounds once to 4 KB; half of that without ConsistentRead.",
    source=dg("Read and write operations"),
    code="planning/survey/table.py, sandbox/capacity/units.py",
    rests="Budget, Plan, Sandbox",
    how="Three items of 3,000 bytes under one hash key, read with and without ConsistentRead.",
    tables=("sorted",),
    believed={"ministack": "the service, after its documentation: ministack does not add up sizes"},
)
def _(lab: Lab) -> Seen:
    key = _collection(lab, 3, 2950)
    units = [_units(_query(lab, key, "sorted", ConsistentRead=consistent)) for consistent in (True, False)]
    return equal("3, 1.5", units)


@area(
    "query-by-sort-key",
    assumed="A Query of one hash key returns its items by their sort key, numbers by value, and a range of them alone.",
    source=api("Query"),
    code="sources/table.py, sources/sort_key.py, checkpoint/dynamodb/table.py",
    rests="Coverage, Checkpoint table",
    how="Five items with the sort keys 10, 9, -1, 2 and 100; all of them, and those between 2 and 10.",
    tables=("sorted",),
)
def _(lab: Lab) -> Seen:
    key = lab.key()
    for number in ("10", "9", "-1", "2", "100"):
        lab.dynamodb.put_item(TableName=lab.table("sorted"), Item={PK: {"S": key}, "sk": {"N": number}})
    some = lab.dynamodb.query(
        TableName=lab.table("sorted"),
        KeyConditionExpression=f"{PK} = :key AND sk BETWEEN :low AND :high",
        ExpressionAttributeValues={":key": {"S": key}, ":low": {"N": "2"}, ":high": {"N": "10"}},
        ConsistentRead=True,
    )
    pages = (_query(lab, key, "sorted", ConsistentRead=True), some)
    return equal(
        "-1 2 9 10 100, 2 9 10", [" ".join(item["sk"]["N"] for item in page["Items"]) for page in pages]
    )


@area(
    "page-of-1-mb",
    assumed="A page ends at 1 MB of items, just before or just behind it, whatever Limit says.",
    source=api("Query"),
    code="preflight/sampling.py, sandbox/store/pages.py",
    rests="Check, Sandbox",
    how="Query four items of 350,000 bytes each; the items of the first page, and whether there is a key.",
    tables=("sorted",),
    cost=Cost(writes=1600, reads=300),
)
def _(lab: Lab) -> Seen:
    page = _query(lab, _collection(lab, 4, 350_000), "sorted")
    key = "LastEvaluatedKey" in page
    return seen_if(
        key and page["Count"] in {2, 3}, f"{page['Count']} of 4 items, {'a key' if key else 'no key'}"
    )


@area(
    "empty-segment-costs",
    assumed="A scan of an empty segment consumes half a unit, with ConsistentRead a whole one.",
    source=dg("Scanning tables: capacity unit consumption"),
    code="planning/forecast/cost.py, sandbox/capacity/units.py",
    rests="Budget, Plan, Sandbox",
    how="Scan the first of 1,000,000 segments that is empty, with and without ConsistentRead.",
    believed={
        "dynamodb-local": "the service, after its documentation: DynamoDB Local counts items only",
    },
)
def _(lab: Lab) -> Seen:
    lab.scanned_items()
    units = []
    for consistent in (False, True):
        pages = (
            _page(lab, Segment=segment, TotalSegments=1_000_000, ConsistentRead=consistent)
            for segment in range(9)
        )
        units.append(_units(next(page for page in pages if not page["ScannedCount"])))
    return equal("0.5, 1", units)


@area(
    "absent-item-costs",
    assumed="A read of an item that is absent consumes half a unit, with ConsistentRead a whole one.",
    source=dg("Provisioned throughput"),
    code="planning/survey/lookup.py, pipeline/lookups.py",
    rests="Budget, Plan",
    how="GetItem of a key that no item has, with and without ConsistentRead.",
    tables=("simple",),
)
def _(lab: Lab) -> Seen:
    key = {PK: {"S": lab.key()}}
    name = lab.table("simple")
    units = [
        _units(
            lab.dynamodb.get_item(
                TableName=name, Key=key, ConsistentRead=consistent, ReturnConsumedCapacity="TOTAL"
            )
        )
        for consistent in (False, True)
    ]
    return equal("0.5, 1", units)


@area(
    "batch-get-limits",
    assumed="BatchGetItem takes 100 keys; 101, or one key twice, is a ValidationException.",
    source=api("BatchGetItem"),
    code="pipeline/lookups.py, planning/survey/lookup.py",
    rests="Coverage, Resume",
    how="100 keys, 101 keys, the same key twice.",
    tables=("simple",),
    cost=Cost(reads=100),
)
def _(lab: Lab) -> Seen:
    twice = lab.key()
    said = [
        _batch_get(lab, [lab.key() for _ in range(100)]).said,
        _batch_get(lab, [lab.key() for _ in range(101)]).said,
        _batch_get(lab, [twice, twice]).said,
    ]
    return equal("accepted, ValidationException, ValidationException", said)


@area(
    "batch-get-leaves-out",
    assumed="BatchGetItem leaves out items that are absent, and returns what did not fit as UnprocessedKeys.",
    source=api("BatchGetItem"),
    code="pipeline/lookups.py",
    rests="No harm, Honest end",
    how="Two keys of which one has an item: what comes back, and whether UnprocessedKeys is empty.",
    tables=("simple",),
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    body = _batch_get(lab, [key, lab.key()]).body
    (items,) = body["Responses"].values()
    left = body["UnprocessedKeys"]
    return equal(
        "1 item, nothing unprocessed", f"{len(items)} item, {'something' if left else 'nothing'} unprocessed"
    )


@area(
    "batch-get-rounds-per-item",
    assumed="BatchGetItem rounds the size of each item by itself.",
    source=dg("Read and write operations"),
    code="planning/survey/lookup.py, pipeline/lookups.py",
    rests="Budget, Plan",
    how="Two items of 5,000 bytes, read consistently in one batch.",
    tables=("simple",),
    believed={"ministack": "the service, after its API Reference: ministack tells no units"},
)
def _(lab: Lab) -> Seen:
    keys = [lab.put("simple", text={"S": "x" * 5000}) for _ in range(2)]
    (entry,) = _batch_get(lab, keys, ConsistentRead=True).body["ConsumedCapacity"]
    return equal("4", entry["CapacityUnits"])


area.untried(
    "no-snapshot",
    assumed="A scan is no snapshot: items that are put or deleted meanwhile may or may not appear.",
    source=api("Scan"),
    code="pipeline/triage.py, verification/reconcile.py",
    rests="Coverage",
    reason="it says only what is not promised",
)
area.untried(
    "one-partition-at-a-time",
    assumed="A scan of one segment reads one partition at a time, at most at that partition's 3,000 units a second.",
    source=dg("Scanning tables: parallel scan"),
    code="pipeline/sizing.py, planning/forecast/duration.py",
    rests="Plan",
    reason="it takes a table of several partitions under full load: more than a dollar",
)


def _page(lab: Lab, **parameters: Any) -> dict[str, Any]:
    parameters.setdefault("ConsistentRead", True)  # the items may have been written just before
    page: dict[str, Any] = lab.dynamodb.scan(
        TableName=lab.table("scanned"), ReturnConsumedCapacity="TOTAL", **parameters
    )
    return page


def _segment(lab: Lab, segment: int, total: int, **parameters: Any) -> list[Item]:
    found: list[Item] = []
    start: dict[str, Any] = {}
    while True:
        page = _page(lab, Segment=segment, TotalSegments=total, **parameters, **start)
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            return found
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _query(lab: Lab, key: str, kind: str = "scanned", **parameters: Any) -> dict[str, Any]:
    parameters.setdefault("ConsistentRead", True)
    page: dict[str, Any] = lab.dynamodb.query(
        TableName=lab.table(kind),
        KeyConditionExpression=f"{PK} = :key",
        ExpressionAttributeValues={":key": {"S": key}},
        ReturnConsumedCapacity="TOTAL",
        **parameters,
    )
    return page


def _batch_get(lab: Lab, keys: list[str], **parameters: Any) -> Any:
    wanted = {"Keys": [{PK: {"S": key}} for key in keys], **parameters}
    return lab.attempt(
        lab.dynamodb.batch_get_item,
        RequestItems={lab.table("simple"): wanted},
        ReturnConsumedCapacity="TOTAL",
    )


def _collection(lab: Lab, count: int, size: int) -> str:
    """Items under one new hash key, each with so many bytes of text."""
    key = lab.key()
    for n in range(count):
        item = {PK: {"S": key}, "sk": {"N": str(n)}, "text": {"S": "x" * size}}
        lab.attempt(lab.dynamodb.put_item, TableName=lab.table("sorted"), Item=item)
    return key


def _units(answer: dict[str, Any]) -> float:
    return float(answer["ConsumedCapacity"]["CapacityUnits"])


def _key(item: Item) -> Item:
    return {name: item[name] for name in (PK, "sk")}


def _name(item: Item) -> tuple[str, int]:
    return item[PK]["S"], int(item["sk"]["N"])
