"""Answers as HTTP: names of errors, checksums, clocks and signatures."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tests.probes.by_hand import RawAnswer, send
from tests.probes.facts import Area, NotTriedError, Seen, equal, seen_if
from tests.probes.lab import Lab, crc32
from tests.probes.sources import api, dg
from tests.probes.tables import PK

area = Area("answers", "Answers: errors, checksums, signatures", tables=("simple",))


@area(
    "error-names",
    assumed="A refusal is a 400 whose JSON names the error in `__type`, behind a `#`, with a message beside it.",
    source=dg("DynamoDB low-level API: error responses"),
    code="aws/errors.py",
    rests="Honest end, Once",
    how="UpdateItem with a condition that fails; status, name and whether there is a message.",
    believed={"ministack": "the service, after its documentation: ministack leaves the namespace out"},
)
def _(lab: Lab) -> Seen:
    body = {
        "TableName": lab.table("simple"),
        "Key": {PK: {"S": lab.key()}},
        "UpdateExpression": "REMOVE r",
        "ConditionExpression": f"attribute_exists({PK})",
    }
    answer = send(lab.clients, "dynamodb", "UpdateItem", body)
    parsed = answer.parsed
    message = bool(parsed.get("message") or parsed.get("Message"))
    name = str(parsed.get("__type", ""))
    return equal(
        "400 #ConditionalCheckFailedException with message",
        f"{answer.status} {'#' if '#' in name else ''}{answer.said} {'with' if message else 'without'} message",
    )


@area(
    "checksum",
    assumed="Every answer has x-amz-crc32, the CRC-32 of its body, also a refusal.",
    source=dg("DynamoDB low-level API"),
    code="aws/transport.py",
    rests="Once",
    how="The header of an answer and of a refusal against the bytes.",
    believed={
        "dynamodb-local": "the service; DynamoDB Local sends none with refusals, and the program needs none there"
    },
)
def _(lab: Lab) -> Seen:
    return equal(
        "right, right",
        [_checksum(_describe(lab, lab.table("simple") + end)) for end in ("", "-missing")],
    )


@area(
    "date",
    assumed="Every answer has the service's time in its Date header, to the second.",
    source="RFC 9110; DynamoDB Developer Guide: DynamoDB low-level API",
    code="aws/clock.py, aws/service_time.py",
    rests="No harm",
    how="The header of an answer against this machine's clock; 5 minutes are near.",
)
def _(lab: Lab) -> Seen:
    shown = _describe(lab, lab.table("simple")).headers.get("date")
    if shown is None:
        return Seen(False, "no Date header")
    near = abs(parsedate_to_datetime(shown) - datetime.now(UTC)) < timedelta(minutes=5)
    return seen_if(near, "near" if near else "far")


@area(
    "request-id",
    assumed="Every answer has an x-amzn-RequestId.",
    source=dg("DynamoDB low-level API"),
    code="sandbox/http.py",
    rests="Sandbox",
    how="The header of an answer.",
)
def _(lab: Lab) -> Seen:
    found = _describe(lab, lab.table("simple")).headers.get("x-amzn-requestid")
    return equal("there", "there" if found else "missing")


@area(
    "unsigned",
    assumed="A request without a signature is a MissingAuthenticationTokenException.",
    source=api("Common Errors"),
    code="aws/error_hints.py, aws/errors.py",
    rests="Check",
    how="DescribeTable without the Authorization header.",
    believed={
        "dynamodb-local": "the service: its names of errors end in Exception; the program knows both",
        "ministack": "the service, after its API Reference: ministack looks in another account's tables",
    },
)
def _(lab: Lab) -> Seen:
    wanted = {"TableName": lab.table("simple")}
    return equal(
        "MissingAuthenticationTokenException",
        _checked(lab, send(lab.clients, "dynamodb", "DescribeTable", wanted, signed=False)),
    )


@area(
    "old-signature",
    assumed="A signature 20 minutes old or ahead is an InvalidSignatureException: Signature expired, not yet current.",
    source="AWS General Reference: troubleshooting signatures",
    code="aws/errors.py, aws/service_time.py, aws/clock.py",
    rests="Coverage, Honest end",
    how="DescribeTable signed 20 minutes ago and 20 minutes ahead; code and first words.",
)
def _(lab: Lab) -> Seen:
    wanted = {"TableName": lab.table("simple")}
    said = []
    for minutes in (-20, 20):
        at = datetime.now(UTC) + timedelta(minutes=minutes)
        answer = send(lab.clients, "dynamodb", "DescribeTable", wanted, signed_at=at)
        words = str(answer.parsed.get("message", "")).partition(":")[0]
        said.append(f"{_checked(lab, answer)}: {words}")
    return equal(
        "InvalidSignatureException: Signature expired, InvalidSignatureException: Signature not yet current",
        said,
    )


@area(
    "unknown-operation",
    assumed="An operation that the service does not have is an UnknownOperationException.",
    source=api("Common Errors"),
    code="aws/errors.py, aws/control_plane.py",
    rests="Check",
    how="X-Amz-Target with another name.",
)
def _(lab: Lab) -> Seen:
    return equal("UnknownOperationException", send(lab.clients, "dynamodb", "TouchEverything", {}).said)


@area(
    "not-json",
    assumed="A body that is no JSON is a SerializationException.",
    source=api("Common Errors"),
    code="sandbox/server.py",
    rests="Sandbox",
    how="A body that ends too early.",
    believed={"dynamodb-local": "the service, after its API Reference: DynamoDB Local fails inside"},
)
def _(lab: Lab) -> Seen:
    return equal(
        "SerializationException", send(lab.clients, "dynamodb", "DescribeTable", b'{"TableName').said
    )


area.untried(
    "access-denied",
    assumed="A missing permission is an AccessDeniedException whose message names who may not perform which action.",
    source="AWS Identity and Access Management User Guide: troubleshooting access denied errors",
    code="aws/error_hints.py, aws/permissions.py",
    rests="Check",
    reason="it takes a second identity with fewer permissions",
)
area.untried(
    "expired-credentials",
    assumed="Session credentials that have expired are an ExpiredTokenException.",
    source=api("Common Errors"),
    code="aws/errors.py, aws/credentials.py",
    rests="Coverage",
    reason="session credentials live at least 15 minutes",
)


def _describe(lab: Lab, name: str) -> RawAnswer:
    return send(lab.clients, "dynamodb", "DescribeTable", {"TableName": name})


def _checksum(answer: RawAnswer) -> str:
    shown = answer.headers.get("x-amz-crc32")
    if shown is None:
        return "missing"
    return "right" if shown == str(crc32(answer.body)) else "wrong"


def _checked(lab: Lab, answer: RawAnswer) -> str:
    """What was said. Raises NotTriedError if an emulator takes what it should refuse: it checks no signatures."""
    if answer.status == 200 and not lab.clients.at_aws:
        raise NotTriedError("this server checks no signatures")
    return answer.said
