"""A web hook on this machine, for notifications."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import orjson
import pytest


@dataclass
class Hook:
    """A web hook on this machine that records requests; `status` is its response, None for no response."""

    status: int | None = 204
    got: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A running hook."""
    here, gate = Hook(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            here.got.append((self.path, self.headers["Content-Type"], orjson.loads(body)))
            if here.status is None:
                gate.wait()
                return
            self.send_response(here.status)
            self.send_header("Location", f"{here.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002
            """Log nothing to standard error."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    here.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield here
    finally:
        gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
