"""Conditional writes: what they change, what they refuse, and what they leave in the stream."""

from tests.probes.cost import Cost
from tests.probes.facts import Area, Seen, equal
from tests.probes.lab import Lab
from tests.probes.sources import CONFORMANCE, MEASURED, api, dg
from tests.probes.tables import PK

area = Area("writes", "Writes and their conditions", tables=("simple",))

_N = {"N": "1"}
_MARKED = "attribute_exists(refire_probe) AND "


@area(
    "touch-fires",
    assumed="An UpdateItem that changes one attribute leaves exactly one MODIFY record.",
    source=dg("Change data capture for DynamoDB Streams"),
    code="model/marker.py, pipeline/writers/update.py, verification/reconcile.py",
    rests="Coverage, Once, Verification",
    how="Put an item, set an attribute, set another one; the records of the item in order.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    lab.change("simple", key, "SET revision = :n", values={"n": _N})
    lab.change("simple", key, "SET changed = :n", values={"n": _N})
    return equal("INSERT, MODIFY, MODIFY", _events(lab, key, 3))


@area(
    "unchanged-is-silent",
    assumed="A write that leaves the item as it was leaves no stream record, by UpdateItem or by PutItem.",
    source=dg("Change data capture for DynamoDB Streams"),
    code="model/marker.py",
    rests="Coverage, Once",
    how="Put an item, put the same again, set an attribute to the value that it has, then change it; the records.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", v=_N)
    lab.dynamodb.put_item(TableName=lab.table("simple"), Item={PK: {"S": key}, "v": _N})
    lab.change("simple", key, "SET v = :n", values={"n": _N})
    lab.change("simple", key, "SET v = :n", values={"n": {"N": "2"}})
    return equal("INSERT, MODIFY", _events(lab, key, 2))


@area(
    "failed-condition-is-silent",
    assumed="A write whose condition fails changes nothing and leaves no stream record.",
    source=dg("Working with items: condition expressions"),
    code="pipeline/workers.py, pipeline/writers/update.py",
    rests="Once, No harm",
    how="Put an item, set an attribute under a condition that is false, then change it; the item between, the records.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", v=_N)
    answer = lab.update(
        "simple", key, "SET v = :n", condition="v = :o", values={"n": {"N": "9"}, "o": {"N": "5"}}
    )
    between = (lab.get("simple", key) or {}).get("v")
    lab.change("simple", key, "SET v = :n", values={"n": {"N": "2"}})
    return equal(
        "ConditionalCheckFailedException, v 1; INSERT, MODIFY",
        f"{answer.said}, v {(between or {}).get('N')}; {_events(lab, key, 2)}",
    )


@area(
    "update-creates",
    assumed="An UpdateItem with SET and without a condition creates a missing item.",
    source=api("UpdateItem"),
    code="pipeline/writers/update.py",
    rests="No harm",
    how="UpdateItem of a key that no item has, then a consistent read.",
)
def _(lab: Lab) -> Seen:
    key = lab.key()
    answer = lab.update("simple", key, "SET revision = :n", values={"n": _N})
    created = lab.get("simple", key) is not None
    return equal("accepted, created", f"{answer.said}, {'created' if created else 'not created'}")


@area(
    "exists-guards",
    assumed="With the condition attribute_exists(hash key), an UpdateItem of a missing item fails and creates nothing.",
    source=dg("Condition expressions"),
    code="pipeline/writers/update.py, preflight/collect.py",
    rests="No harm",
    how="The engine's own condition on a key that no item has, then a consistent read.",
)
def _(lab: Lab) -> Seen:
    key = lab.key()
    answer = lab.update(
        "simple",
        key,
        "SET revision = :n",
        condition=_MARKED + "attribute_not_exists(revision)",
        values={"n": _N},
    )
    created = lab.get("simple", key) is not None
    return equal(
        "ConditionalCheckFailedException, not created",
        f"{answer.said}, {'created' if created else 'not created'}",
    )


@area(
    "deleted-stays-deleted",
    assumed="A touch of an item that was deleted after it was read fails, and leaves no record behind the REMOVE.",
    source=dg("Condition expressions"),
    code="pipeline/writers/update.py, pipeline/lookups.py",
    rests="No harm, Once",
    how="Put, delete, touch as the engine does, put again; the records of the item.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    table = lab.table("simple")
    lab.dynamodb.delete_item(TableName=table, Key={PK: {"S": key}})
    answer = lab.update(
        "simple",
        key,
        "SET revision = :n",
        condition=_MARKED + "attribute_not_exists(revision)",
        values={"n": _N},
    )
    lab.dynamodb.put_item(TableName=table, Item={PK: {"S": key}})
    return equal(
        "ConditionalCheckFailedException; INSERT, REMOVE, INSERT", f"{answer.said}; {_events(lab, key, 3)}"
    )


@area(
    "remove-creates-nothing",
    assumed="An UpdateItem with REMOVE alone on a missing item succeeds, creates nothing and leaves no record.",
    source=CONFORMANCE,
    code="sandbox/operations/item_writes.py",
    rests="Sandbox",
    how="UpdateItem REMOVE of a key that no item has, then a read; then a put and its records.",
    believed={
        "dynamodb-local": "the service: public conformance tests pass there; DynamoDB Local creates the item",
        "ministack": "the service: public conformance tests pass there",
    },
)
def _(lab: Lab) -> Seen:
    key = lab.key()
    answer = lab.update("simple", key, "REMOVE revision")
    created = lab.get("simple", key) is not None
    lab.dynamodb.put_item(TableName=lab.table("simple"), Item={PK: {"S": key}, "v": _N})
    return equal(
        "accepted, not created; INSERT",
        f"{answer.said}, {'created' if created else 'not created'}; {_events(lab, key, 1)}",
    )


@area(
    "old-value-decides",
    assumed="Of two touches with the condition revision = n, the first succeeds and the second fails.",
    source=dg("Working with items: conditional writes are idempotent"),
    code="pipeline/workers.py, model/marker.py",
    rests="Once",
    how="The same conditional UpdateItem twice, as after a lost answer.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", revision={"N": "7"})
    touch = {"condition": _MARKED + "revision = :old", "values": {"old": {"N": "7"}, "new": {"N": "8"}}}
    said = [lab.update("simple", key, "SET revision = :new", **touch).said for _ in range(2)]
    return equal(["accepted", "ConditionalCheckFailedException"], said)


@area(
    "condition-returns-item",
    assumed="ReturnValuesOnConditionCheckFailure ALL_OLD puts the present item into the error of an UpdateItem.",
    source=api("UpdateItem"),
    code="aws/errors.py, sandbox/operations/item_writes.py",
    rests="Sandbox",
    how="A failed condition with that parameter; the members of the error.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", v=_N)
    answer = lab.update(
        "simple",
        key,
        "SET v = :n",
        condition="v = :n",
        values={"n": {"N": "5"}},
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    whole = answer.body.get("Item") == {PK: {"S": key}, "v": _N}
    return equal(
        "ConditionalCheckFailedException with the item",
        f"{answer.said} {'with' if whole else 'without'} the item",
    )


@area(
    "failed-condition-tells-no-units",
    assumed="The error of a failed condition carries no ConsumedCapacity.",
    source=dg("Working with items"),
    code="pacing/budget.py, pipeline/writers/update.py",
    rests="Budget",
    how="A failed condition with ReturnConsumedCapacity TOTAL; the members of the error.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    answer = lab.update("simple", key, "SET v = :n", condition="attribute_exists(v)", values={"n": _N})
    return equal(
        "ConditionalCheckFailedException without units",
        f"{answer.said} {'with' if 'ConsumedCapacity' in answer.body else 'without'} units",
    )


@area(
    "absent-operand",
    assumed="SET n = n + 1 on an item without n is a ValidationException, not a first value.",
    source=dg("Update expressions"),
    code="sandbox/expressions/changes.py",
    rests="Sandbox",
    how="The sum on an item without the attribute.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    return equal(
        "ValidationException", lab.update("simple", key, "SET n = n + :one", values={"one": _N}).said
    )


@area(
    "item-limit",
    assumed="An item has at most 409,600 bytes, names included; one byte more is a ValidationException.",
    source=dg("Quotas: item size"),
    code="model/item_size.py, preflight/table.py, sandbox/operations/writing.py",
    rests="Honest end, Check",
    how="Put an item of exactly 409,600 bytes, then one of 409,601.",
    cost=Cost(writes=900),
)
def _(lab: Lab) -> Seen:
    said = [_put_of_size(lab, size) for size in (409_600, 409_601)]
    return equal(["accepted", "ValidationException"], said)


@area(
    "touch-near-the-limit",
    assumed="An item of 409,600 bytes refuses a touch by UpdateItem, whose own bytes count, and takes one by PartiQL.",
    source=MEASURED,
    code="preflight/table.py, pipeline/writers/partiql.py, sandbox/operations/item_writes.py",
    rests="Coverage, Honest end, Check",
    how="Put an item of 409,600 bytes with a revision; count it up by PartiQL and by UpdateItem.",
    cost=Cost(writes=2000),
    believed={
        "dynamodb-local": "the service: measured there; DynamoDB Local measures the item only",
        "ministack": "the service: measured there; ministack measures the item only",
    },
)
def _(lab: Lab) -> Seen:
    key = lab.key()
    item = _item_of_size(key, 409_600, revision=_N)
    lab.attempt(lab.dynamodb.put_item, TableName=lab.table("simple"), Item=item)
    text = f'UPDATE "{lab.table("simple")}" SET "revision" = ? WHERE "{PK}" = ?'
    (member,) = lab.members((text, [{"N": "3"}, {"S": key}]))
    update = lab.update("simple", key, "SET revision = :n", values={"n": {"N": "2"}})
    return equal(
        "PartiQL accepted, UpdateItem ValidationException", f"PartiQL {member}, UpdateItem {update.said}"
    )


@area(
    "consistent-after-write",
    assumed="A consistent read sees every write that was acknowledged before it.",
    source=dg("Read consistency"),
    code="pipeline/lookups.py, checkpoint/dynamodb/table.py",
    rests="Once, Resume, Durable before the first write, Checkpoint table",
    how="Twenty times: an update, then a consistent read of the new value.",
    cost=Cost(writes=60, reads=60),
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    seen = 0
    for n in range(20):
        lab.change("simple", key, "SET n = :n", values={"n": {"N": str(n)}})
        seen += (lab.get("simple", key) or {}).get("n") == {"N": str(n)}
    return equal("20 of 20", f"{seen} of 20")


@area(
    "returns-new",
    assumed="ReturnValues ALL_NEW returns the whole item as the update left it.",
    source=api("UpdateItem"),
    code="checkpoint/dynamodb/table.py",
    rests="Checkpoint table",
    how="A conditional update of one of two attributes with that parameter.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", v=_N, w=_N)
    answer = lab.change(
        "simple",
        key,
        "SET v = :n",
        condition="w = :w",
        values={"n": {"N": "2"}, "w": _N},
        ReturnValues="ALL_NEW",
    )
    item = answer.body.get("Attributes", {})
    return equal(
        "the new item",
        "the new item" if item == {PK: {"S": key}, "v": {"N": "2"}, "w": _N} else f"{len(item)} attributes",
    )


@area(
    "batch-write-limits",
    assumed="BatchWriteItem takes 25 puts; 26, or one key twice, is a ValidationException, and nothing is written.",
    source=api("BatchWriteItem"),
    code="cli/demo_table.py, sandbox/operations/batch_items.py",
    rests="Sandbox",
    how="25 puts, 26 puts, two puts of one key; then a read of the doubled key.",
    cost=Cost(writes=100),
)
def _(lab: Lab) -> Seen:
    def put(keys: list[str]) -> str:
        requests = [{"PutRequest": {"Item": {PK: {"S": key}}}} for key in keys]
        return lab.attempt(lab.dynamodb.batch_write_item, RequestItems={lab.table("simple"): requests}).said

    twice = lab.key()
    said = [put([lab.key() for _ in range(25)]), put([lab.key() for _ in range(26)]), put([twice, twice])]
    absent = lab.get("simple", twice) is None
    return equal(
        "25 accepted, 26 ValidationException, twice ValidationException, nothing written",
        f"25 {said[0]}, 26 {said[1]}, twice {said[2]}, {'nothing' if absent else 'something'} written",
    )


@area(
    "transaction-is-whole",
    assumed="A transaction of which one condition fails changes nothing, and names a reason for each action.",
    source=dg("Amazon DynamoDB Transactions"),
    code="sandbox/operations/transactions.py",
    rests="Sandbox",
    how="Two updates in one TransactWriteItems, the second with a false condition; the reasons, and the first item.",
)
def _(lab: Lab) -> Seen:
    keys = [lab.put("simple", v=_N) for _ in range(2)]
    actions = [
        {
            "Update": {
                "TableName": lab.table("simple"),
                "Key": {PK: {"S": key}},
                "UpdateExpression": "SET v = :n",
                "ConditionExpression": condition,
                "ExpressionAttributeValues": {":n": {"N": "2"}},
            }
        }
        for key, condition in zip(keys, ("attribute_exists(v)", "v = :n"), strict=True)
    ]
    answer = lab.attempt(lab.dynamodb.transact_write_items, TransactItems=actions)
    reasons = [reason.get("Code") for reason in answer.body.get("CancellationReasons", ())]
    first = (lab.get("simple", keys[0]) or {})["v"]["N"]
    return equal(
        "TransactionCanceledException: None, ConditionalCheckFailed; first item 1",
        f"{answer.said}: {', '.join(map(str, reasons))}; first item {first}",
    )


area.untried(
    "may-have-applied",
    assumed="A write that is answered with 500 or not at all may have been applied.",
    source=dg("Error handling with DynamoDB"),
    code="aws/errors.py, pipeline/workers.py",
    rests="Once, Coverage",
    reason="the service gives no way to provoke it; the sandbox does (faults), and the engine takes either outcome",
)
area.untried(
    "transaction-conflict",
    assumed="A write that meets a transaction on its item gets TransactionConflictException, and may be tried again.",
    source=dg("Amazon DynamoDB Transactions: conflict handling"),
    code="aws/errors.py, sandbox/store/holds.py",
    rests="Once, No harm",
    reason="it takes two requests within the same millisecond; a probe would depend on luck",
)


def _events(lab: Lab, key: str, count: int) -> str:
    return ", ".join(record["eventName"] for record in lab.stream("simple").of(key, count))


def _item_of_size(key: str, size: int, **attributes: dict[str, str]) -> dict[str, dict[str, str]]:
    """An item of exactly so many bytes; the attributes are numbers of one digit."""
    used = len(PK) + len(key) + sum(len(name) + 2 for name in attributes) + len("filler")
    return {PK: {"S": key}, **attributes, "filler": {"S": "x" * (size - used)}}


def _put_of_size(lab: Lab, size: int) -> str:
    item = _item_of_size(lab.key(), size)
    return lab.attempt(lab.dynamodb.put_item, TableName=lab.table("simple"), Item=item).said
