"""What writes cost, and how the service says that there is no more to be spent."""

from typing import Any

from tests.probes.cost import Cost
from tests.probes.facts import Area, Seen, equal, seen_if
from tests.probes.lab import Answer, Item, Lab
from tests.probes.sources import EXTENDDB, MEASURED, api, dg
from tests.probes.tables import PK

area = Area("capacity", "Capacity and throttling", tables=("simple",))

_N = {"N": "1"}
_FLOOD = Cost(writes=4000)
_NEVER = {
    "dynamodb-local": "the service, after its documentation: DynamoDB Local never throttles",
    "ministack": "the service, after its documentation: ministack never throttles",
}


@area(
    "rounds-to-1-kb",
    assumed="A write costs its item's bytes, names included, rounded up to 1,024.",
    source=dg("Read and write operations"),
    code="planning/forecast/load.py, model/item_size.py, sandbox/capacity/units.py",
    rests="Budget, Plan, Sandbox",
    how="Put items of 1,024 and of 1,025 bytes.",
)
def _(lab: Lab) -> Seen:
    return equal("1, 2", [_cost(_put(lab, size)) for size in (1024, 1025)])


@area(
    "number-bytes",
    assumed="A number takes 1 byte, 1 for two digits (integer, fraction apart), 1 for a minus; zeros at the end none.",
    source=MEASURED,
    code="model/item_size.py, sandbox/values.py",
    rests="Budget, Plan, Sandbox",
    how="Items that should have 1,024 and 1,025 bytes, with 0, 100, 1.5, -42 and one number of 38 digits.",
)
def _(lab: Lab) -> Seen:
    numbers = {"0": 1, "100": 2, "1.5": 3, "-42": 3, "9" * 38: 20}
    attributes = {f"n{place}": {"N": text} for place, text in enumerate(numbers)}
    used = sum(2 + size for size in numbers.values())
    return equal("1, 2", [_cost(_put(lab, size, used, **attributes)) for size in (1024, 1025)])


@area(
    "nested-bytes",
    assumed="A list or map takes 3 bytes and 1 for each member besides the members; true, false and null take 1.",
    source=dg("Item sizes and formats"),
    code="model/item_size.py, sandbox/values.py",
    rests="Budget, Plan, Sandbox",
    how="Items that should have 1,024 and 1,025 bytes, with a list, a map in it, a binary value and a null.",
)
def _(lab: Lab) -> Seen:
    inner = {"M": {"ab": {"BOOL": True}}}
    attributes = {"l": {"L": [inner, {"S": "xyz"}]}, "b": {"B": b"1234"}, "z": {"NULL": True}}
    used = (1 + 3 + 2 + (3 + 1 + 2 + 1) + 3) + (1 + 4) + (1 + 1)
    return equal("1, 2", [_cost(_put(lab, size, used, **attributes)) for size in (1024, 1025)])


@area(
    "touch-costs-the-item",
    assumed="A touch costs the whole item, whatever it changes, and the same if it changes nothing.",
    source=dg("Read and write operations"),
    code="planning/forecast/load.py, planning/forecast/cost.py",
    rests="Budget, Plan",
    how="Set one attribute of an item of 4,500 bytes, twice to the same value.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", text={"S": "x" * 4470})
    return equal("5, 5", [_cost(lab.change("simple", key, "SET r = :n", values={"n": _N})) for _ in range(2)])


@area(
    "larger-of-both",
    assumed="A write costs the larger of the item before and after it.",
    source=dg("Read and write operations"),
    code="planning/forecast/load.py, sandbox/capacity/units.py",
    rests="Budget, Sandbox",
    how="Put 100 bytes over an item of 2,500, and 2,500 over 100.",
)
def _(lab: Lab) -> Seen:
    key = lab.key()
    _put(lab, 2500, key=key)
    return equal("3, 3", [_cost(_put(lab, size, key=key)) for size in (100, 2500)])


