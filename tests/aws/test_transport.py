"""The transport: one request per call, and a disposition that is true for every failure.

Every failure below is checked for two things: its disposition, and that the transport works afterwards.
"""

import random
import socket

import anyio
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.http_backend import Timeouts
from refire_async.aws.signing import Credentials
from refire_async.aws.transport import SignedTransport
from refire_async.aws.types import Request, Response
from tests.aws import raw_server
from tests.aws.exchanges import REGION, SCAN, Connect, Keys, failure
from tests.aws.raw_server import OK, RawServer, answer, raw, reply

pytestmark = pytest.mark.usefixtures("nothing_blocks")


class TestRequest:
    """Requests."""

    async def test_is_signed_so_that_botocore_agrees(self, to: Connect, server: RawServer) -> None:
        """The service recomputes the signature from the request; here botocore does."""
        token = Keys(Credentials("AKIDEXAMPLE", "a secret", "a/token+="))
        async with to(server.url, credentials=token) as transport:
            await transport(Request("BatchExecuteStatement", "{é}".encode()))
        (sent,) = server.received
        assert sent.line == "POST / HTTP/1.1"
        assert sent.body == "{é}".encode()
        assert sent.headers["x-amz-target"] == "DynamoDB_20120810.BatchExecuteStatement"
        assert sent.headers["content-type"] == "application/x-amz-json-1.0"
        authorization = sent.headers["authorization"]
        names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        assert {"host", "x-amz-date", "x-amz-target", "x-amz-security-token"} <= set(names)
        request = AWSRequest(
            "POST", server.url, headers={name: sent.headers[name] for name in names}, data=sent.body
        )
        request.context["timestamp"] = sent.headers["x-amz-date"]
        judge = SigV4Auth(BotoCredentials("AKIDEXAMPLE", "a secret", "a/token+="), "dynamodb", REGION)
        expected = judge.signature(judge.string_to_sign(request, judge.canonical_request(request)), request)
        assert authorization.endswith(f"Signature={expected}")

    async def test_requests_are_minimal(self, server: RawServer, transport: SignedTransport) -> None:
        """No compression (the checksum covers the sent bytes), no Expect, no cookies even if one was set."""
        server.plays(reply(Set_Cookie="a=b"))
        await transport(SCAN)
        await transport(SCAN)
        for sent in server.received:
            assert sent.headers["accept-encoding"] == "identity"
            assert sent.headers.keys().isdisjoint({"expect", "cookie", "transfer-encoding"})

    async def test_each_second_has_its_own_date(self, to: Connect, server: RawServer) -> None:
        """The date of a signature follows the clock."""
        now = iter([1_700_000_000.9, 1_700_000_001.0, 1_700_000_001.9])
        async with to(server.url, clock=lambda: next(now)) as transport:
            for _ in range(3):
                await transport(SCAN)
        dates = [sent.headers["x-amz-date"] for sent in server.received]
        assert dates == ["20231114T221320Z", "20231114T221321Z", "20231114T221321Z"]


class TestAnswer:
    """Answers."""

    async def test_any_status_is_an_answer(self, server: RawServer, transport: SignedTransport) -> None:
        """The transport does not interpret the status."""
        server.plays(reply(b"{}", 500, X_Amzn_RequestId="R1"))
        response = await transport(SCAN)
        assert (response.status, response.body) == (500, b"{}")
        assert response.headers["x-amzn-requestid"] == "R1"

    async def test_redirects_are_not_followed(self, server: RawServer, transport: SignedTransport) -> None:
        """A signed write must not reach another host."""
        server.plays(reply(b"", 307, Location="http://127.0.0.1:9/"))
        assert (await transport(SCAN)).status == 307
        assert len(server.received) == 1

    async def test_checksum_is_optional(self, server: RawServer, transport: SignedTransport) -> None:
        """Emulators send no checksum."""
        server.plays(reply(OK, x_amz_crc32=""))
        assert (await transport(SCAN)).body == OK

    async def test_chunks_are_joined(self, server: RawServer, transport: SignedTransport) -> None:
        """Some proxies and emulators answer in chunks."""
        server.plays(
            raw(
                b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{"\r\n3\r\na":\r\n2\r\n1}\r\n0\r\n\r\n'
            )
        )
        assert (await transport(SCAN)).body == b'{"a":1}'

    async def test_interim_answers_are_not_the_answer(
        self, server: RawServer, transport: SignedTransport
    ) -> None:
        """A proxy may send interim answers."""
        server.plays(raw(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer()))
        response = await transport(SCAN)
        assert (response.status, response.body) == (200, OK)
        assert "link" not in response.headers

    async def test_headers_by_any_case(self, transport: SignedTransport) -> None:
        """Names of headers are case-insensitive."""
        headers = (await transport(SCAN)).headers
        assert headers["content-type"] == headers["Content-Type"] == "application/x-amz-json-1.0"
        assert {name.lower() for name in headers} == {"content-type", "content-length", "x-amz-crc32"}
        assert len(headers) == 3


