"""Invocations over each of the HTTP backends: what goes out, what comes back, and the truth about what is lost."""

import base64
import math
import socket
from collections import deque
from collections.abc import AsyncIterator

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws import invocations
from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.http_backend import Timeouts
from refire_async.aws.invocations import (
    Invocations,
    InvokeError,
    open_invocations,
    parse_answer,
    refusal,
    timeouts_of,
)
from refire_async.aws.session import open_session
from refire_async.aws.signing import Credentials
from refire_async.aws.types import INVOKE_API, Response
from refire_async.errors import RefusedError, UsageError
from refire_async.settings import Connection
from tests.aws import raw_server
from tests.aws.exchanges import REGION, Connect, Keys
from tests.aws.raw_server import RawServer, raw, reply

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:orders"
EVENT = b'{"Records":[{"eventName":"INSERT"}]}'
LOG = "START RequestId: 1\nü\nREPORT Duration: 3 ms\n"


@pytest.fixture
async def lambdas(server: RawServer, to: Connect) -> AsyncIterator[Invocations]:
    async with to(server.url, api=INVOKE_API) as transport:
        yield Invocations(transport)


async def refused(lambdas: Invocations) -> AwsError:
    with pytest.raises(AwsError) as caught:
        await lambdas.invoke(FUNCTION, "prod", EVENT)
    return caught.value


async def test_request(server: RawServer, to: Connect) -> None:
    """A signed POST to the path of the function with its qualifier: botocore computes the same signature."""
    keys = Keys(Credentials("AKIDEXAMPLE", "a secret", "a/token+="))
    async with to(server.url, api=INVOKE_API, credentials=keys) as transport:
        await Invocations(transport).invoke(FUNCTION, "$LATEST", EVENT)
    (sent,) = server.received
    path = (
        "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Aorders/invocations"
        "?Qualifier=%24LATEST"
    )
    assert sent.line == f"POST {path} HTTP/1.1"
    assert sent.body == EVENT
    assert sent.headers["x-amz-invocation-type"] == "RequestResponse"
    assert sent.headers["x-amz-log-type"] == "Tail"
    assert "x-amz-target" not in sent.headers
    authorization = sent.headers["authorization"]
    names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = AWSRequest(
        "POST", server.url + path, headers={name: sent.headers[name] for name in names}, data=sent.body
    )
    request.context["timestamp"] = sent.headers["x-amz-date"]
    judge = SigV4Auth(BotoCredentials("AKIDEXAMPLE", "a secret", "a/token+="), "lambda", REGION)
    expected = judge.signature(judge.string_to_sign(request, judge.canonical_request(request)), request)
    assert authorization.endswith(f"Signature={expected}")


async def test_answer(server: RawServer, lambdas: Invocations) -> None:
    """Payload, error, log and version."""
    server.plays(
        reply(
            b'{"errorMessage":"no"}',
            X_Amz_Function_Error="Unhandled",
            X_Amz_Log_Result=base64.b64encode(LOG.encode()).decode(),
            X_Amz_Executed_Version="7",
        ),
        reply(b"null", X_Amz_Executed_Version="$LATEST"),
    )
    failed = await lambdas.invoke(FUNCTION, None, EVENT)
    assert failed.payload == b'{"errorMessage":"no"}'
    assert (failed.function_error, failed.log_tail, failed.version) == ("Unhandled", LOG, "7")
    succeeded = await lambdas.invoke(FUNCTION, None, EVENT)
    assert (succeeded.payload, succeeded.function_error, succeeded.log_tail) == (b"null", None, "")


async def test_large_event(server: RawServer, lambdas: Invocations) -> None:
    """It arrives whole, whatever the parts in which it is sent."""
    event = b'{"Records":["%s"]}' % (b"x" * 3_000_000)
    await lambdas.invoke(FUNCTION, None, event)
    assert server.received[0].body == event
    assert "transfer-encoding" not in server.received[0].headers
    assert server.received[0].headers["content-type"] == "application/json"


THROTTLED = b'{"Type":"User","message":"Rate Exceeded.","Reason":"%s"}'


