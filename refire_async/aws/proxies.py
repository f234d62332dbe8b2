"""Choose the proxy of a request by botocore's rules, for every client of this program."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from botocore.utils import get_environ_proxies

from refire_async.errors import UsageError


def proxy_for(url: str) -> str | None:
    """The URL of the proxy that the environment names for `url`; None for a direct connection.

    HTTPS_PROXY or HTTP_PROXY by the scheme of `url`, lower case before upper, unless NO_PROXY names its host;
    ALL_PROXY is ignored (botocore: get_environ_proxies, ProxyConfiguration). Raises UsageError for an
    invalid proxy.
    """
    return choose_proxy(get_environ_proxies(url), url)


def choose_proxy(proxies: Mapping[str, str], url: str) -> str | None:
    """The entry of `proxies` (by scheme) for `url`; without a scheme of its own it is an http proxy."""
    scheme = urlsplit(url).scheme
    named = (proxies.get(scheme) or "").strip()
    if not named:
        return None
    proxy = named if "://" in named else f"http://{named.removeprefix('//')}"
    try:
        parts = urlsplit(proxy)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _invalid(scheme, named, str(error)) from None
    if parts.scheme.lower() not in ("http", "https"):
        raise _invalid(scheme, named, f"{parts.scheme} proxies are not supported")
    if not host or not host.isascii() or any(char.isspace() or not char.isprintable() for char in host):
        raise _invalid(scheme, named, "it has no valid host name")
    if port == 0:
        raise _invalid(scheme, named, "port 0")
    return proxy


def host_and_port(proxy: str) -> str:
    """HOST:PORT of a proxy URL, without user name and password."""
    parts = urlsplit(proxy)
    host = parts.hostname or ""
    return f"[{host}]:{_port(proxy)}" if ":" in host else f"{host}:{_port(proxy)}"


def is_proxy(proxy: str | None, host: str | None, port: int | None) -> bool:
    """Whether this is the address of the proxy."""
    return proxy is not None and (urlsplit(proxy).hostname, _port(proxy)) == (host, port)


def _port(proxy: str) -> int:
    parts = urlsplit(proxy)
    return parts.port or (443 if parts.scheme.lower() == "https" else 80)


def _invalid(scheme: str, named: str, why: str) -> UsageError:
    text = "" if "@" in named else f" {named!r}"  # both may contain a password
    return UsageError(
        f"proxy{text} cannot be used: {why if text else 'it is no valid URL'}",
        f"write {scheme.upper()}_PROXY as http://HOST:PORT, or add the endpoint's host to NO_PROXY",
    )
