"""PartiQL statements, batches of them, and transactions."""

from typing import Any

from tests.probes.cost import Cost
from tests.probes.facts import Area, Seen, equal
from tests.probes.lab import Lab
from tests.probes.sources import EXTENDDB, MEASURED, api, dg
from tests.probes.tables import PK

area = Area("statements", "PartiQL, batches and transactions", tables=("simple",))

_N = {"N": "1"}


@area(
    "touch-fires",
    assumed="A PartiQL UPDATE that sets the marker leaves one MODIFY record, and nothing if it changes nothing.",
    source=dg("PartiQL update statements"),
    code="pipeline/writers/partiql.py, model/marker.py",
    rests="Coverage, Once",
    how="Set an attribute by PartiQL, set it to the same value, set another value; the records.",
    believed={"ministack": "the service, after its documentation: PartiQL leaves no records in ministack"},
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    for number in ("1", "1", "2"):
        lab.statement(_set(lab), {"N": number}, {"S": key})
    records = lab.stream("simple").of(key, 3)
    return equal("INSERT, MODIFY, MODIFY", [record["eventName"] for record in records])


@area(
    "never-creates",
    assumed="A PartiQL UPDATE of a missing item fails with ConditionalCheckFailed and creates nothing.",
    source=f"{EXTENDDB}; DynamoDB Developer Guide: PartiQL update statements",
    code="pipeline/writers/partiql.py",
    rests="No harm",
    how="An UPDATE of a key that no item has, alone and in a batch, then a consistent read.",
)
def _(lab: Lab) -> Seen:
    key = lab.key()
    alone = lab.statement(_set(lab), _N, {"S": key}).said
    (member,) = lab.members((_set(lab), [_N, {"S": key}]))
    created = lab.get("simple", key) is not None
    return equal(
        "ConditionalCheckFailedException, ConditionalCheckFailed, not created",
        [alone, member, "created" if created else "not created"],
    )


@area(
    "is-missing",
    assumed="WHERE … AND attribute IS MISSING holds for an item without the attribute, and fails for one with it.",
    source=dg("PartiQL functions and operators"),
    code="pipeline/writers/partiql.py, model/marker.py",
    rests="Once, Coverage",
    how="The engine's own statement twice on one item.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    text = _set(lab, ' AND "revision" IS MISSING')
    said = [*lab.members((text, [_N, {"S": key}])), *lab.members((text, [_N, {"S": key}]))]
    return equal("accepted, ConditionalCheckFailed", said)


@area(
    "old-value-decides",
    assumed="WHERE … AND attribute = n holds once: the second UPDATE fails with ConditionalCheckFailed.",
    source=dg("PartiQL update statements"),
    code="pipeline/writers/partiql.py, model/marker.py",
    rests="Once",
    how="The engine's own statement with the marker's old value, twice.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", revision=_N)
    text, values = _set(lab, ' AND "revision" = ?'), [{"N": "2"}, {"S": key}, _N]
    return equal(
        "accepted, ConditionalCheckFailed", [*lab.members((text, values)), *lab.members((text, values))]
    )


@area(
    "members-in-order",
    assumed="A batch is answered with 200 and its members in the order of the statements, whatever each one became.",
    source=api("BatchExecuteStatement"),
    code="pipeline/writers/partiql.py, aws/answers.py",
    rests="Once, Honest end",
    how="Four statements of which the second meets no item and the third a wrong type; the codes.",
)
def _(lab: Lab) -> Seen:
    text = _set(lab)
    keys = [lab.put("simple"), lab.key(), lab.put("simple", revision={"S": "x"}), lab.put("simple")]
    add = f'UPDATE "{lab.table("simple")}" SET "revision" = "revision" + ? WHERE "{PK}" = ?'
    said = lab.members(*((add if place == 2 else text, [_N, {"S": key}]) for place, key in enumerate(keys)))
    return equal("accepted, ConditionalCheckFailed, ValidationError, accepted", said)


@area(
    "same-item-twice",
    assumed="A batch with two statements for one item is a ValidationException as a whole, and nothing is written.",
    source=MEASURED,
    code="pipeline/lanes.py, pipeline/writers/partiql.py",
    rests="Once, Honest end",
    how="Two updates of one item in one batch; then the item.",
    believed={
        "dynamodb-local": "the service: measured there; DynamoDB Local refuses the batch after it has run both",
        "ministack": "the service: measured there; ministack runs both",
    },
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    answer = lab.batch(*[(_set(lab), [{"N": number}, {"S": key}]) for number in ("1", "2")])
    written = "revision" in (lab.get("simple", key) or {})
    return equal("ValidationException, not written", [answer.said, "written" if written else "not written"])


@area(
    "at-most-25",
    assumed="A batch has at most 25 statements: 26 are a ValidationException.",
    source=api("BatchExecuteStatement"),
    code="pipeline/writers/partiql.py",
    rests="Coverage, Honest end",
    how="Batches of 25 and of 26 statements.",
    cost=Cost(writes=100),
)
def _(lab: Lab) -> Seen:
    said = [lab.batch(*[(_set(lab), [_N, {"S": lab.key()}]) for _ in range(size)]).said for size in (25, 26)]
    return equal("accepted, ValidationException", said)


@area(
    "reads-and-writes",
    assumed="A batch with a SELECT and an UPDATE is a ValidationException.",
    source=api("BatchExecuteStatement"),
    code="sandbox/operations/statements.py",
    rests="Sandbox",
    how="One of each in a batch.",
    believed={"ministack": "the service, after its API Reference: ministack runs both"},
)
def _(lab: Lab) -> Seen:
    select = f'SELECT * FROM "{lab.table("simple")}" WHERE "{PK}" = ?'
    answer = lab.batch((select, [{"S": lab.key()}]), (_set(lab), [_N, {"S": lab.key()}]))
    return equal("ValidationException", answer.said)


@area(
    "whole-key-in-where",
    assumed="A PartiQL UPDATE whose WHERE does not give the whole key is a ValidationException.",
    source=dg("PartiQL update statements"),
    code="pipeline/writers/partiql.py",
    rests="No harm",
    how="An UPDATE with the hash key alone in a table with a sort key, and one without any key.",
    tables=("sorted",),
)
def _(lab: Lab) -> Seen:
    text = f'UPDATE "{lab.table("sorted")}" SET "revision" = ? WHERE '
    said = [
        lab.statement(f'{text}"{PK}" = ?', _N, {"S": lab.key()}).said,
        lab.statement(f'{text}"revision" = ?', _N, _N).said,
    ]
    return equal("ValidationException, ValidationException", said)


@area(
    "longest-statement",
    assumed="A statement has at most 8,192 characters.",
    source=api("BatchStatementRequest"),
    code="pipeline/writers/partiql.py",
    rests="Honest end",
    how="Statements of 8,192 and of 8,193 characters, filled with blanks.",
    believed={"ministack": "the service, after its API model: ministack has no bound"},
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    text = _set(lab)
    said = [
        lab.statement(text.replace(" SET ", " " * (size - len(text) + 1) + "SET "), _N, {"S": key}).said
        for size in (8192, 8193)
    ]
    return equal("accepted, ValidationException", said)


@area(
    "batch-capacity",
    assumed="A batch tells what it consumed once for each table, failed members included.",
    source=MEASURED,
    code="aws/answers.py, pipeline/writers/partiql.py",
    rests="Budget",
    how="A batch of two updates of small items and one of a missing item; the units of its table.",
    believed={"dynamodb-local": "the service: measured there; DynamoDB Local tells no units of PartiQL"},
)
def _(lab: Lab) -> Seen:
    keys = [lab.put("simple"), lab.put("simple"), lab.key()]
    entries = [(_set(lab), [_N, {"S": key}]) for key in keys]
    found = lab.batch(*entries, ReturnConsumedCapacity="TOTAL").body.get("ConsumedCapacity") or []
    return equal("3", [entry["CapacityUnits"] for entry in found])


@area(
    "return-values-ignored",
    assumed="A failed member of a batch has no item, whatever ReturnValuesOnConditionCheckFailure says.",
    source=MEASURED,
    code="pipeline/workers.py, pipeline/lookups.py",
    rests="Once, Budget",
    how="A failed condition with ALL_OLD in a batch; the members of its error.",
    believed={"ministack": "the service: measured there; ministack follows the API Reference"},
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", revision={"N": "5"})
    entry = {
        "Statement": _set(lab, ' AND "revision" = ?'),
        "Parameters": [_N, {"S": key}, _N],
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    (member,) = lab.dynamodb.batch_execute_statement(Statements=[entry])["Responses"]
    error = member.get("Error", {})
    return equal(
        "ConditionalCheckFailed without item",
        f"{error.get('Code')} {'with' if 'Item' in error else 'without'} item",
    )


@area(
    "quoted-names",
    assumed="Names in double quotes may be reserved words, and hold blanks, dots and hyphens.",
    source=dg("PartiQL data types and identifiers"),
    code="pipeline/writers/partiql.py, model/marker.py",
    rests="Coverage",
    how="Set the attributes named `date` and `a b.c-d`; the names in the item.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    table = lab.table("simple")
    for name in ("date", "a b.c-d"):
        lab.statement(f'UPDATE "{table}" SET "{name}" = ? WHERE "{PK}" = ?', _N, {"S": key})
    return equal("a b.c-d, date", sorted(set(lab.get("simple", key) or {}) - {PK}))


@area(
    "select-of-key",
    assumed="A SELECT that gives the whole key returns that item and no other.",
    source=dg("PartiQL select statements"),
    code="sandbox/operations/statement_reads.py",
    rests="Sandbox",
    how="SELECT by the hash key.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", v=_N)
    lab.put("simple", v=_N)
    text = f'SELECT * FROM "{lab.table("simple")}" WHERE "{PK}" = ?'
    answer = lab.statement(text, {"S": key}, ConsistentRead=True)
    names = [item[PK]["S"] for item in answer.body.get("Items", ())]
    return equal("that item", "that item" if names == [key] else f"{len(names)} items")


@area(
    "transaction-twice",
    assumed="A transaction with the same token and the same content is done once; with other content it is refused.",
    source=api("TransactWriteItems: ClientRequestToken"),
    code="sandbox/operations/transact_items.py",
    rests="Sandbox",
    how="The same addition twice with one token, then another with that token; the sum.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", n={"N": "0"})
    token = f"{lab.session}-{key}"
    said = [
        _transact(lab, [_addition(lab, key, number)], ClientRequestToken=token) for number in ("1", "1", "2")
    ]
    total = (lab.get("simple", key) or {})["n"]["N"]
    return equal("accepted, accepted, IdempotentParameterMismatchException, sum 1", [*said, f"sum {total}"])


@area(
    "transaction-of-one-item",
    assumed="A transaction with two actions on one item is a ValidationException.",
    source=api("TransactWriteItems"),
    code="sandbox/operations/transactions.py",
    rests="Sandbox",
    how="Two additions to one item in one transaction.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", n={"N": "0"})
    return equal("ValidationException", _transact(lab, [_addition(lab, key, "1") for _ in range(2)]))


@area(
    "transaction-limit",
    assumed="A transaction has at most 100 actions.",
    source=api("TransactWriteItems"),
    code="sandbox/operations/transact_items.py",
    rests="Sandbox",
    how="Transactions of 100 and of 101 puts.",
    cost=Cost(writes=250),
)
def _(lab: Lab) -> Seen:
    said = [
        _transact(
            lab,
            [
                {"Put": {"TableName": lab.table("simple"), "Item": {PK: {"S": lab.key()}}}}
                for _ in range(size)
            ],
        )
        for size in (100, 101)
    ]
    return equal("accepted, ValidationException", said)


@area(
    "condition-check",
    assumed="A ConditionCheck in a transaction guards the other actions and writes nothing itself.",
    source=api("TransactWriteItems"),
    code="sandbox/operations/transact_items.py",
    rests="Sandbox",
    how="A check of one item with an addition to another, true and false; the sum, the records of the checked item.",
)
def _(lab: Lab) -> Seen:
    checked, added = lab.put("simple", v=_N), lab.put("simple", n={"N": "0"})
    said = []
    for value in ("1", "2"):
        check = {
            "ConditionCheck": {
                "TableName": lab.table("simple"),
                "Key": {PK: {"S": checked}},
                "ConditionExpression": "v = :v",
                "ExpressionAttributeValues": {":v": {"N": value}},
            }
        }
        said.append(_transact(lab, [check, _addition(lab, added, "1")]))
    total = (lab.get("simple", added) or {})["n"]["N"]
    lab.change("simple", checked, "SET v = :v", values={"v": {"N": "3"}})
    events = [record["eventName"] for record in lab.stream("simple").of(checked, 2)]
    return equal(
        "accepted, TransactionCanceledException, sum 1, INSERT, MODIFY", [*said, f"sum {total}", *events]
    )


def _set(lab: Lab, more: str = "") -> str:
    """The statement that sets `revision`, with parameters for it and for the key."""
    return f'UPDATE "{lab.table("simple")}" SET "revision" = ? WHERE "{PK}" = ?{more}'


def _addition(lab: Lab, key: str, number: str) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": lab.table("simple"),
            "Key": {PK: {"S": key}},
            "UpdateExpression": "SET n = n + :n",
            "ExpressionAttributeValues": {":n": {"N": number}},
        }
    }


def _transact(lab: Lab, actions: list[dict[str, Any]], **more: Any) -> str:
    return lab.attempt(lab.dynamodb.transact_write_items, TransactItems=actions, **more).said