async def test_throttled(server: RawServer, lambdas: Invocations) -> None:
    """A 429 has a reason, and how long to wait."""
    server.plays(
        reply(
            THROTTLED % b"ReservedFunctionConcurrentInvocationLimitExceeded",
            429,
            X_Amzn_ErrorType="TooManyRequestsException:http://internal.amazon.com/coral/",
            Retry_After="1.5",
        ),
        reply(b"<html>", 429, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"),
    )
    error = await refused(lambdas)
    assert isinstance(error, InvokeError)
    assert error.code == "TooManyRequestsException"
    assert (error.reason, error.retry_after_s) == ("ReservedFunctionConcurrentInvocationLimitExceeded", 1.5)
    assert error.disposition is Disposition.THROTTLED
    bare = await refused(lambdas)
    assert isinstance(bare, InvokeError)
    assert (bare.reason, bare.retry_after_s, bare.disposition) == ("", None, Disposition.THROTTLED)


async def test_refusal_is_one_line_without_the_event(server: RawServer, lambdas: Invocations) -> None:
    """Lambda quotes the event where it cannot parse it; the words about a function are passed on."""
    server.plays(
        reply(
            b'{"Type":"User","message":"Could not parse PLANTED"}',
            400,
            X_Amzn_ErrorType="InvalidRequestContentException",
        ),
        reply(
            b'{"Message":"Lambda cannot decrypt:\\n key is disabled."}',
            502,
            X_Amzn_ErrorType="KMSDisabledException",
        ),
        reply(b'{"Message":"Function not found"}', 404, X_Amzn_ErrorType="ResourceNotFoundException"),
        reply(
            b'{"Message":"User: arn:aws:iam::1:user/u is not authorized to perform: lambda:InvokeFunction on'
            b' resource: arn:aws:lambda:eu-west-1:1:function:f because no policy allows it"}',
            403,
            X_Amzn_ErrorType="AccessDeniedException",
        ),
    )
    event, key, missing, denied = [await refused(lambdas) for _ in range(4)]
    assert "PLANTED" not in str(event)
    assert "Lambda cannot decrypt: key is disabled" in str(key)
    assert f"{FUNCTION}:prod" in str(missing)
    assert "--function" in str(missing)
    assert "lambda:InvokeFunction" in denied.action
    assert all("\n" not in str(error) for error in (event, key, missing, denied))


async def test_expired_token_is_renewed(server: RawServer, to: Connect) -> None:
    """The next attempt signs with other credentials, as for DynamoDB: the error's name is in a header here."""
    keys = Keys(Credentials("OLD", "s", "t"), Credentials("NEW", "s", "t"))
    server.plays(reply(b'{"message":"expired"}', 403, X_Amzn_ErrorType="ExpiredTokenException"), reply())
    async with to(server.url, api=INVOKE_API, credentials=keys) as transport:
        lambdas = Invocations(transport)
        assert (await refused(lambdas)).disposition is Disposition.RETRY
        await lambdas.invoke(FUNCTION, None, EVENT)
    assert "Credential=NEW/" in server.received[-1].headers["authorization"]


LOST = {
    "reset after reading": raw_server.reset_after_reading,
    "closed within the body": raw(raw_server.answer()[:-3], then="close"),
    "not HTTP": raw(b"220 smtp.example ESMTP\r\n\r\n", then="close"),
    "silence": raw_server.say_nothing,
    "a gateway's page": reply(b"<html>busy</html>", Content_Type="text/html"),
    "a gateway's 504": reply(b"", 504),
    "a gateway's 502": reply(b"<html>", 502),
    "taken, not answered": reply(b"", 202),
    "a payload without end": reply(b" " * 300_000, X_Amz_Executed_Version="1"),
    "ServiceException": reply(b"{}", 500, X_Amzn_ErrorType="ServiceException"),
}


@pytest.mark.parametrize("case", LOST)
async def test_lost_answers_are_unknown(to: Connect, server: RawServer, case: str) -> None:
    """The function may have run; one line says what came, and the next invocation is not affected."""
    server.plays(LOST[case])
    timeouts = Timeouts(connect_s=1, answer_s=0.5, keep_alive_s=45)
    async with to(server.url, api=INVOKE_API, timeouts=timeouts, answer_limit=65_536) as transport:
        lambdas = Invocations(transport)
        error = await refused(lambdas)
        assert error.disposition is Disposition.UNKNOWN
        assert "\n" not in str(error)
        await lambdas.invoke(FUNCTION, None, EVENT)
    assert len(server.received) == 2


async def test_redirects_are_not_followed(server: RawServer, lambdas: Invocations) -> None:
    """A signed event must not end up elsewhere."""
    server.plays(reply(b"", 307, Location="http://127.0.0.1:9/"))
    error = await refused(lambdas)
    assert (error.status, error.disposition) == (307, Disposition.FATAL)
    assert str(error).startswith(
        "Invoke was answered with HTTP 307, and not by Lambda; check AWS_ENDPOINT_URL_LAMBDA"
    )
    assert len(server.received) == 1


async def test_closed_port_is_not_sent(to: Connect) -> None:
    """Nothing can have run."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with to(f"http://127.0.0.1:{closed.getsockname()[1]}", api=INVOKE_API) as transport:
            assert (await refused(Invocations(transport))).disposition is Disposition.RETRY


async def test_long_answers_are_probed(
    to: Connect, server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that may be silent for a quarter of an hour have TCP keep-alive on, before the first request."""
    probed: list[tuple[int, ...]] = []
    original = socket.socket.setsockopt

    def watched(self: socket.socket, *option: int) -> None:
        probed.append(option)
        original(self, *option)

    monkeypatch.setattr(socket.socket, "setsockopt", watched)
    timeouts = timeouts_of(900)
    assert timeouts.answer_s > 900
    assert timeouts.keep_alive_s is not None
    assert timeouts.keep_alive_s < 350
    async with to(server.url, api=INVOKE_API, timeouts=timeouts) as transport:
        await Invocations(transport).invoke(FUNCTION, None, EVENT)
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in probed
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 45) in probed