@area(
    "delete-costs",
    assumed="A delete costs the deleted item, and 1 if there is none.",
    source=dg("Read and write operations"),
    code="sandbox/capacity/units.py",
    rests="Sandbox",
    how="Delete an item of 2,500 bytes, twice.",
)
def _(lab: Lab) -> Seen:
    key = lab.key()
    _put(lab, 2500, key=key)
    costs = [
        _cost(
            lab.attempt(
                lab.dynamodb.delete_item,
                TableName=lab.table("simple"),
                Key={PK: {"S": key}},
                ReturnConsumedCapacity="TOTAL",
            )
        )
        for _ in range(2)
    ]
    return equal("3, 1", costs)


@area(
    "batch-write-rounds-per-item",
    assumed="BatchWriteItem rounds each item by itself, and tells the units once for each table.",
    source=dg("Read and write operations"),
    code="aws/answers.py, sandbox/capacity/units.py",
    rests="Sandbox",
    how="Three items of 100 bytes in one batch; the units.",
)
def _(lab: Lab) -> Seen:
    puts = [{"PutRequest": {"Item": _item(lab.key(), 100)}} for _ in range(3)]
    answer = lab.dynamodb.batch_write_item(
        RequestItems={lab.table("simple"): puts}, ReturnConsumedCapacity="TOTAL"
    )
    return equal("3", [entry["CapacityUnits"] for entry in answer["ConsumedCapacity"]])


@area(
    "transaction-doubles",
    assumed="A transaction costs twice as much in its table.",
    source=dg("Amazon DynamoDB Transactions: capacity"),
    code="sandbox/capacity/units.py",
    rests="Sandbox",
    how="Put two items of 100 bytes in one transaction; the units.",
)
def _(lab: Lab) -> Seen:
    puts = [{"Put": {"TableName": lab.table("simple"), "Item": _item(lab.key(), 100)}} for _ in range(2)]
    answer = lab.dynamodb.transact_write_items(TransactItems=puts, ReturnConsumedCapacity="TOTAL")
    return equal("4", [entry["CapacityUnits"] for entry in answer["ConsumedCapacity"]])


