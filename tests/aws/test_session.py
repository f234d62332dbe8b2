"""Opening a session: its configuration, and one clear line for each error."""

import socket
from pathlib import Path

import pytest

from refire_async.aws.errors import AwsError
from refire_async.aws.http_backend import Timeouts
from refire_async.aws.session import open_session
from refire_async.errors import ExitCode, RefireError, RefusedError, UsageError
from refire_async.settings import Connection
from tests.aws.raw_server import TLS, RawServer, raw, reply, say_nothing, serving, tunnel_to

NO_TTL = b'{"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}}'
HERE = Connection(region="eu-west-1", endpoint_url="http://127.0.0.1:9")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with credentials, and a way to add to it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED")
    return monkeypatch


async def refusal(connection: Connection) -> RefireError:
    """The error of opening this session: one line, with an action."""
    with pytest.raises(RefireError) as caught:
        async with open_session(connection, 1):
            pass
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.action
    assert "PLANTED" not in str(caught.value)
    return caught.value


def configure(aws: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Use this text as ~/.aws/config."""
    path = folder / "config"
    path.write_text(text)
    aws.setenv("AWS_CONFIG_FILE", str(path))


class TestRefusals:
    """No request is sent, and the message says what to do."""

    async def test_no_credentials(self) -> None:
        """An empty environment."""
        error = await refusal(HERE)
        assert isinstance(error, RefusedError)
        assert error.exit_code is ExitCode.REFUSED
        assert "--profile" in error.action

    async def test_incomplete_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A key without its secret."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        error = await refusal(HERE)
        assert isinstance(error, RefusedError)
        assert "AWS_SECRET_ACCESS_KEY" in error.message

    async def test_unknown_profile(self, aws: pytest.MonkeyPatch) -> None:
        """By option and by variable."""
        error = await refusal(Connection(region="eu-west-1", profile="missing"))
        assert isinstance(error, RefusedError)
        assert "missing" in error.message
        aws.setenv("AWS_PROFILE", "no-one")
        assert "no-one" in (await refusal(HERE)).message

    @pytest.mark.usefixtures("aws")
    async def test_no_region(self) -> None:
        """Signatures need one, even for an emulator."""
        error = await refusal(Connection(endpoint_url="http://127.0.0.1:9"))
        assert isinstance(error, RefusedError)
        assert "--region" in error.action

    @pytest.mark.usefixtures("aws")
    async def test_malformed_region(self) -> None:
        """It becomes part of a host name and must not change the rest of it."""
        for region in ("eu west", "evil.example/", "a@b"):
            error = await refusal(Connection(region=region))
            assert isinstance(error, UsageError)
            assert "--region" in error.action

    @pytest.mark.parametrize("url", ["localhost:8000", "http://", "http://u:PLANTED@h", "http://h/path"])
    async def test_malformed_endpoint(self, aws: pytest.MonkeyPatch, url: str) -> None:
        """By option and by variable."""
        assert isinstance(await refusal(Connection(region="eu-west-1", endpoint_url=url)), UsageError)
        aws.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        assert isinstance(await refusal(Connection(region="eu-west-1")), UsageError)

    async def test_broken_configuration(self, aws: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """An invalid file."""
        configure(aws, tmp_path, "[default\nregion")
        error = await refusal(HERE)
        assert isinstance(error, UsageError)
        assert str(tmp_path) in error.message

    @pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
    async def test_missing_bundle(self, aws: pytest.MonkeyPatch, name: str) -> None:
        """The variable names a missing file."""
        aws.setenv(name, "/no/such/file.pem")
        error = await refusal(Connection(region="eu-west-1"))
        assert isinstance(error, UsageError)
        assert "/no/such/file.pem" in error.message


class TestFound:
    """Region, endpoint and credentials, as the AWS CLI finds them."""

    async def test_by_option(self, aws: pytest.MonkeyPatch) -> None:
        """Options override variables."""
        aws.setenv("AWS_REGION", "us-east-1")
        aws.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:8")
        async with open_session(HERE, 1) as session:
            assert (session.region, session.endpoint) == ("eu-west-1", "http://127.0.0.1:9")

    @pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
    async def test_region_by_variable(self, aws: pytest.MonkeyPatch, name: str) -> None:
        """Both variables."""
        aws.setenv(name, "eu-central-1")
        async with open_session(Connection(), 1) as session:
            assert session.region == "eu-central-1"
            assert session.endpoint == "https://dynamodb.eu-central-1.amazonaws.com"

    async def test_by_profile(self, aws: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Region and endpoint of a profile."""
        configure(
            aws,
            tmp_path,
            "[profile there]\nregion = eu-north-1\nendpoint_url = http://127.0.0.1:7\n"
            "aws_access_key_id = A\naws_secret_access_key = S\n",
        )
        async with open_session(Connection(profile="there"), 1) as session:
            assert (session.region, session.endpoint) == ("eu-north-1", "http://127.0.0.1:7")

    async def test_fips(self, aws: pytest.MonkeyPatch) -> None:
        """Endpoint settings of the environment apply."""
        aws.setenv("AWS_USE_FIPS_ENDPOINT", "true")
        async with open_session(Connection(region="us-east-1"), 1) as session:
            assert session.endpoint == "https://dynamodb-fips.us-east-1.amazonaws.com"

    @pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"])
    async def test_one_server_for_everything(
        self, aws: pytest.MonkeyPatch, server: RawServer, name: str
    ) -> None:
        """An emulator has tables and streams on one port; with any setting of it, all three planes use it."""
        aws.setenv(name, server.url)
        server.plays(
            reply(b"{}"),
            reply(NO_TTL),
            reply(b'{"StreamDescription":{"Shards":[]}}'),
        )
        async with open_session(Connection(region="eu-west-1"), 1) as session:
            assert await session.data.call("Scan", b"{}") == b"{}"
            assert await session.control.ttl_attribute("t") is None
            assert await session.streams.shards("arn:aws:dynamodb:eu-west-1:1:table/t/stream/2026") == []
        assert [sent.headers["x-amz-target"] for sent in server.received] == [
            "DynamoDB_20120810.Scan",
            "DynamoDB_20120810.DescribeTimeToLive",
            "DynamoDBStreams_20120810.DescribeStream",
        ]
        assert all("AKIDEXAMPLE" in sent.headers["authorization"] for sent in server.received)

    async def test_credentials_file_that_changes(
        self, server: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """After a new login the waiting run continues."""
        path = tmp_path / "credentials"
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
        path.write_text("[default]\naws_access_key_id=OLD\naws_secret_access_key=s\naws_session_token=t1\n")
        server.plays(reply(b'{"__type":"x#ExpiredTokenException"}', 400))
        async with open_session(Connection(region="eu-west-1", endpoint_url=server.url), 1) as session:
            path.write_text(
                "[default]\naws_access_key_id=NEW\naws_secret_access_key=s\naws_session_token=t2\n"
            )
            with pytest.raises(AwsError):
                await session.data.call("Scan", b"{}")
            await session.data.call("Scan", b"{}")
        assert [sent.headers["x-amz-security-token"] for sent in server.received] == ["t1", "t2"]


@pytest.mark.usefixtures("aws")
class TestControlPlane:
    """Errors of botocore, translated. Exit code 10: nothing was written."""

    async def complaint(self, url: str) -> AwsError:
        async with open_session(Connection(region="eu-west-1", endpoint_url=url), 1) as session:
            with pytest.raises(AwsError) as caught:
                await session.control.describe_table("orders")
        assert caught.value.exit_code is ExitCode.REFUSED
        assert len(str(caught.value).splitlines()) == 1
        assert caught.value.action
        return caught.value

    async def test_closed_port(self) -> None:
        """The message names the endpoint and the options to check."""
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            error = await self.complaint(f"http://127.0.0.1:{closed.getsockname()[1]}")
        assert "cannot connect to 127.0.0.1" in error.message

    async def test_closes_without_answer(self, server: RawServer) -> None:
        """At every try."""
        server.plays(*[raw(b"", then="close")] * 9)
        assert "lost before an answer" in (await self.complaint(server.url)).message

    @pytest.mark.parametrize(
        ("status", "body"), [(404, b"<html>"), (403, b"Forbidden"), (200, b"<html>"), (200, b"{}")]
    )
    async def test_another_server_answers(self, server: RawServer, status: int, body: bytes) -> None:
        """Another web server, or a proxy's login page."""
        server.plays(*[reply(body, status, x_amz_crc32="")] * 9)
        error = await self.complaint(server.url)
        assert "DynamoDB" in error.message
        assert "--endpoint-url" in error.action

    @pytest.mark.parametrize(
        ("kind", "said", "action"),
        [
            (
                "ExpiredTokenException",
                "The security token included in the request is expired",
                "log in again",
            ),
            ("InvalidSignatureException", "Signature expired: 1 is now earlier than 2", "clock"),
            ("RequestTimeTooSkewed", "too large a difference", "clock"),
        ],
    )
    async def test_expired_token_and_wrong_clock(
        self, server: RawServer, kind: str, said: str, action: str
    ) -> None:
        """Both are distinguished from invalid credentials."""
        answer = f'{{"__type":"com.amazon.coral.service#{kind}","message":"{said}"}}'.encode()
        server.plays(*[reply(answer, 400)] * 9)
        assert action in (await self.complaint(server.url)).action

    async def test_certificate_for_another_host(self, aws: pytest.MonkeyPatch) -> None:
        """aiobotocore alone does not compare host names; no request must be sent."""
        aws.setenv("AWS_CA_BUNDLE", str(TLS / "ca.pem"))
        async with RawServer(tls=serving("elsewhere")) as server:
            assert (await self.complaint(server.url)).code == "UntrustedCertificate"
        assert not server.received

    async def test_certificate_behind_a_proxy(self, aws: pytest.MonkeyPatch, server: RawServer) -> None:
        """Behind a proxy aiobotocore alone verifies nothing; here both planes verify the certificate."""
        aws.setenv("HTTPS_PROXY", server.url)
        connection = Connection(region="eu-west-1", endpoint_url="https://127.0.0.2")
        async with RawServer(tls=serving("loopback")) as target:
            server.plays(*[tunnel_to(target)] * 9)
            async with open_session(connection, 1) as session:
                for call in (session.control.describe_table("orders"), session.data.call("Scan", b"{}")):
                    with pytest.raises(AwsError) as caught:
                        await call
                    assert caught.value.code == "UntrustedCertificate"
        assert server.received[0].line == "CONNECT 127.0.0.2:443 HTTP/1.1"
        assert not target.received

    async def test_through_a_proxy(self, aws: pytest.MonkeyPatch, server: RawServer) -> None:
        """With a trusted certificate both planes work through the tunnel, which cannot read headers."""
        aws.setenv("HTTPS_PROXY", server.url)
        aws.setenv("AWS_CA_BUNDLE", str(TLS / "ca.pem"))
        connection = Connection(region="eu-west-1", endpoint_url="https://localhost")
        async with RawServer(tls=serving("loopback")) as target:
            server.plays(tunnel_to(target), tunnel_to(target))
            target.plays(reply(NO_TTL), reply(b"{}"))
            async with open_session(connection, 1) as session:
                assert await session.control.ttl_attribute("t") is None
                assert await session.data.call("Scan", b"{}") == b"{}"
        assert all("authorization" not in seen.headers for seen in server.received)
        assert all("authorization" in seen.headers for seen in target.received)

    @pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
    async def test_certificate_of_a_trusted_authority(self, aws: pytest.MonkeyPatch, name: str) -> None:
        """Both planes reach a server with a certificate from the bundle."""
        aws.setenv(name, str(TLS / "ca.pem"))
        async with RawServer(tls=serving("loopback")) as server:
            server.plays(reply(b"{}"), reply(NO_TTL))
            async with open_session(Connection(region="eu-west-1", endpoint_url=server.url), 1) as session:
                assert await session.data.call("Scan", b"{}") == b"{}"
                assert await session.control.ttl_attribute("t") is None

    async def test_timeouts_reach_the_data_plane(self, server: RawServer) -> None:
        """The caller sets the timeout of an answer."""
        server.plays(say_nothing)
        connection = Connection(region="eu-west-1", endpoint_url=server.url)
        async with open_session(connection, 1, Timeouts(connect_s=5, answer_s=0.1)) as session:
            with pytest.raises(AwsError) as caught:
                await session.data.call("Scan", b"{}")
        assert caught.value.code == "Timeout"
