"""Secondary indexes: what they hold, how they are read, and what a touch costs in them."""

from typing import Any

from tests.probes.facts import Area, Seen, equal
from tests.probes.lab import Answer, Item, Lab
from tests.probes.sources import CONFORMANCE, MEASURED, api, dg
from tests.probes.tables import PK

area = Area("indexes", "Secondary indexes", tables=("indexed",))

_N = {"N": "1"}


@area(
    "sparse",
    assumed="An item without a key attribute of an index is not in that index.",
    source=dg("Using global secondary indexes: sparse indexes"),
    code="sources/table.py, sources/resolving.py",
    rests="Coverage, Honest end",
    how="Put an item with and one without the hash key of a global index; the items of the index.",
)
def _(lab: Lab) -> Seen:
    group = lab.key()
    with_key = _put(lab, g={"S": group})
    _put(lab)
    return equal(
        "the one with the key",
        "the one with the key" if _names(_when(lab, group, 1)) == [with_key] else "others",
    )


@area(
    "eventually-written",
    assumed="A global index has a new item soon after the write was acknowledged.",
    source=dg("Using global secondary indexes: data synchronization"),
    code="sources/table.py, preflight/table.py",
    rests="Coverage",
    how="Put an item, then query the index until the item is there.",
)
def _(lab: Lab) -> Seen:
    group = lab.key()
    _put(lab, g={"S": group})
    return equal("there", "there" if _when(lab, group, 1) else "missing")


@area(
    "not-consistent",
    assumed="A consistent read of a global index is a ValidationException; of a local one it is allowed.",
    source=api("Query: ConsistentRead"),
    code="sources/table.py",
    rests="Coverage",
    how="A consistent Scan of either index.",
)
def _(lab: Lab) -> Seen:
    said = [
        lab.attempt(
            lab.dynamodb.scan, TableName=lab.table("indexed"), IndexName=index, ConsistentRead=True
        ).said
        for index in ("whole", "local")
    ]
    return equal("ValidationException, accepted", said)


@area(
    "cursor-has-both-keys",
    assumed="LastEvaluatedKey of an index holds the keys of the index and of the table.",
    source=dg("Working with global secondary indexes"),
    code="sources/table.py, checkpoint/ledger.py",
    rests="Resume",
    how="Query one of two entries of the index; the names in the key.",
)
def _(lab: Lab) -> Seen:
    group = _two(lab)
    return equal(["g", PK, "sk"], sorted(_query(lab, group, Limit=1).get("LastEvaluatedKey", {})))


@area(
    "resume",
    assumed="A query of an index that goes on behind LastEvaluatedKey returns each entry once, equal keys or not.",
    source=dg("Working with global secondary indexes"),
    code="sources/table.py, checkpoint/ledger.py",
    rests="Coverage, Resume",
    how="Two entries with the same keys of the index, one a page.",
)
def _(lab: Lab) -> Seen:
    group = _two(lab)
    found: list[str] = []
    start: dict[str, Any] = {}
    for _ in range(3):
        page = _query(lab, group, Limit=1, **start)
        found += _names(page["Items"])
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    return equal("2 entries, 2 items", f"{len(found)} entries, {len(set(found))} items")


@area(
    "scan-in-segments",
    assumed="The segments of a scan of an index together return each entry once.",
    source=dg("Scanning tables: parallel scan"),
    code="sources/table.py, pipeline/readers.py",
    rests="Coverage, Once",
    how="Ten entries of an index, scanned in 3 segments.",
)
def _(lab: Lab) -> Seen:
    names = [_put(lab, k={"S": lab.key()}) for _ in range(10)]

    def look() -> list[str] | None:
        found = [
            name for segment in range(3) for name in _names(_scan_segment(lab, segment)) if name in names
        ]
        return found if len(set(found)) == len(names) else None

    found = lab.wait("ten entries", look)
    return equal("10 entries", f"{len(found)} entries")


@area(
    "keys-only-entry",
    assumed="An entry of a KEYS_ONLY index has the keys of table and index, and no marker.",
    source=dg("Using global secondary indexes: attribute projections"),
    code="sources/table.py, pipeline/lookups.py, preflight/marker.py",
    rests="Coverage, Once",
    how="Put an item with more attributes; the names in its entry.",
)
def _(lab: Lab) -> Seen:
    group = lab.key()
    _put(lab, k={"S": group}, revision=_N, included=_N)
    (entry,) = _when(lab, group, 1, index="keys", name="k")
    return equal(["k", PK, "sk"], sorted(entry))