@area(
    "members-of-consumed",
    assumed="With TOTAL the answer to a write has TableName and CapacityUnits alone.",
    source=EXTENDDB,
    code="aws/answers.py, sandbox/operations/common.py",
    rests="Budget, Sandbox",
    how="The members of ConsumedCapacity of an UpdateItem.",
    tables=("simple",),
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    answer = lab.change("simple", key, "SET v = :n", values={"n": _N}, ReturnConsumedCapacity="TOTAL")
    return equal("CapacityUnits, TableName", sorted(answer.body["ConsumedCapacity"]))


@area(
    "table-throttles",
    assumed="A provisioned table without units left refuses writes with this exception, and names reason and table.",
    source=dg("Diagnosing throttling"),
    code="aws/errors.py, aws/throttling.py, pipeline/workers.py",
    rests="Budget, Coverage",
    how="Puts of 100 KB into a table with 1 unit a second until one is refused: code, reason, end of the ARN.",
    tables=("slow",),
    cost=_FLOOD,
    believed=_NEVER,
)
def _(lab: Lab) -> Seen:
    expected = "ProvisionedThroughputExceededException TableWriteProvisionedThroughputExceeded table"
    return equal(expected, _refusal(_flood(lab, "slow")))


@area(
    "member-throttles",
    assumed="A throttled member of a batch has the code ProvisionedThroughputExceeded and no reasons, in a 200.",
    source=api("BatchStatementError"),
    code="aws/errors.py, pipeline/workers.py",
    rests="Budget, Coverage",
    how="A batch of one update against the same table: the code, or that of the answer if the whole is refused.",
    tables=("slow",),
    cost=_FLOOD,
    believed=_NEVER,
)
def _(lab: Lab) -> Seen:
    key = lab.key()
    _flood(lab, "slow")
    text = f'UPDATE "{lab.table("slow")}" SET "r" = ? WHERE "{PK}" = ?'
    answer = _until_refused(lab, lambda: _statement(lab, text, [_N, {"S": key}]))
    return equal("ProvisionedThroughputExceeded without reasons", answer or "never throttled")


@area(
    "batch-write-throttles",
    assumed="A throttled BatchWriteItem returns the rest as UnprocessedItems, or is refused if that is all.",
    source=api("BatchWriteItem"),
    code="cli/demo_table.py, sandbox/operations/batch_items.py",
    rests="Sandbox",
    how="Batches of 25 puts of 4 KB into the same table until one is not whole.",
    tables=("slow",),
    cost=_FLOOD,
    believed=_NEVER,
)
def _(lab: Lab) -> Seen:
    def batch() -> str | None:
        puts = [{"PutRequest": {"Item": _item(lab.key(), 4000)}} for _ in range(25)]
        answer = lab.attempt_once(lab.dynamodb.batch_write_item, RequestItems={lab.table("slow"): puts})
        if answer.code:
            return answer.code
        left = answer.body.get("UnprocessedItems", {}).get(lab.table("slow"), ())
        return "UnprocessedItems" if left else None

    said = _until_refused(lab, batch)
    return seen_if(
        said in {"UnprocessedItems", "ProvisionedThroughputExceededException"}, said or "never throttled"
    )


@area(
    "index-throttles",
    assumed="A global index without units left refuses the write to its table; reason and ARN are those of the index.",
    source=dg("Using global secondary indexes: throttling"),
    code="aws/throttling.py, pipeline/workers.py, pacing/budget.py",
    rests="Budget",
    how="Puts of 100 KB into a table with 20 units a second and an index with 1 until one is refused.",
    tables=("slow-index",),
    cost=Cost(writes=30_000),
    slow=True,
    believed=_NEVER,
)
def _(lab: Lab) -> Seen:
    expected = "ProvisionedThroughputExceededException IndexWriteProvisionedThroughputExceeded index/slow"
    return equal(expected, _refusal(_flood(lab, "slow-index", g={"S": "hot"})))


@area(
    "maximum-throttles",
    assumed="A table above its maximum of request units refuses writes: ThrottlingException, throttlingReasons.",
    source=f"{dg('On-demand capacity mode: maximum throughput')}; DynamoDB API Reference: ThrottlingException",
    code="aws/throttling.py, aws/errors.py, pipeline/workers.py",
    rests="Budget",
    how="Puts of 100 KB into a table with a maximum of 1 until one is refused: code, reason, name of the member.",
    tables=("capped",),
    cost=_FLOOD,
    believed=_NEVER,
)
def _(lab: Lab) -> Seen:
    expected = "ThrottlingException TableWriteMaxOnDemandThroughputExceeded table"
    return equal(expected, _refusal(_flood(lab, "capped")))


area.untried(
    "partition-limits",
    assumed="A partition serves at most 1,000 write and 3,000 read units a second, then KeyRangeThroughputExceeded.",
    source=dg("Key range throughput exceeded"),
    code="pacing/lane_rate.py, pipeline/lanes.py, model/capacity.py, sandbox/capacity/partitions.py",
    rests="Budget, Plan, Sandbox",
    reason="it takes more than 1,000 writes a second for minutes",
)
area.untried(
    "partitions-split",
    assumed="Partitions split under sustained load, after minutes.",
    source=dg("Burst and adaptive capacity"),
    code="pacing/lane_rate.py, sandbox/capacity/partitions.py",
    rests="Plan, Sandbox",
    reason="when is at the service's discretion, and it takes a high load for a long time",
)
area.untried(
    "on-demand-growth",
    assumed="A new on-demand table serves 4,000 writes a second, later twice its previous peak.",
    source=dg("On-demand capacity mode"),
    code="pacing/on_demand_growth.py, planning/forecast/duration.py, sandbox/capacity/peaks.py",
    rests="Budget, Plan, Sandbox",
    reason="it takes more than a dollar",
)
area.untried(
    "burst",
    assumed="Up to 300 s of unused units can be spent at once, without guarantee.",
    source=dg("Burst and adaptive capacity"),
    code="pacing/limiter.py, sandbox/capacity/buckets.py",
    rests="Budget, Sandbox",
    reason="it is not guaranteed",
)
area.untried(
    "failed-condition-costs",
    assumed="A failed condition costs the larger of stored and attempted item, and 1 if there is no item.",
    source=dg("Working with items: conditional writes"),
    code="pacing/budget.py, sandbox/capacity/units.py",
    rests="Budget",
    reason="the answer does not tell the units; they show minutes later in CloudWatch alone",
)
area.untried(
    "account-limit",
    assumed="Above the account's quota requests are refused with RequestLimitExceeded or AccountLimitExceeded reasons.",
    source=dg("Quotas"),
    code="aws/errors.py, aws/throttling.py",
    rests="Budget",
    reason="it takes 40,000 units a second, and would disturb others in the account",
)


def _item(key: str, size: int, used: int = 0, **attributes: Item) -> Item:
    """An item of so many bytes, of which `attributes` take `used`."""
    filler = size - used - len(PK) - len(key) - len("filler")
    return {PK: {"S": key}, **attributes, "filler": {"S": "x" * filler}}


def _put(lab: Lab, size: int, used: int = 0, key: str | None = None, **attributes: Item) -> Answer:
    return lab.attempt(
        lab.dynamodb.put_item,
        TableName=lab.table("simple"),
        Item=_item(key or lab.key(), size, used, **attributes),
        ReturnConsumedCapacity="TOTAL",
    )


def _cost(answer: Answer) -> Any:
    return answer.code or answer.body["ConsumedCapacity"]["CapacityUnits"]


_MOST_PUTS = 30


def _flood(lab: Lab, kind: str, **attributes: Item) -> Answer | None:
    """The first refusal of large puts, None if there is none."""
    name = lab.table(kind)
    used = sum(len(key) + len(value["S"]) for key, value in attributes.items())
    for _ in range(_MOST_PUTS):
        item = _item(lab.key(), 100_000, used, **attributes)
        answer = lab.attempt_once(lab.dynamodb.put_item, TableName=name, Item=item)
        if answer.code:
            return answer
    return None


def _refusal(answer: Answer | None) -> str:
    """Code, reason, and what the ARN in it names."""
    if answer is None:
        return "never throttled"
    member = "throttlingReasons" if answer.code == "ThrottlingException" else "ThrottlingReasons"
    reasons = answer.body.get(member) or [{}]
    arn = str(reasons[0].get("resource", ""))
    resource = (
        f"index/{arn.partition('/index/')[2]}"
        if "/index/" in arn
        else arn.rpartition(":")[2].partition("/")[0]
    )
    return f"{answer.code} {reasons[0].get('reason', 'without reason')} {resource}"


def _until_refused(lab: Lab, ask: Any) -> str | None:
    for _ in range(_MOST_PUTS):
        if said := ask():
            return str(said)
    return None


def _statement(lab: Lab, text: str, parameters: list[Item]) -> str | None:
    """The code of a throttled member, None for another outcome."""
    entry = {"Statement": text, "Parameters": parameters}
    answer = lab.attempt_once(lab.dynamodb.batch_execute_statement, Statements=[entry])
    if answer.code:
        return answer.code
    error = answer.body["Responses"][0].get("Error", {})
    if error.get("Code") in {None, "ConditionalCheckFailed"}:
        return None
    return f"{error['Code']} {'with' if 'ThrottlingReasons' in error else 'without'} reasons"