texts = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=30)


@given(
    body=st.binary(max_size=60) | st.sampled_from([b"null", b"[]", b'{"Reason":[1]}', b'{"Reason":"a\\nb"}']),
    status=st.integers(200, 599),
    headers=st.dictionaries(
        st.sampled_from(
            [
                "X-Amz-Function-Error",
                "X-Amz-Log-Result",
                "X-Amz-Executed-Version",
                "X-Amzn-ErrorType",
                "Retry-After",
            ]
        ),
        texts | st.sampled_from(["nan", "inf", "-1", "1e9", "====", "A"]),
    ),
)
def test_whatever_comes(body: bytes, status: int, headers: dict[str, str]) -> None:
    """Any answer is an answer of the function or one line; waits are finite."""
    response = Response(status, headers, body)
    if status != 200:
        error = refusal(response, "f")
    else:
        try:
            answer = parse_answer(response)
        except InvokeError as caught:
            error = caught
            assert error.disposition is Disposition.UNKNOWN
        else:
            assert answer.payload == body
            assert answer.version
            return
    assert "\n" not in str(error)
    if error.retry_after_s is not None:
        assert math.isfinite(error.retry_after_s)
        assert 0 <= error.retry_after_s <= 300


HERE = Connection(region="eu-west-1", endpoint_url="http://127.0.0.1:9")


class TestOpening:
    """Where invocations go."""

    @pytest.fixture(autouse=True)
    def aws(self, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
        """An environment with credentials."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED")
        return monkeypatch

    async def test_endpoint_of_lambda(self, aws: pytest.MonkeyPatch) -> None:
        """The one that is set for it by name, beside a table in an emulator."""
        async with RawServer(script=deque([reply(b"1")])) as server:
            aws.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
            async with open_session(HERE, 1) as session, open_invocations(session, 2, 3.0) as lambdas:
                assert (await lambdas.invoke("f", None, EVENT)).payload == b"1"
            (sent,) = server.received
        assert sent.line.startswith("POST /2015-03-31/functions/f/invocations ")
        assert "/eu-west-1/lambda/aws4_request" in sent.headers["authorization"]

    async def test_emulators_table_never_leads_to_aws(self, aws: pytest.MonkeyPatch) -> None:
        """Neither without an endpoint nor with AWS's own."""
        for url in (None, "https://lambda.eu-west-1.amazonaws.com"):
            if url is not None:
                aws.setenv("AWS_ENDPOINT_URL_LAMBDA", url)
            async with open_session(HERE, 1) as session:
                with pytest.raises(RefusedError, match="emulator"):
                    async with open_invocations(session, 1, 3.0):
                        pytest.fail("opened")

    @pytest.mark.parametrize(
        "url", ["http://lambda.eu-west-1.amazonaws.com", "http://127.0.0.1:9/base", "ftp://127.0.0.1"]
    )
    async def test_endpoints_that_cannot_be_used(self, aws: pytest.MonkeyPatch, url: str) -> None:
        """Without encryption to AWS, or with a path."""
        aws.setenv("AWS_ENDPOINT_URL_LAMBDA", url)
        async with open_session(Connection(region="eu-west-1"), 1) as session:
            with pytest.raises((RefusedError, UsageError)):
                async with open_invocations(session, 1, 3.0):
                    pytest.fail("opened")


def test_answers_may_have_six_megabytes() -> None:
    """The service's own limit fits, and little more."""
    assert 6 * 1024 * 1024 < invocations.ANSWER_LIMIT <= 8 * 1024 * 1024
