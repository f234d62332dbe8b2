"""Which proxy a request goes through, as botocore decides it, for every client of this program alike."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from botocore.utils import get_environ_proxies

from refire_async.errors import UsageError


def proxy_for(url: str) -> str | None:
    """The URL of the proxy that the environment names for `url`, None for the straight way.

    HTTPS_PROXY or HTTP_PROXY by the scheme of `url`, lower case before upper, unless NO_PROXY names its host;
    ALL_PROXY is ignored (botocore: get_environ_proxies, ProxyConfiguration). Raises UsageError for nonsense.
    """
    return choose_proxy(get_environ_proxies(url), url)


def choose_proxy(proxies: Mapping[str, str], url: str) -> str | None:
    """The one of `proxies` (by scheme) that is for `url`; without a scheme of its own it is an http proxy."""
    scheme = urlsplit(url).scheme
    named = (proxies.get(scheme) or "").strip()
    if not named:
        return None
    proxy = named if "://" in named else f"http://{named.removeprefix('//')}"
    try:
        parts = urlsplit(proxy)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _nonsense(scheme, named, str(error)) from None
    if parts.scheme.lower() not in ("http", "https"):
        raise _nonsense(scheme, named, f"{parts.scheme} proxies are not supported")
    if not host or not host.isascii() or any(char.isspace() or not char.isprintable() for char in host):
        raise _nonsense(scheme, named, "it has no valid host name")
    if port == 0:
        raise _nonsense(scheme, named, "port 0")
    return proxy


def shown(proxy: str) -> str:
    """HOST:PORT of a proxy: without user name and password."""
    parts = urlsplit(proxy)
    host = parts.hostname or ""
    return f"[{host}]:{_port(proxy)}" if ":" in host else f"{host}:{_port(proxy)}"


def is_proxy(proxy: str | None, host: str | None, port: int | None) -> bool:
    """Whether this is the address of the proxy."""
    return proxy is not None and (urlsplit(proxy).hostname, _port(proxy)) == (host, port)


def _port(proxy: str) -> int:
    parts = urlsplit(proxy)
    return parts.port or (443 if parts.scheme.lower() == "https" else 80)


def _nonsense(scheme: str, named: str, why: str) -> UsageError:
    text = "" if "@" in named else f" {named!r}"  # a password may be in it, and in what is wrong with it
    return UsageError(
        f"proxy{text} cannot be used: {why if text else 'it is no valid URL'}",
        f"write {scheme.upper()}_PROXY as http://HOST:PORT, or add the endpoint's host to NO_PROXY",
    )
