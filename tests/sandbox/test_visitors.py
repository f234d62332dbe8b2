"""A sandbox is for programs of its machine: not for other machines, and not for web pages in its browser."""

import json
import socket
import urllib.error
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.config import SandboxConfig
from refire_async.sandbox.http import Request
from refire_async.sandbox.server import build_handler
from refire_async.sandbox.visitors import Visitors
from tests.sandbox.server_support import AUTHORIZATION

LIST = {"x-amz-target": "DynamoDB_20120810.ListTables", "authorization": AUTHORIZATION}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8123",
        "localhost:8123",
        "LOCALHOST",
        "localhost.:1",
        "db.localhost:80",
        "[::1]:8123",
        "[::1]",
        "0.0.0.0:1",
        "192.168.1.5:8123",
        "here.lan:8123",
        None,
    ],
)
def test_this_machine_may_enter(host: str | None) -> None:
    """By address, by the names that always mean this machine, and by the name that it listens on."""
    visitors = Visitors("here.lan")
    assert visitors.may_enter(host)
    assert visitors.may_enter(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8123",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "xlocalhost",
        "",
    ],
)
def test_names_of_others_may_not(host: str) -> None:
    """The owner of a domain name can point it at 127.0.0.1."""
    visitors = Visitors("127.0.0.1")
    assert not visitors.may_enter(host)
    assert not visitors.may_enter(host)


@given(st.text(st.characters(codec="ascii"), max_size=30))
def test_no_header_breaks_it_or_gets_around_it(host: str) -> None:
    """What may enter is an address or ends in localhost, however it is written."""
    if Visitors("127.0.0.1").may_enter(host):
        name = host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
        assert name.lower().rstrip(".").endswith("localhost") or set(name) <= set("0123456789abcdefABCDEF.:%")


@pytest.mark.parametrize(
    ("listening_on", "target", "host", "status"),
    [
        ("127.0.0.1", "/", "localhost:1", 200),
        ("127.0.0.1", "/", "evil.example", 403),
        ("::1", "/", "evil.example", 403),
        ("127.0.0.1", "/_sandbox/stats", "evil.example", 403),
        ("0.0.0.0", "/", "sandbox.lan", 200),  # others may reach it: the user said so, and was warned
        ("0.0.0.0", "/_sandbox/stats", "sandbox.lan", 403),
        ("0.0.0.0", "/_sandbox/stats", "127.0.0.1", 200),
    ],
)
def test_every_path_is_guarded(listening_on: str, target: str, host: str, status: int) -> None:
    """Data on a sandbox for this machine only, and the admin paths always."""
    handle = build_handler(SandboxConfig(host=listening_on))
    method = "GET" if "stats" in target else "POST"
    answer = handle(Request(method, target, {**LIST, "host": host}, b"{}"))
    assert answer.status == status
    if status == 403:
        assert b"127.0.0.1 and localhost" in answer.body


def test_other_machines_cannot_reach_the_admin_paths() -> None:
    handle = build_handler(SandboxConfig(host="0.0.0.0"))
    request = Request("PUT", "/_sandbox/faults", {"host": "10.0.0.1"}, b"{}", from_loopback=False)
    assert handle(request).status == 403


def test_it_listens_on_loopback_unless_told_otherwise(sandbox_url: str) -> None:
    """Another address of this machine, here one more of the loopback interface, does not lead to it."""
    assert sandbox_url.startswith("http://127.0.0.1:")
    port = int(sandbox_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=30)


def test_a_web_page_with_a_name_of_its_own_is_shut_out(sandbox_url: str) -> None:
    """Over the wire, as a browser sends it after DNS rebinding."""
    request = urllib.request.Request(
        f"{sandbox_url}/_sandbox/faults", b"{}", {"Host": "evil.example"}, method="PUT"
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    with caught.value as answer:
        assert answer.code == 403
        assert "evil.example" in json.loads(answer.read())["message"]
