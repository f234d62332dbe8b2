"""The error table: the meaning of an answer for the write behind it, and the message for the user."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws.errors import (
    AwsError,
    Disposition,
    ThrottlingReason,
    error_of,
    lost_answer,
    member_disposition,
    not_sent,
)
from refire_async.aws.types import Response
from refire_async.errors import ExitCode

THROTTLED, RETRY, UNKNOWN, CONDITION, ITEM, FATAL = Disposition

TABLE_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"


def error(kind: str, status: int = 400, operation: str = "UpdateItem", **members: Any) -> AwsError:
    """The error of an answer with this `__type`."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{kind}", **members}
    return error_of(Response(status, {}, orjson.dumps(body)), operation)


@pytest.mark.parametrize(
    ("kind", "status", "disposition"),
    [
        ("ProvisionedThroughputExceededException", 400, THROTTLED),
        ("ThrottlingException", 400, THROTTLED),
        ("RequestLimitExceeded", 400, THROTTLED),
        ("LimitExceededException", 400, THROTTLED),
        ("InternalServerError", 500, UNKNOWN),
        ("InternalFailure", 500, UNKNOWN),
        ("ServiceUnavailable", 503, UNKNOWN),
        ("ServiceUnavailableException", 503, UNKNOWN),
        ("TransactionConflictException", 400, RETRY),
        ("TransactionInProgressException", 400, RETRY),
        ("ReplicatedWriteConflictException", 409, RETRY),
        ("ExpiredTokenException", 400, RETRY),
        ("RequestTimeTooSkewed", 403, RETRY),
        ("ExpiredIteratorException", 400, RETRY),
        ("ConditionalCheckFailedException", 400, CONDITION),
        ("ValidationException", 400, ITEM),
        ("ItemCollectionSizeLimitExceededException", 400, ITEM),
        ("AccessDeniedException", 400, FATAL),
        ("UnrecognizedClientException", 400, FATAL),
        ("InvalidSignatureException", 400, FATAL),
        ("MissingAuthenticationTokenException", 400, FATAL),
        ("IncompleteSignatureException", 400, FATAL),
        ("ResourceNotFoundException", 400, FATAL),
        ("UnknownOperationException", 400, FATAL),
        ("TrimmedDataAccessException", 400, FATAL),
        ("SerializationException", 400, FATAL),
        ("SomethingNewException", 400, FATAL),
        ("SomethingNewException", 429, THROTTLED),
        ("SomethingNewException", 500, UNKNOWN),
    ],
)
def test_disposition_by_type(kind: str, status: int, disposition: Disposition) -> None:
    """Every documented error, and unknown ones."""
    found = error(kind, status)
    assert (found.code, found.disposition, found.status) == (kind, disposition, status)
    assert found.exit_code is (ExitCode.REFUSED if disposition is FATAL else ExitCode.STOPPED)
    assert "\n" not in str(found)
    assert bool(found.action) == (disposition is FATAL)


@pytest.mark.parametrize("operation", ["Scan", "Query", "BatchGetItem", "DescribeTable", "GetRecords"])
def test_validation_of_a_read_is_fatal(operation: str) -> None:
    """A read has no item as the cause; its request contains the user's input, so the message is for the user."""
    found = error(
        "ValidationException", operation=operation, message="Invalid FilterExpression: Syntax error"
    )
    assert found.disposition is FATAL
    assert "Invalid FilterExpression: Syntax error" in found.message


@pytest.mark.parametrize(
    ("status", "body", "disposition"),
    [
        (500, b"", UNKNOWN),
        (502, b"<html>", UNKNOWN),
        (503, b"upstream connect error", UNKNOWN),
        (504, b"[]", UNKNOWN),
        (408, b"", UNKNOWN),
        (429, b"", THROTTLED),
        (302, b"", FATAL),
        (404, b"<html>", FATAL),
        (407, b"{}", FATAL),
        (413, b'{"__type":null}', FATAL),
    ],
)
def test_answers_of_other_servers(status: int, body: bytes, disposition: Disposition) -> None:
    """Without an error type of DynamoDB the status decides, and a 503 proves nothing: it may be from a proxy."""
    found = error_of(Response(status, {}, body), "BatchExecuteStatement")
    assert found.disposition is disposition
    if disposition is FATAL:
        assert "not by DynamoDB" in found.message
        assert "--endpoint-url" in found.action


@pytest.mark.parametrize(
    ("reason", "resource", "scope", "index"),
    [
        ("TableWriteProvisionedThroughputExceeded", TABLE_ARN, "table", None),
        ("TableReadProvisionedThroughputExceeded", TABLE_ARN, "table", None),
        ("TableWriteKeyRangeThroughputExceeded", TABLE_ARN, "key-range", None),
        ("TableWriteAccountLimitExceeded", TABLE_ARN, "account", None),
        ("TableWriteMaxOnDemandThroughputExceeded", TABLE_ARN, "maximum", None),
        ("IndexWriteProvisionedThroughputExceeded", f"{TABLE_ARN}/index/by-day", "index", "by-day"),
        ("IndexWriteKeyRangeThroughputExceeded", f"{TABLE_ARN}/index/by-day", "key-range", "by-day"),
        ("IndexWriteAccountLimitExceeded", f"{TABLE_ARN}/index/by-day", "account", "by-day"),
        ("IndexWriteMaxOnDemandThroughputExceeded", f"{TABLE_ARN}/index/by-day", "maximum", "by-day"),
        ("SomethingNew", f"{TABLE_ARN}/index/by-day", "index", "by-day"),
        ("SomethingNew", TABLE_ARN, "table", None),
        ("", "", "table", None),
    ],
)
@pytest.mark.parametrize("member", ["ThrottlingReasons", "throttlingReasons"])
@pytest.mark.parametrize("kind", ["ThrottlingException", "ProvisionedThroughputExceededException"])
def test_reasons(
    *, kind: str, member: str, reason: str, resource: str, scope: str, index: str | None
) -> None:
    """Both spellings, under any exception; the scope and the index come from reason and ARN."""
    found = error(kind, **{member: [{"reason": reason, "resource": resource}]})
    assert found.reasons == (ThrottlingReason(reason, resource),)
    assert (found.reasons[0].scope, found.reasons[0].index) == (scope, index)
    assert found.disposition is THROTTLED
    assert reason in found.message