LOST = {
    "reset before reading": (raw_server.reset_before_reading, {"ConnectionLost"}),
    "reset after reading": (raw_server.reset_after_reading, {"ConnectionLost"}),
    "closed after reading": (raw_server.close_after_reading, {"ConnectionLost"}),
    "closed within the head": (
        raw(b"HTTP/1.1 200 OK\r\nContent-", then="close"),
        {"ConnectionLost", "GarbledAnswer", "TruncatedAnswer"},
    ),
    "closed within the body": (raw(answer()[:-3], then="close"), {"TruncatedAnswer"}),
    "reset within the body": (raw(answer()[:-3], then="reset"), {"TruncatedAnswer", "ConnectionLost"}),
    "closed within a chunk": (
        raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{"a', then="close"),
        {"TruncatedAnswer"},
    ),
    "wrong checksum": (reply(OK, x_amz_crc32="1"), {"DamagedAnswer"}),
    "checksum that is no number": (reply(OK, x_amz_crc32="one"), {"DamagedAnswer"}),
    "not HTTP": (raw(b"220 smtp.example ESMTP\r\n\r\n", then="close"), {"GarbledAnswer"}),
    "TLS": (raw(b"\x15\x03\x01\x00\x02\x02\x50", then="close"), {"NotPlain", "GarbledAnswer"}),
    "header without end": (
        raw(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000, then="close"),
        {"GarbledAnswer", "OversizedAnswer"},
    ),
    "not gzip": (reply(b"\x1f\x8bnot gzip", Content_Encoding="gzip"), {"UndecodableAnswer"}),
    "silence": (raw_server.say_nothing, {"Timeout"}),
    "a byte at a time": (raw_server.drip, {"Timeout", "GarbledAnswer"}),
}


class TestLostAnswers:
    """After the first byte may have been sent, the write may have been applied."""

    @pytest.mark.parametrize("case", LOST)
    @pytest.mark.parametrize("reused", [False, True], ids=["new connection", "used connection"])
    async def test_unknown_and_over(self, to: Connect, server: RawServer, case: str, *, reused: bool) -> None:
        """The write may have been applied; the next request is not affected."""
        act, codes = LOST[case]
        if reused:
            server.plays(reply())
        server.plays(act)
        async with to(server.url, concurrency=1, timeouts=Timeouts(connect_s=1, answer_s=0.3)) as transport:
            if reused:
                await transport(SCAN)
            error = await failure(transport)
            assert error.disposition is Disposition.UNKNOWN
            assert error.code in codes
            assert (await transport(SCAN)).body == OK

    async def test_no_retry(self, server: RawServer, transport: SignedTransport) -> None:
        """The caller decides about retries: the service received exactly one request."""
        server.plays(reply(), raw_server.reset_after_reading)
        await transport(SCAN)
        await failure(transport)
        assert len(server.received) == 2


class TestNotSent:
    """Before a connection is ready the write cannot have been applied."""

    async def test_closed_port(self, to: Connect) -> None:
        """A refused connection may be retried."""
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{closed.getsockname()[1]}"
            async with to(url) as transport:
                error = await failure(transport)
        assert (error.code, error.disposition) == ("ConnectError", Disposition.RETRY)
        assert "refused" in error.message

    async def test_name_is_unknown(self, to: Connect) -> None:
        """DNS may fail temporarily."""
        async with to("http://dynamodb.invalid") as transport:
            error = await failure(transport)
        assert error.disposition is Disposition.RETRY
        assert "dynamodb.invalid" in error.message
        assert "--region" in error.action

    async def test_silent_host(self, to: Connect) -> None:
        """A host that drops packets: the timeout for connecting applies, not that for the answer."""
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            port = full.getsockname()[1]
            fillers = [socket.socket() for _ in range(3)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            timeouts = Timeouts(connect_s=0.2, answer_s=60)
            url = f"http://127.0.0.1:{port}"
            async with to(url, timeouts=timeouts) as transport:
                error = await failure(transport)
            for filler in fillers:
                filler.close()
        assert (error.code, error.disposition) == ("ConnectTimeout", Disposition.RETRY)


class TestConnections:
    """Connections are reused, limited, and replaced."""

    async def test_are_reused(self, server: RawServer, transport: SignedTransport) -> None:
        """Sequential calls need one connection."""
        for _ in range(5):
            await transport(SCAN)
        assert server.connections == 1

    async def test_are_limited(self, to: Connect, server: RawServer) -> None:
        """More calls than connections wait in order, and all are answered."""
        async with to(server.url, concurrency=3) as transport:
            answers: list[Response] = []

            async def call() -> None:
                answers.append(await transport(SCAN))

            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(call)
        assert len(answers) == 20
        assert server.most_open <= 3

    async def test_closed_between_requests_is_not_an_error(
        self, server: RawServer, transport: SignedTransport
    ) -> None:
        """A service closes idle connections. A closed one is replaced before the request is sent."""
        server.plays(raw(answer(), then="close"))
        await transport(SCAN)
        await server.gone.wait()
        await anyio.wait_all_tasks_blocked()
        assert (await transport(SCAN)).body == OK
        assert server.connections == 2

    async def test_last_answer_of_a_connection(self, server: RawServer, transport: SignedTransport) -> None:
        """The connection is not reused after `Connection: close`."""
        server.plays(reply(Connection="close"))
        await transport(SCAN)
        assert (await transport(SCAN)).body == OK
        assert server.connections == 2

    async def test_second_answer_to_one_request(self, server: RawServer, transport: SignedTransport) -> None:
        """It is never attributed to the next request."""
        server.plays(raw(answer() + answer(b"stray")))
        assert (await transport(SCAN)).body == OK
        assert (await transport(SCAN)).body == OK
        assert server.connections == 2

    async def test_closing_ends_requests_in_progress(self, to: Connect, server: RawServer) -> None:
        """Leaving the block does not wait for answers."""
        server.plays(raw_server.say_nothing)
        errors: list[AwsError] = []

        async def call(transport: SignedTransport) -> None:
            errors.append(await failure(transport))

        async with anyio.create_task_group() as tasks, to(server.url) as transport:
            tasks.start_soon(call, transport)
            await server.silent.wait()
        assert [error.disposition for error in errors] == [Disposition.UNKNOWN]

    async def test_cancelled_call_returns_its_connection(self, to: Connect, server: RawServer) -> None:
        """After a cancelled call the next one gets another connection."""
        server.plays(raw_server.say_nothing)
        async with to(server.url, concurrency=1) as transport:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(transport, SCAN)
                await server.silent.wait()
                tasks.cancel_scope.cancel()
            assert (await transport(SCAN)).body == OK
        assert server.connections == 2


class TestChaos:
    """Many concurrent calls."""

    @pytest.mark.parametrize("seed", range(3))
    async def test_every_call_gets_its_own_answer_or_an_error(
        self, to: Connect, server: RawServer, seed: int
    ) -> None:
        """With any faults, no answer reaches another call, and no request is sent twice."""
        rng = random.Random(seed)

        async def act(talk: raw_server.Talk) -> None:
            kind = rng.choice(["answer"] * 6 + ["close", "reset", "half", "silent", "unread"])
            if kind == "unread":
                await raw_server.reset_before_reading(talk)
                return
            whole = answer((await talk.read()).body)
            await anyio.sleep(rng.choice([0, 0, 0.001]))
            if kind == "answer":
                talk.writer.write(whole)
            elif kind == "half":
                talk.writer.write(whole[: rng.randrange(len(whole))])
                talk.writer.close()
            elif kind == "close":
                talk.writer.close()
            elif kind == "reset":
                talk.reset()
            else:
                await talk.reader.read()

        server.plays(*[act] * 400)
        outcomes: list[bytes | AwsError] = []
        timeouts = Timeouts(connect_s=1, answer_s=0.2)

        async def call(number: int) -> None:
            body = b"call %d" % number
            try:
                response = await transport(Request("Scan", body))
            except AwsError as error:
                outcomes.append(error)
            else:
                assert response.body == body
                outcomes.append(body)

        async with (
            to(server.url, concurrency=8, timeouts=timeouts) as transport,
            anyio.create_task_group() as tasks,
        ):
            for number in range(200):
                tasks.start_soon(call, number)
        assert len(outcomes) == 200
        answered = [outcome for outcome in outcomes if isinstance(outcome, bytes)]
        assert answered
        lost = [outcome for outcome in outcomes if isinstance(outcome, AwsError)]
        assert {error.disposition for error in lost} <= {Disposition.UNKNOWN, Disposition.RETRY}
        bodies = [sent.body for sent in server.received]
        assert len(set(bodies)) == len(bodies)