@area(
    "included-entry",
    assumed="An entry of an INCLUDE index has the keys and the named attributes.",
    source=dg("Using global secondary indexes: attribute projections"),
    code="sources/table.py, preflight/marker.py",
    rests="Coverage, Once",
    how="Put an item with a named and another attribute; the names in its entry.",
)
def _(lab: Lab) -> Seen:
    group = lab.key()
    _put(lab, g={"S": group}, revision=_N, included=_N)
    (entry,) = _when(lab, group, 1, index="some")
    return equal(["g", "included", PK, "sk"], sorted(entry))


@area(
    "unprojected-is-refused",
    assumed="Asking a global index for an attribute that it does not project is a ValidationException.",
    source=dg("Using global secondary indexes: attribute projections"),
    code="sources/table.py, sources/where.py",
    rests="Coverage",
    how="A projection of such an attribute on the KEYS_ONLY index.",
    believed={"ministack": "the service, after its documentation: ministack leaves the attribute out"},
)
def _(lab: Lab) -> Seen:
    answer = lab.attempt(
        lab.dynamodb.scan, TableName=lab.table("indexed"), IndexName="keys", ProjectionExpression="revision"
    )
    return equal("ValidationException", answer.said)


@area(
    "touch-outside-is-free",
    assumed="A touch of an attribute that an index does not project consumes nothing in that index, which is absent.",
    source=MEASURED,
    code="model/table.py, pacing/capacity.py, planning/forecast/dry_run.py",
    rests="Budget, Plan",
    how="Put an item that is in all indexes, touch it; the indexes that the answer names.",
)
def _(lab: Lab) -> Seen:
    key = _put(lab, **_everywhere(lab))
    answer = _touch(lab, key, "SET revision = :v", v=_N)
    return equal("table 1, whole 1", _units(answer))


@area(
    "touch-inside-costs",
    assumed="A changed attribute costs once in each index that projects it, global or local.",
    source=MEASURED,
    code="model/table.py, pacing/capacity.py, planning/forecast/load.py, sandbox/capacity/units.py",
    rests="Budget, Plan, Sandbox",
    how="Touch an attribute that a global index with ALL, one with INCLUDE and a local one project.",
)
def _(lab: Lab) -> Seen:
    key = _put(lab, **_everywhere(lab))
    answer = _touch(lab, key, "SET included = :v", v=_N)
    return equal("table 1, local 1, some 1, whole 1", _units(answer))


@area(
    "changed-key-costs-twice",
    assumed="A change of an index's key costs the removal of the old entry and the new one.",
    source=dg("Using global secondary indexes: write capacity"),
    code="preflight/marker.py, sandbox/capacity/units.py",
    rests="Budget, Sandbox",
    how="Change the hash key of the KEYS_ONLY index.",
)
def _(lab: Lab) -> Seen:
    key = _put(lab, k={"S": lab.key()})
    answer = _touch(lab, key, "SET k = :v", v={"S": lab.key()})
    return equal("table 1, keys 2", _units(answer))


@area(
    "unchanged-is-free",
    assumed="A write that changes nothing costs the table and no index.",
    source=MEASURED,
    code="sandbox/capacity/units.py",
    rests="Sandbox",
    how="Set an attribute that all indexes have to the value that it has.",
)
def _(lab: Lab) -> Seen:
    key = _put(lab, included=_N, **_everywhere(lab))
    return equal("table 1", _units(_touch(lab, key, "SET included = :v", v=_N)))


@area(
    "changed-key-moves",
    assumed="A change of an index's key moves the entry: a scan of the index can meet the item twice.",
    source=dg("Using global secondary indexes: data synchronization"),
    code="checkpoint/run_store.py, preflight/marker.py",
    rests="Once, Check",
    how="Change the hash key of an index; the entries under the old and the new one.",
)
def _(lab: Lab) -> Seen:
    old, new = lab.key(), lab.key()
    key = _put(lab, k={"S": old})
    _touch(lab, key, "SET k = :v", v={"S": new})
    moved = len(_when(lab, new, 1, index="keys", name="k"))

    def look() -> bool | None:
        return None if _query(lab, old, index="keys", name="k")["Items"] else True

    lab.wait("the end of the old entry", look)
    return equal("0 old, 1 new", f"0 old, {moved} new")


@area(
    "scan-charges-the-index",
    assumed="A scan of an index is charged to the index, and 0 to the table.",
    source=dg("Using global secondary indexes: read capacity"),
    code="model/capacity.py, aws/answers.py",
    rests="Budget",
    how="Query one small entry of a global index with ReturnConsumedCapacity INDEXES.",
)
def _(lab: Lab) -> Seen:
    group = lab.key()
    _put(lab, g={"S": group})
    _when(lab, group, 1)
    return equal("table 0, whole 0.5", _units_of(_query(lab, group, ReturnConsumedCapacity="INDEXES")))


