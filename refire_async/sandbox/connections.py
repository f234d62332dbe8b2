"""Limits the connections of a server: a new one replaces the one that was idle for longest."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

# More clients than any test has, and less than the descriptors that a process may open.
MOST_CONNECTIONS = 1000
_OTHER_DESCRIPTORS = 64


class Connection(Protocol):
    """The part of a connection that is needed here."""

    @property
    def is_waited_for(self) -> bool:
        """Whether a client waits for an answer on it."""

    def close(self) -> None:
        """Close it after sending what was written."""


C = TypeVar("C", bound=Connection)


class Connections(Generic[C]):
    """The open connections of one server, the one that was idle for longest first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[C, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: C) -> None:
        """Add a connection. If there are too many, close an idle one, or the new one if clients wait on all others."""
        self._open[connection] = None
        if len(self._open) > self._most:
            quiet = next((one for one in self._open if not one.is_waited_for), connection)
            self.discard(quiet)
            quiet.close()

    def heard(self, connection: C) -> None:
        """Note that data arrived on it."""
        if connection in self._open:
            del self._open[connection]
            self._open[connection] = None

    def discard(self, connection: C) -> None:
        """Remove a closed connection."""
        self._open.pop(connection, None)

    def all(self) -> list[C]:
        """The open connections."""
        return list(self._open)


def most_connections() -> int:
    """Most connections of this process: 1,000, or what the limit of file descriptors allows."""
    try:
        import resource  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return MOST_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, soft - _OTHER_DESCRIPTORS))
