"""Where requests go, and how to get there: URL, Host header, proxy, TLS."""

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
    """What names of Amazon's hosts end with, in every partition, with and without dual stack."""
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
        """Whether the way there is encrypted."""
        return self.url.startswith("https:")

    @property
    def is_aws(self) -> bool:
        """Whether the host is Amazon's own, in any partition."""
        return _is_aws(urlsplit(self.url).hostname)


def parse_endpoint(text: str) -> Endpoint:
    """The endpoint that a URL names: a scheme, a host and perhaps a port, nothing else.

    Raises UsageError with what is wrong.
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
        # The text itself would show a password.
        raise UsageError(
            "endpoint URL holds a user name", "give --endpoint-url as https://HOST or https://HOST:PORT"
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
    """Raise UsageError for a request to AWS without encryption: it would show credentials and data to anyone."""
    parts = urlsplit(url)
    if parts.scheme != "https" and _is_aws(parts.hostname):
        raise UsageError(
            f"http:// to {parts.hostname} would send credentials and data without encryption",
            "write https:// in --endpoint-url, AWS_ENDPOINT_URL or the profile's endpoint_url",
        )


def _is_aws(host: str | None) -> bool:
    """Whether a service of AWS answers at `host`, in any partition; hosts of its customers there are theirs."""
    name = (host or "").rstrip(".").lower()
    return name.endswith(_aws_suffixes()) and _CUSTOMERS.isdisjoint(name.split("."))


def _malformed(text: str, why: str) -> UsageError:
    shown = "" if "@" in text else f" {text!r}"  # somebody's password may be in it
    return UsageError(
        f"endpoint URL{shown} cannot be used: {why}",
        "give --endpoint-url as https://HOST or https://HOST:PORT",
    )


def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Verifies certificates and host names, against the AWS setting `ca_bundle` or else what botocore trusts.

    Like botocore it takes certificates that Python 3.13 calls malformed, as many companies' own authorities make them.

    Raises UsageError if the file cannot be used.
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