@area(
    "several-attributes",
    assumed="An index can have several hash and sort attributes; only items with all of them are in it.",
    source=dg("Global secondary indexes: multi-attribute keys (since 2025-11)"),
    code="model/table.py, aws/control_plane.py, sandbox/store/keys.py, preflight/marker.py",
    rests="Coverage, Check, Sandbox",
    how="Put an item with the two hash and two sort attributes of an index, and one without the last; both looked up.",
    tables=("multi",),
)
def _(lab: Lab) -> Seen:
    group = lab.key()
    whole = lab.put("multi", h1={"S": group}, h2=_N, r1={"S": "a"}, r2=_N)
    lab.put("multi", h1={"S": group}, h2=_N, r1={"S": "a"})

    def look() -> list[Item] | None:
        answer = lab.attempt(
            lab.dynamodb.query,
            TableName=lab.table("multi"),
            IndexName="multi",
            KeyConditionExpression="h1 = :h1 AND h2 = :h2",
            ExpressionAttributeValues={":h1": {"S": group}, ":h2": _N},
        )
        return answer.body.get("Items") or None

    found = [item[PK]["S"] for item in lab.wait("an entry", look)]
    return equal("the whole item", "the whole item" if found == [whole] else f"{len(found)} items")


@area(
    "empty-index-key",
    assumed="An empty string for an index's key attribute is a ValidationException.",
    source=CONFORMANCE,
    code="sandbox/operations/writing.py, preflight/marker.py",
    rests="Sandbox",
    how="Put an item whose attribute, the hash key of an index, is empty.",
)
def _(lab: Lab) -> Seen:
    item = {PK: {"S": lab.key()}, "sk": _N, "g": {"S": ""}}
    return equal(
        "ValidationException",
        lab.attempt(lab.dynamodb.put_item, TableName=lab.table("indexed"), Item=item).said,
    )


area.untried(
    "back-pressure",
    assumed="An index with too little capacity, or one hot key of it, throttles writes to the table.",
    source=dg("Using global secondary indexes: throttling"),
    code="aws/throttling.py, pipeline/workers.py",
    rests="Budget",
    reason="a hot key takes 1,000 writes a second; `capacity.index-throttles` tries an index with too little",
)


def _everywhere(lab: Lab) -> dict[str, Item]:
    return {"g": {"S": lab.key()}, "k": {"S": lab.key()}, "l": _N}


def _put(lab: Lab, **attributes: Item) -> str:
    return lab.put("indexed", sk=_N, **attributes)


def _two(lab: Lab) -> str:
    """The hash key of two entries in the index `whole` that have the same sort key."""
    group = lab.key()
    for _ in range(2):
        _put(lab, g={"S": group})
    _when(lab, group, 2)
    return group


def _touch(lab: Lab, key: str, expression: str, **values: Item) -> Answer:
    return lab.change(
        "indexed", key, expression, values=values, sort={"sk": _N}, ReturnConsumedCapacity="INDEXES"
    )


def _query(lab: Lab, group: str, index: str = "whole", name: str = "g", **parameters: Any) -> dict[str, Any]:
    page: dict[str, Any] = lab.dynamodb.query(
        TableName=lab.table("indexed"),
        IndexName=index,
        KeyConditionExpression="#g = :g",
        ExpressionAttributeNames={"#g": name},
        ExpressionAttributeValues={":g": {"S": group}},
        **parameters,
    )
    return page


def _when(lab: Lab, group: str, count: int, index: str = "whole", name: str = "g") -> list[Item]:
    """The entries under a hash key, as soon as there are so many."""

    def look() -> list[Item] | None:
        items: list[Item] = _query(lab, group, index, name)["Items"]
        return items if len(items) >= count else None

    found: list[Item] = lab.wait("an entry of the index", look)
    return found


def _scan_segment(lab: Lab, segment: int) -> list[Item]:
    items: list[Item] = []
    start: dict[str, Any] = {}
    while True:
        page = lab.dynamodb.scan(
            TableName=lab.table("indexed"), IndexName="keys", Segment=segment, TotalSegments=3, **start
        )
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _names(items: list[Item]) -> list[str]:
    return [item[PK]["S"] for item in items]


def _units(answer: Answer) -> str:
    return _units_of(answer.body)


def _units_of(answer: dict[str, Any]) -> str:
    """The units of the table and of each index, by name."""
    consumed = answer["ConsumedCapacity"]
    units = {
        name: entry["CapacityUnits"]
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        for name, entry in consumed.get(kind, {}).items()
    }
    table = consumed.get("Table", {}).get("CapacityUnits", "unknown")
    return ", ".join([f"table {_plain(table)}", *(f"{name} {_plain(units[name])}" for name in sorted(units))])


def _plain(units: Any) -> str:
    return f"{units:g}" if isinstance(units, int | float) else str(units)
