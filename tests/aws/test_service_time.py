"""A machine whose clock is wrong: every client signs by the service's clock, after at most one refusal."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path

import orjson
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from refire_async.aws.errors import AwsError
from refire_async.aws.session import Session, open_session
from refire_async.settings import Connection
from tests.aws.raw_server import RawServer, Received, Talk, answer
from tests.aws.test_hostile_servers import CALLS, TABLE

MOST_SKEW_S = 300
SECRET = "secret"
STS = b"""<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>AKIDROLE</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


@pytest.fixture
def anyio_backend() -> str:
    """One event loop: what is tried here is not the loop's doing."""
    return "asyncio"


def signature(received: Received) -> tuple[str, str]:
    """The signature that a request has, and the one that botocore computes for its date."""
    found = dict(
        part.partition("=")[::2]
        for part in received.headers["authorization"].partition(" ")[2].replace(",", "").split()
    )
    access_key, _, region, service, _ = found["Credential"].split("/")
    method, path, _ = received.line.split()
    signed = {name: received.headers[name] for name in found["SignedHeaders"].split(";")}
    request = AWSRequest(method, f"http://{signed['host']}{path}", signed, received.body)
    request.context["timestamp"] = received.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(access_key, SECRET), service, region)
    return found["Signature"], signer.signature(
        signer.string_to_sign(request, signer.canonical_request(request)), request
    )


class Service:
    """Answers as AWS, by a clock that is `ahead_s` ahead of this machine's."""

    def __init__(self, ahead_s: float, body: bytes) -> None:
        self.ahead_s = ahead_s
        self.body = body
        self.refused = 0

    async def __call__(self, talk: Talk) -> None:
        """One request: refused, in the way of its service, if its time is not right."""
        received = await talk.read()
        now = time.time() + self.ahead_s
        signed_at = datetime.strptime(received.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        status, body = 200, STS if b"AssumeRole" in received.body else self.body
        computed, expected = signature(received)
        if "/s3/" not in received.headers["authorization"]:  # its canonical request is another one
            assert computed == expected
        if abs(signed_at.timestamp() - now) > MOST_SKEW_S:
            self.refused += 1
            status, body = self.refusal(received)
        talk.writer.write(answer(body, status, Date=formatdate(now, usegmt=True), ETag='"1"'))
        await talk.writer.drain()

    @staticmethod
    def refusal(received: Received) -> tuple[int, bytes]:
        said = b"Signature expired: 20200101T000000Z is now earlier than 20200102T000000Z"
        if b"AssumeRole" in received.body:
            return (
                403,
                b"<E><Error><Code>SignatureDoesNotMatch</Code><Message>%s</Message></Error></E>" % said,
            )
        if "/s3/" in received.headers["authorization"]:
            return 403, b"<Error><Code>RequestTimeTooSkewed</Code><Message>no</Message></Error>"
        return 400, b'{"__type":"x#InvalidSignatureException","message":"%s"}' % said


@pytest.fixture
async def session(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    async with open_session(Connection(region="eu-west-1", endpoint_url=server.url), 2) as opened:
        yield opened


@pytest.mark.parametrize("ahead_s", [90_000.0, -7_200.0])
@pytest.mark.parametrize("first", [name for name in CALLS if name != "Scan"])
async def test_every_client_signs_by_the_service_s_clock(
    session: Session, server: RawServer, first: str, ahead_s: float
) -> None:
    """Whichever call is the first: one refusal teaches all of them."""
    service = Service(ahead_s, b"")
    refused = []
    for name in (first, *CALLS):
        if name == "Scan":  # the data plane's callers try again by themselves (test_transport)
            continue
        service.body = CALLS[name].good
        server.plays(*[service] * 3)
        await CALLS[name].make(session)
        server.script.clear()
        refused.append(service.refused)
    assert refused == [1] * len(refused)
    assert abs(session.clock.offset_s - ahead_s) < 2


async def test_a_role_is_assumed_with_a_wrong_clock(
    server: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The very first request of a session may be one for credentials."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(
        "[profile r]\nrole_arn = arn:aws:iam::123456789012:role/any\nsource_profile = base\n"
        f"[profile base]\naws_access_key_id = AKID\naws_secret_access_key = {SECRET}\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
    service = Service(7_200.0, orjson.dumps({"Table": TABLE}))
    server.plays(*[service] * 9)
    connection = Connection(profile="r", region="eu-west-1", endpoint_url=server.url)
    async with open_session(connection, 1) as session:
        await session.control.describe_table("t")
    assert service.refused == 1
    assert "Credential=AKIDROLE/" in server.received[-1].headers["authorization"]


async def test_a_refusal_that_another_time_does_not_help(session: Session, server: RawServer) -> None:
    """Machine and service agree, and the service refuses all the same: said once, not tried for ever."""
    service = Service(0.0, b"")
    status, body = service.refusal(Received("", {"authorization": ""}, b""))
    date = formatdate(time.time(), usegmt=True)

    async def refuse(talk: Talk) -> None:
        await talk.read()
        talk.writer.write(answer(body, status, Date=date))
        await talk.writer.drain()

    server.plays(*[refuse] * 9)
    with pytest.raises(AwsError, match="rejects the time of the signature"):
        await session.control.describe_table("t")
    assert len(server.received) == 1
