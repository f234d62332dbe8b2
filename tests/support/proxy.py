"""A proxy in front of a backend: records requests, responds in its place, holds responses, loses them.

It makes moments observable that no output shows, such as "this batch is written, its answer is not there yet".
"""

import contextlib
import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

WRITES = frozenset(
    {"BatchExecuteStatement", "ExecuteStatement", "UpdateItem", "PutItem", "DeleteItem", "BatchWriteItem"}
)
"""Operations that can change an item (PartiQL counts, with any statement)."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the operation, its number among those of this operation (from 1), its body, its signer."""

    operation: str
    number: int
    body: dict[str, Any]
    access_key: str = ""
    proxy_user: str = ""
    """The Proxy-Authorization header."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response for the client; without a status the connection is closed instead."""

    status: int | None
    body: bytes = b""

    @classmethod
    def error(cls, status: int, kind: str, message: str) -> "Reply":
        """An error in DynamoDB's form."""
        error = {"__type": f"com.amazonaws.dynamodb.v20120810#{kind}", "message": message}
        return cls(status, json.dumps(error).encode())

    @classmethod
    def access_denied(cls, operation: str) -> "Reply":
        """The response to a caller without permission."""
        message = (
            f"User: arn:aws:iam::123456789012:user/ann is not authorized to perform: dynamodb:{operation}"
        )
        return cls.error(400, "AccessDeniedException", message)


Rule = Callable[[Call], Reply | None]
"""Inspects a call; `None` leaves it unchanged."""


@dataclass(slots=True)
class Proxy:
    """Set `instead` to respond without the backend, `afterwards` to replace the backend's response, `rewritten` to
    change its body (then the checksum of the body is left out)."""

    target: str
    url: str = ""
    instead: Rule = field(default=lambda _call: None)
    afterwards: Rule = field(default=lambda _call: None)
    rewritten: Callable[[Call, bytes], bytes] = field(default=lambda _call, content: content)
    calls: list[Call] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def operations(self) -> set[str]:
        """The operations of the requests so far."""
        return {call.operation for call in self.calls}

    def note(self, operation: str, body: bytes, access_key: str = "", proxy_user: str = "") -> Call:
        """Count and record a request."""
        with self._lock:
            self._counts[operation] += 1
            call = Call(
                operation, self._counts[operation], json.loads(body) if body else {}, access_key, proxy_user
            )
            self.calls.append(call)
            return call


class Hold:
    """A rule that holds calls. `reached`: one is held. They continue with `release` or at the end of the block.

    `with Hold(lambda call: call.number >= 3) as hold: proxy.afterwards = hold; ...`
    """

    def __init__(self, which: Callable[[Call], bool]) -> None:
        self._which = which
        self._reached = threading.Event()
        self._released = threading.Event()

    def __call__(self, call: Call) -> Reply | None:
        """Hold the call if it is one of those; all others pass."""
        if self._which(call):
            self._reached.set()
            self._released.wait()
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.release()

    def release(self) -> None:
        """Release the held calls, and all later ones."""
        self._released.set()

    @property
    def reached(self) -> bool:
        """Whether a call is held."""
        return self._reached.is_set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120
    proxy: Proxy

    def setup(self) -> None:
        super().setup()
        self._backend = http.client.HTTPConnection(urlsplit(self.proxy.target).netloc, timeout=60)

    def finish(self) -> None:
        self._backend.close()
        with contextlib.suppress(OSError):  # the client may be gone, killed on purpose
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        operation = (self.headers.get("x-amz-target") or "").rpartition(".")[2]
        signed = self.headers.get("authorization") or ""
        access_key = signed.partition("Credential=")[2].partition("/")[0]
        call = self.proxy.note(operation, body, access_key, self.headers.get("proxy-authorization") or "")
        reply = self.proxy.instead(call)
        if reply is None:
            self._backend.request("POST", self.path, body, dict(self.headers.items()))
            answer = self._backend.getresponse()
            headers, content = answer.getheaders(), answer.read()
            reply = self.proxy.afterwards(call)
            if reply is None:
                changed = self.proxy.rewritten(call, content)
                if changed != content:
                    headers = [header for header in headers if header[0].lower() != "x-amz-crc32"]
                self._answer(answer.status, changed, headers)
                return
        if reply.status is None:
            self.close_connection = True
            return
        self._answer(reply.status, reply.body, [("content-type", "application/x-amz-json-1.0")])

    def _answer(self, status: int, content: bytes, headers: list[tuple[str, str]]) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Keep the test's output clean."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for the threads, so that no socket is left open
    request_queue_size = 128


@contextlib.contextmanager
def proxy_before(url: str) -> Iterator[Proxy]:
    """A proxy on a free loopback port, during the block. End its clients first."""
    proxy = Proxy(url)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with _Server(("127.0.0.1", 0), handler) as server:
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="proxy")
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
