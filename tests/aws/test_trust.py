"""Trust: certificates, proxies, credentials, clocks."""

import pytest

from refire_async.aws.config import require_verified_tls
from refire_async.aws.data_plane import DataPlane
from refire_async.aws.endpoint import tls_context
from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.signing import Credentials
from refire_async.errors import RefusedError
from tests.aws.exchanges import SCAN, Connect, Keys, failure, proxied
from tests.aws.raw_server import OK, TLS, RawServer, reply, serving

pytestmark = pytest.mark.usefixtures("nothing_blocks")


class TestTls:
    """Certificates are always verified."""

    async def test_trusted(self, to: Connect) -> None:
        """A certificate of a CA in AWS_CA_BUNDLE for the right host is accepted."""
        async with (
            RawServer(tls=serving("loopback")) as server,
            to(server.url, tls=tls_context(str(TLS / "ca.pem"))) as transport,
        ):
            assert (await transport(SCAN)).body == OK

    async def test_unknown_authority(self, to: Connect) -> None:
        """No request is sent to a server whose CA is not trusted."""
        async with (
            RawServer(tls=serving("loopback")) as server,
            to(server.url, tls=tls_context(None)) as transport,
        ):
            error = await failure(transport)
        assert error.disposition is Disposition.FATAL
        assert "AWS_CA_BUNDLE" in error.action
        assert not server.received

    async def test_verified_by_default(self, to: Connect) -> None:
        """The default context verifies too."""
        async with RawServer(tls=serving("loopback")) as server, to(server.url) as transport:
            assert (await failure(transport)).code == "UntrustedCertificate"

    async def test_other_host(self, to: Connect) -> None:
        """No request is sent to a server with a certificate for another name."""
        async with (
            RawServer(tls=serving("elsewhere")) as server,
            to(server.url, tls=tls_context(str(TLS / "ca.pem"))) as transport,
        ):
            error = await failure(transport)
        assert error.disposition is Disposition.FATAL
        assert "127.0.0.1" in error.message
        assert not server.received


@pytest.mark.parametrize("to", [proxied], indirect=True)
class TestProxy:
    """The environment's proxies are used, as by other AWS tools."""

    async def test_is_used(self, to: Connect, server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy gets the whole URL; the signed Host header stays."""
        monkeypatch.setenv("HTTP_PROXY", server.url)
        async with to("http://dynamodb.invalid:8000") as transport:
            assert (await transport(SCAN)).body == OK
        (sent,) = server.received
        assert sent.line == "POST http://dynamodb.invalid:8000/ HTTP/1.1"
        assert sent.headers["host"] == "dynamodb.invalid:8000"

    async def test_is_left_out_for_hosts_in_no_proxy(
        self, to: Connect, server: RawServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A local emulator is not behind the company's proxy."""
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with to(server.url) as transport:
            assert (await transport(SCAN)).body == OK

    async def test_refuses_to_connect(
        self, to: Connect, server: RawServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy without a tunnel has forwarded nothing."""
        server.plays(reply(b"", 407))
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        async with to("https://dynamodb.invalid") as transport:
            error = await failure(transport)
        assert (error.code, error.disposition) == ("ProxyError", Disposition.RETRY)
        assert "407" in error.message


EXPIRED = reply(b'{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"expired"}', 400)


class TestCredentials:
    """They may be replaced at any time."""

    async def test_expired_token_is_replaced(self, to: Connect, server: RawServer) -> None:
        """The error is RETRY, and the next request is signed with the new credentials."""
        source = Keys(Credentials("OLD", "s", "t1"), Credentials("NEW", "s", "t2"))
        server.plays(EXPIRED)
        async with to(server.url, credentials=source, clock=lambda: 1_700_000_000.0) as transport:
            with pytest.raises(AwsError) as caught:
                await DataPlane(transport).call("Scan", b"{}")
            assert caught.value.disposition is Disposition.RETRY
            assert await DataPlane(transport).call("Scan", b"{}") == OK
        assert [sent.headers["x-amz-security-token"] for sent in server.received] == ["t1", "t2"]

    async def test_expired_token_without_replacement_is_fatal(self, to: Connect, server: RawServer) -> None:
        """Only the user can renew credentials from the environment."""
        server.plays(EXPIRED)
        async with to(server.url) as transport:
            error = await failure(transport)
        assert error.disposition is Disposition.FATAL
        assert "aws sso login" in error.action


SKEWED = (
    b'{"__type":"com.amazon.coral.service#InvalidSignatureException",'
    b'"message":"Signature expired: 1 is now earlier than 2"}'
)


class TestClock:
    """A machine with a wrong clock still works."""

    async def test_is_corrected_by_the_service(self, to: Connect, server: RawServer) -> None:
        """The error is RETRY, and the next request is signed with the service's time."""
        server.plays(reply(SKEWED, 400, Date="Tue, 14 Nov 2023 23:13:20 GMT"))
        async with to(server.url, clock=lambda: 1_700_000_000.0) as transport:
            with pytest.raises(AwsError) as caught:
                await DataPlane(transport).call("Scan", b"{}")
            assert caught.value.disposition is Disposition.RETRY
            assert await DataPlane(transport).call("Scan", b"{}") == OK
        dates = [sent.headers["x-amz-date"] for sent in server.received]
        assert dates == ["20231114T221320Z", "20231114T231320Z"]

    @pytest.mark.parametrize("date", ["Tue, 14 Nov 2023 22:13:21 GMT", "soon", ""])
    async def test_no_endless_retries(self, to: Connect, server: RawServer, date: str) -> None:
        """A service that rejects its own time, or does not send it, is a fatal error."""
        server.plays(reply(SKEWED, 400, Date=date))
        async with to(server.url, clock=lambda: 1_700_000_000.0) as transport:
            error = await failure(transport)
        assert error.disposition is Disposition.FATAL
        assert "clock" in error.action


def test_a_library_without_the_hook_is_refused() -> None:
    """A version that would not use our HTTP session, and so would not verify certificates."""

    class Without:
        """A class of client configurations from before HTTP sessions were configurable."""

        def __init__(self, connector_args: object = None) -> None:
            pass

    require_verified_tls()
    with pytest.raises(RefusedError, match="certificates would not be verified"):
        require_verified_tls(Without)
