"""The choice of a proxy, compared with botocore's own choice."""

import itertools
import os

import pytest
from botocore.endpoint import EndpointCreator
from botocore.httpsession import ProxyConfiguration

from refire_async.aws.proxies import host_and_port, is_proxy, proxy_for
from refire_async.errors import UsageError

URLS = ("https://dynamodb.eu-west-1.amazonaws.com/", "http://127.0.0.1:8000/", "https://localhost:8443/")
NO_PROXY = (
    None,
    "",
    "*",
    "localhost",
    "amazonaws.com",
    ".amazonaws.com",
    "*.amazonaws.com",
    "LOCALHOST, 127.0.0.1",
    "127.0.0.0/8",
    "127.0.0.1:8000",
    "localhost:8443,x",
    "dynamodb.eu-west-1.amazonaws.com:443",
)
NAMES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
VALUES = ("http://p.example:3128", "p.example:3128", "//p.example", "https://u:p@p.example")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def botocores(url: str) -> str | None:
    """The proxy that a botocore client with this endpoint URL uses."""
    proxies = EndpointCreator(None)._get_proxies(url)
    chosen: str | None = ProxyConfiguration(proxies=proxies).proxy_url_for(url)
    return chosen


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("bypass", NO_PROXY)
def test_as_botocore(url: str, bypass: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """By scheme of the URL, lower case before upper, and never ALL_PROXY."""
    for spelling in ("NO_PROXY", "no_proxy"):
        for name, value in itertools.product(NAMES, VALUES):
            with monkeypatch.context() as patch:
                if bypass is not None:
                    patch.setenv(spelling, bypass)
                patch.setenv(name, value)
                assert proxy_for(url) == botocores(url)
                if name.upper() == "ALL_PROXY":
                    assert proxy_for(url) is None
    with monkeypatch.context() as patch:
        patch.setenv("HTTPS_PROXY", "http://upper")
        patch.setenv("https_proxy", "http://lower")
        assert proxy_for(url) == botocores(url) == ("http://lower" if url.startswith("https") else None)


@pytest.mark.parametrize(
    "value",
    [
        "socks5://127.0.0.1:1080",
        "socks5h://u:secret@127.0.0.1:1080",
        "ftp://p",
        "http://",
        "http://:3128",
        "http://p:99999",
        "http://p:port",
        "http://p:0",
        "http://[::1",
        "http://a host",
        "http://u:secret@a host",
        "http://u:secret@p:port",
        "http://pröxy",
    ],
)
def test_invalid_proxies_are_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, with the variable's name, without a password."""
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(UsageError, match="proxy") as caught:
        proxy_for("https://h/")
    assert "HTTPS_PROXY" in caught.value.action
    assert "secret" not in str(caught.value)
    assert ("@" in value) or (value in caught.value.message)


@pytest.mark.parametrize(
    ("proxy", "text", "host", "port"),
    [
        ("http://u:p@P.example", "p.example:80", "p.example", 80),
        ("https://p.example", "p.example:443", "p.example", 443),
        ("http://[::1]:3128", "[::1]:3128", "::1", 3128),
    ],
)
def test_shown(proxy: str, text: str, host: str, port: int) -> None:
    """Without user and password."""
    assert host_and_port(proxy) == text
    assert is_proxy(proxy, host, port)
    assert not is_proxy(proxy, host, port + 1)
    assert not is_proxy(None, host, port)
