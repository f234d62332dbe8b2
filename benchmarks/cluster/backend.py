"""The null backend with a real table beside it: requests for the checkpoint table go to a sandbox, all others end here.

`python -m benchmarks.cluster.backend http://127.0.0.1:PORT`: the sandbox to forward to.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from urllib.parse import urlsplit

from benchmarks.framework.null_backend import Connection, NullBackend, serve

STORE = b"refire-"
"""What names of checkpoint tables begin with here."""

_LENGTH = b"content-length:"


class Store:
    """Connections to the sandbox that has the checkpoint table."""

    def __init__(self, url: str) -> None:
        self._host, self._port = urlsplit(url).hostname, urlsplit(url).port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, request: bytes) -> bytes:
        """The bytes of the sandbox's answer to the bytes of a request."""
        if self._free:
            reader, writer = self._free.pop()
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = [line for line in head.lower().split(b"\r\n") if line.startswith(_LENGTH)]
        body = await reader.readexactly(int(lines[0][len(_LENGTH) :]) if lines else 0)
        self._free.append((reader, writer))
        return head + body


class Router(Connection):
    """A client's connection, on which one request is answered after the other."""

    def __init__(self, backend: NullBackend, store: Store) -> None:
        super().__init__(backend)
        self._store = store
        self._asked: set[asyncio.Task[None]] = set()

    def take(self, data: bytes, end: int, after: int) -> None:
        """See `Connection.take`."""
        if data.find(b'"TableName":"' + STORE, end, after) < 0 and data.find(b'{"' + STORE, end, after) < 0:
            super().take(data, end, after)
            return
        task = asyncio.ensure_future(self._forward(data[:after]))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _forward(self, request: bytes) -> None:
        self.send(await self._store.ask(request))


if __name__ == "__main__":
    serve(partial(Router, NullBackend(), Store(sys.argv[1])))
