"""What the writers make of the service's answers."""

from typing import Any

import orjson
import pytest

from refire_async.aws.data_plane import DataPlane
from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.types import Request, Response
from refire_async.model.capacity import TABLE, Consumed
from refire_async.model.keys import KeySchema
from refire_async.model.marker import Marker
from refire_async.pipeline.writers.base import MemberError
from refire_async.pipeline.writers.partiql import PartiqlWriter, parse_batch
from refire_async.pipeline.writers.update import UpdateWriter
from tests.support.fakes import Scripted

KEYS, MARKER = KeySchema("pk", "S"), Marker("revision", "revision", "run")
ITEMS = [{"pk": {"S": "a"}}, {"pk": {"S": "b"}}, {"pk": {"S": "c"}}]
CAPACITY = {
    "TableName": "t",
    "CapacityUnits": 5.0,
    "Table": {"CapacityUnits": 3.0},
    "GlobalSecondaryIndexes": {"g": {"CapacityUnits": 1.0}},
}


def body(*members: dict[str, Any], capacity: Any = None) -> bytes:
    return orjson.dumps({"Responses": list(members), "ConsumedCapacity": capacity})


def failed(code: str, message: str = "why") -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": message}, "TableName": "t"}


TAKEN = {"TableName": "t"}


def test_a_batch_without_errors_is_all_touched():
    reply = parse_batch(body(TAKEN, TAKEN, TAKEN, capacity=[CAPACITY]), 3)
    assert reply.errors == {}
    assert reply.consumed == Consumed(5.0, {TABLE: 3.0, "g": 1.0})


@pytest.mark.parametrize("capacity", [None, []])
def test_a_batch_whose_members_all_failed_reports_no_capacity(capacity: Any):
    """The table is absent from ConsumedCapacity then."""
    reply = parse_batch(body(failed("ConditionalCheckFailed"), capacity=capacity), 1)
    assert reply.consumed is None


@pytest.mark.parametrize(
    ("code", "disposition"),
    [
        ("ConditionalCheckFailed", Disposition.CONDITION),
        ("ThrottlingError", Disposition.THROTTLED),
        ("ProvisionedThroughputExceeded", Disposition.THROTTLED),
        ("RequestLimitExceeded", Disposition.THROTTLED),
        ("InternalServerError", Disposition.UNKNOWN),
        ("TransactionConflict", Disposition.RETRY),
        ("ValidationError", Disposition.ITEM),
        ("ItemCollectionSizeLimitExceeded", Disposition.ITEM),
        ("DuplicateItem", Disposition.ITEM),
        ("AccessDenied", Disposition.FATAL),
        ("ResourceNotFound", Disposition.FATAL),
        ("SomethingNew", Disposition.ITEM),
    ],
)
def test_every_code_of_a_member_has_its_disposition(code: str, disposition: Disposition):
    """The codes of the API reference, and one that is not in it."""
    reply = parse_batch(body(TAKEN, failed(code), TAKEN), 3)
    assert reply.errors == {1: MemberError(code, disposition, "why")}


def test_errors_are_told_by_position():
    reply = parse_batch(body(failed("ValidationError", "one"), TAKEN, failed("ValidationError", "two")), 3)
    assert {position: error.detail for position, error in reply.errors.items()} == {0: "one", 2: "two"}


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>welcome</html>", b"[]", b"{}", body(TAKEN, TAKEN), body(TAKEN, TAKEN, TAKEN, TAKEN)],
)
def test_an_answer_that_is_not_one_leaves_the_outcome_unknown(answer: bytes):
    """A gateway's page, or a reply that does not match the batch: the writes may have been applied."""
    with pytest.raises(AwsError) as caught:
        parse_batch(answer, 3)
    assert caught.value.disposition is Disposition.UNKNOWN


async def test_a_batch_is_one_call():
    wire = Scripted({"Responses": [TAKEN, TAKEN, TAKEN]})
    reply = await PartiqlWriter(wire.data, "t", KEYS, MARKER).write(ITEMS)
    assert reply.errors == {}
    assert [operation for operation, _ in wire.asked] == ["BatchExecuteStatement"]


async def test_replies_are_told_apart_however_alike_they_are():
    """A reply that is the same to the byte as an earlier one means the same for a batch of that size, and no other."""
    good = {"Responses": [TAKEN, TAKEN, TAKEN], "ConsumedCapacity": [CAPACITY]}
    cheaper = {**good, "ConsumedCapacity": [{**CAPACITY, "CapacityUnits": 4.0}]}
    partly = {**good, "Responses": [TAKEN, failed("ThrottlingError"), TAKEN]}
    wire = Scripted(good, partly, partly, good, cheaper, good, good)
    writer = PartiqlWriter(wire.data, "t", KEYS, MARKER)
    replies = [await writer.write(ITEMS) for _ in range(6)]
    assert [list(reply.errors) for reply in replies] == [[], [1], [1], [], [], []]
    totals = [reply.consumed.total for reply in replies if reply.consumed is not None]
    assert totals == [5.0, 5.0, 5.0, 5.0, 4.0, 5.0]
    with pytest.raises(AwsError):
        await writer.write(ITEMS[:2])


async def test_an_update_item_is_one_call_and_tells_what_it_consumed():
    wire = Scripted({"ConsumedCapacity": CAPACITY})
    reply = await UpdateWriter(wire.data, "t", KEYS, MARKER).write(ITEMS[:1])
    assert reply.consumed == Consumed(5.0, {TABLE: 3.0, "g": 1.0})
    operation, request = wire.asked[0]
    assert operation == "UpdateItem"
    assert request["ReturnConsumedCapacity"] == "INDEXES"
    assert "ReturnValues" not in request


def refusing(status: int, type_: str) -> DataPlane:
    async def transport(_: Request) -> Response:
        return Response(status, {}, orjson.dumps({"__type": f"com.amazonaws#{type_}", "message": "why"}))

    return DataPlane(transport)


@pytest.mark.parametrize(
    ("type_", "disposition"),
    [
        ("ConditionalCheckFailedException", Disposition.CONDITION),
        ("ValidationException", Disposition.ITEM),
        ("ItemCollectionSizeLimitExceededException", Disposition.ITEM),
    ],
)
async def test_what_is_about_the_item_is_told_of_the_item(type_: str, disposition: Disposition):
    """As a member of a batch of one: the rest of the pipeline need not know which writer it has."""
    reply = await UpdateWriter(refusing(400, type_), "t", KEYS, MARKER).write(ITEMS[:1])
    assert reply.errors[0].disposition is disposition
    assert reply.consumed is None


@pytest.mark.parametrize(
    ("status", "type_", "disposition"),
    [
        (400, "ThrottlingException", Disposition.THROTTLED),
        (400, "AccessDeniedException", Disposition.FATAL),
        (500, "InternalServerError", Disposition.UNKNOWN),
    ],
)
async def test_what_is_not_about_the_item_is_raised(status: int, type_: str, disposition: Disposition):
    with pytest.raises(AwsError) as caught:
        await UpdateWriter(refusing(status, type_), "t", KEYS, MARKER).write(ITEMS[:1])
    assert caught.value.disposition is disposition
