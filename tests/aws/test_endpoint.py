"""Valid endpoint URLs, and one clear line for the others."""

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws.endpoint import Endpoint, parse_endpoint, tls_context
from refire_async.errors import ExitCode, UsageError


@pytest.mark.parametrize(
    ("text", "url", "host"),
    [
        ("https://dynamodb.eu-west-1.amazonaws.com", "https://dynamodb.eu-west-1.amazonaws.com/", None),
        ("https://DynamoDB.eu-west-1.amazonaws.com:443/", "https://dynamodb.eu-west-1.amazonaws.com/", None),
        ("http://localhost:8000", "http://localhost:8000/", "localhost:8000"),
        ("http://127.0.0.1:80", "http://127.0.0.1/", "127.0.0.1"),
        ("http://127.0.0.1:443", "http://127.0.0.1:443/", "127.0.0.1:443"),
        ("http://[::1]:8000", "http://[::1]:8000/", "[::1]:8000"),
    ],
)
def test_valid_urls(text: str, url: str, host: str | None) -> None:
    """The Host header contains a port other than the default, as botocore signs it."""
    assert parse_endpoint(text) == Endpoint(url, host or "dynamodb.eu-west-1.amazonaws.com")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "localhost:8000",
        "ftp://localhost",
        "http://",
        "http://:8000",
        "http://localhost:port",
        "http://localhost:99999",
        "http://[::1",
        "http://a b",
        "http://localhost/path",
        "http://localhost?query",
        "http://localhost#fragment",
        "http://\u2028",
        "http://café.example",
    ],
)
def test_malformed(text: str) -> None:
    """One line with the cause and the right format."""
    with pytest.raises(UsageError) as caught:
        parse_endpoint(text)
    assert caught.value.exit_code is ExitCode.USAGE
    assert len(str(caught.value).splitlines()) == 1
    assert "https://HOST" in caught.value.action


@pytest.mark.parametrize(
    "url",
    [
        "https://user:PLANTED@host",
        "ftp://user:PLANTED@host",
        "http://user:PLANTED@host:99999",
        "http://user:PLANTED@",
        "http://user:PLANTED@host/path",
        "user:PLANTED@host",
    ],
)
def test_password_is_not_shown(url: str) -> None:
    """A URL with a password is an error, and the message does not contain it."""
    with pytest.raises(UsageError) as caught:
        parse_endpoint(url)
    assert "PLANTED" not in str(caught.value)


@given(st.text() | st.text().map("http://{}".format))
def test_any_text_is_an_endpoint_or_a_usage_error(text: str) -> None:
    """For any input."""
    said = ""
    try:
        endpoint = parse_endpoint(text)
    except UsageError as error:
        said = str(error)
    if said:
        assert len(said.splitlines()) == 1
    else:
        assert parse_endpoint(endpoint.url) == endpoint


@pytest.mark.parametrize(
    ("host", "is_aws"),
    [
        ("dynamodb.us-gov-west-1.amazonaws.com", True),
        ("dynamodb.cn-north-1.amazonaws.com.cn", True),
        ("dynamodb.eu-west-1.api.aws", True),
        ("dynamodb.us-iso-east-1.c2s.ic.gov", True),
        ("dynamodb.eusc-de-east-1.amazonaws.eu", True),
        ("dynamodb.eu-west-1.amazonaws.com.", True),
        ("dynamodb.eu-west-1.amazonaws.com:8443", True),
        ("vpce-1-a.dynamodb.us-east-1.vpce.amazonaws.com", True),
        ("ec2-192-0-2-1.compute-1.amazonaws.com", False),
        ("ec2-192-0-2-1.eu-west-1.compute.amazonaws.com:8000", False),
        ("db-1.elb.eu-west-1.amazonaws.com", False),
        ("127.0.0.1:8000", False),
        ("amazonaws.com.example", False),
        ("notamazonaws.com", False),
    ],
)
def test_hosts_of_aws(host: str, *, is_aws: bool) -> None:
    """Endpoints of AWS, in every partition."""
    assert Endpoint(f"https://{host}/", host).is_aws is is_aws


def test_tls_verifies() -> None:
    """Certificates and host names, with any bundle."""
    for bundle in (None, str(Path(__file__).parent / "tls" / "ca.pem")):
        context = tls_context(bundle)
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


def test_bundle_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, and one without certificates."""
    (tmp_path / "empty.pem").touch()
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(UsageError, match="AWS_CA_BUNDLE") as caught:
            tls_context(str(tmp_path / name))
        assert name in caught.value.message


@pytest.mark.parametrize(
    "host",
    [
        "dynamodb.eu-west-1.amazonaws.com",
        "DynamoDB.EU-WEST-1.amazonaws.com",
        "dynamodb.eu-west-1.amazonaws.com.",
        "dynamodb.eu-west-1.amazonaws.com:80",
        "dynamodb.eu-west-1.amazonaws.com:8000",
        "dynamodb.eu-west-1.api.aws",
        "streams.dynamodb.cn-north-1.amazonaws.com.cn",
        "123456789012.ddb.eu-west-1.amazonaws.com",
    ],
)
def test_requests_to_aws_require_encryption(host: str) -> None:
    """With any spelling of the host name."""
    with pytest.raises(UsageError, match="without encryption") as caught:
        parse_endpoint(f"http://{host}")
    assert "https://" in caught.value.action
    assert parse_endpoint(f"https://{host}").is_aws


def test_hosts_of_customers_at_aws_are_not_aws() -> None:
    """An emulator on a virtual machine of AWS may use plain HTTP."""
    assert not parse_endpoint("http://ec2-192-0-2-1.compute-1.amazonaws.com:8000").is_aws