def test_a_reason_overrides_the_type() -> None:
    """An unknown exception with a throttling reason is a throttled call."""
    found = error("SomethingNewException", ThrottlingReasons=[{"reason": "r", "resource": ""}, "odd", {}])
    assert found.disposition is THROTTLED
    assert len(found.reasons) == 2


def test_item_of_a_failed_condition() -> None:
    """ReturnValuesOnConditionCheckFailure returns the present item."""
    item = {"id": {"S": "a"}, "revision": {"N": "7"}}
    assert error("ConditionalCheckFailedException", Item=item).item == item
    assert error("ConditionalCheckFailedException").item is None


@pytest.mark.parametrize(
    ("said", "what", "advice"),
    [
        (
            f"User: iam:a is not authorized to perform: dynamodb:PartiQLUpdate on resource: {TABLE_ARN}",
            f"iam:a may not perform dynamodb:PartiQLUpdate on {TABLE_ARN}",
            "allow dynamodb:PartiQLUpdate",
        ),
        (
            "User: u is not authorized to perform: dynamodb:UpdateItem on resource: t with an explicit deny",
            "may not perform dynamodb:UpdateItem",
            "explicit deny",
        ),
        ("", "may not perform dynamodb:PartiQLUpdate", "allow dynamodb:PartiQLUpdate"),
    ],
)
def test_access_denied_names_the_action(said: str, what: str, advice: str) -> None:
    """There is no IAM action BatchExecuteStatement; the message names the missing action of the policy."""
    found = error("AccessDeniedException", operation="BatchExecuteStatement", Message=said)
    assert what in found.message
    assert advice in found.action


@pytest.mark.parametrize(
    ("said", "disposition"),
    [
        ("Signature expired: 20201012T000000Z is now earlier than 20201012T001000Z (a - 5 min.)", RETRY),
        ("Signature not yet current: 20201012T001000Z is still later than 20201012T000000Z", RETRY),
        ("The request signature we calculated does not match the signature you provided.", FATAL),
    ],
)
def test_signature_with_another_time(said: str, disposition: Disposition) -> None:
    """One type for two causes: a clock can be corrected, a wrong key cannot."""
    found = error("InvalidSignatureException", message=said)
    assert found.disposition is disposition
    assert found.is_clock_skew == (disposition is RETRY)


def test_session_token_is_not_passed_on() -> None:
    """If a signature is wrong, DynamoDB quotes the canonical request with the token."""
    said = "does not match. The Canonical String should have been\n'POST\nx-amz-security-token:PLANTED\n'"
    for kind in ("InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignatureException"):
        found = error(kind, message=said)
        assert "PLANTED" not in f"{found} {found.detail} {found.args} {vars(found)}"


kinds = st.sampled_from(
    [
        "ValidationException",
        "ConditionalCheckFailedException",
        "ItemCollectionSizeLimitExceededException",
        "InternalServerError",
        "ThrottlingException",
        "TransactionConflictException",
        "SerializationException",
        "SomethingNewException",
    ]
)


@given(kind=kinds, status=st.sampled_from([400, 409, 429, 500, 503]), before=st.text(max_size=20))
@pytest.mark.parametrize("operation", ["UpdateItem", "BatchExecuteStatement"])
def test_messages_about_items_are_only_in_detail(operation: str, kind: str, status: int, before: str) -> None:
    """The service's message about a write may quote a key, so only `detail` contains it."""
    found = error(kind, status, operation, message=f"{before} PLANTED")
    assert "PLANTED" not in f"{found} {found.args} {found.action}"
    assert "PLANTED" in found.detail


@given(
    status=st.integers(201, 599),
    body=st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["__type", "message", "ThrottlingReasons", "throttlingReasons", "Item"]),
                inner,
            )
        ),
    ).map(orjson.dumps),
)
def test_any_answer_is_some_error(status: int, body: bytes) -> None:
    """Any answer yields one line and a disposition."""
    found = error_of(Response(status, {}, body), "UpdateItem")
    assert isinstance(found.disposition, Disposition)
    assert "\n" not in str(found)
    assert found.code


@pytest.mark.parametrize(
    ("code", "disposition"),
    [
        ("ThrottlingError", THROTTLED),
        ("ProvisionedThroughputExceeded", THROTTLED),
        ("RequestLimitExceeded", THROTTLED),
        ("InternalServerError", UNKNOWN),
        ("TransactionConflict", RETRY),
        ("ConditionalCheckFailed", CONDITION),
        ("ValidationError", ITEM),
        ("ItemCollectionSizeLimitExceeded", ITEM),
        ("DuplicateItem", ITEM),
        ("AccessDenied", FATAL),
        ("ResourceNotFound", FATAL),
        ("SomethingNew", ITEM),
    ],
)
def test_members_of_a_batch(code: str, disposition: Disposition) -> None:
    """Codes of BatchStatementError."""
    assert member_disposition(code) is disposition


def test_failures_without_an_answer() -> None:
    """One request is certainly not applied, the other may be."""
    assert not_sent("ConnectError", "m").disposition is RETRY
    assert lost_answer("Timeout", "m").disposition is UNKNOWN
