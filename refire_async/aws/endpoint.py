"""Endpoints: URL, Host header, encryption, TLS verification."""

import ssl
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from botocore.httpsession import get_cert_path
from botocore.loaders import Loader

from refire_async.errors import UsageError

_DEFAULT_PORT = {"http": 80, "https": 443}

_CUSTOMERS = frozenset(("compute", "compute-1", "elb"))
"""Labels in the names of virtual machines and load balancers, such as ec2-192-0-2-1.compute-1.amazonaws.com."""


@cache
def _aws_suffixes() -> tuple[str, ...]:
    """The suffixes of AWS host names in every partition, with and without dual stack."""
    partitions = Loader().load_data("partitions")["partitions"]
    return tuple(
        f".{partition['outputs'][suffix]}"
        for partition in partitions
        for suffix in ("dnsSuffix", "dualStackDnsSuffix")
    )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A DynamoDB endpoint. `url` ends with a slash, `host` is the Host header that both sides sign."""

    url: str
    host: str

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        return self.url.startswith("https:")

    @property
    def is_aws(self) -> bool:
        """Whether the host belongs to AWS, in any partition."""
        return _is_aws(urlsplit(self.url).hostname)


def parse_endpoint(text: str) -> Endpoint:
    """Parse an endpoint URL: a scheme, a host and optionally a port.

    Raises:
        UsageError: `text` is something else, or plain HTTP to AWS.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _malformed(text, str(error)) from None
    host = parts.hostname
    if parts.scheme not in _DEFAULT_PORT:
        raise _malformed(text, "it does not start with http:// or https://")
    if not host or not host.isascii() or any(char.isspace() for char in host):
        raise _malformed(text, "it has no valid host name")
    if parts.username is not None or parts.password is not None:
        # The message does not contain the text, which holds a password.
        raise UsageError(
            "endpoint URL contains a user name", "give --endpoint-url as https://HOST or https://HOST:PORT"
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _malformed(text, "an endpoint has no path, query or fragment")
    host = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORT[parts.scheme]:
        host = f"{host}:{port}"
    endpoint = Endpoint(f"{parts.scheme}://{host}/", host)
    forbid_plain(endpoint.url)
    return endpoint


def forbid_plain(url: str) -> None:
    """Raise UsageError for a request to AWS without encryption, which would expose credentials and data."""
    parts = urlsplit(url)
    if parts.scheme != "https" and _is_aws(parts.hostname):
        raise UsageError(
            f"http:// to {parts.hostname} would send credentials and data without encryption",
            "write https:// in --endpoint-url, AWS_ENDPOINT_URL or the profile's endpoint_url",
        )


def _is_aws(host: str | None) -> bool:
    """Whether `host` is a service endpoint of AWS, in any partition. Hosts of customers at AWS are not."""
    name = (host or "").rstrip(".").lower()
    return name.endswith(_aws_suffixes()) and _CUSTOMERS.isdisjoint(name.split("."))


def _malformed(text: str, why: str) -> UsageError:
    shown = "" if "@" in text else f" {text!r}"  # it may contain a password
    return UsageError(
        f"endpoint URL{shown} cannot be used: {why}",
        "give --endpoint-url as https://HOST or https://HOST:PORT",
    )


def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """A context that verifies certificates and host names against `ca_bundle`, else against botocore's certificates.

    Like botocore it accepts certificates that Python 3.13 calls malformed, because many company authorities issue them.

    Raises:
        UsageError: the file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=get_cert_path(ca_bundle or True))
    except OSError as error:
        raise UsageError(
            f"CA bundle {ca_bundle} cannot be read: {error.strerror or error}",
            "correct AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE, or ca_bundle in the AWS configuration",
        ) from None
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
