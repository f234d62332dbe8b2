"""How many connections a server keeps: the one that has been quiet for longest gives way to a new one."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

# More clients than any test has, and less than the descriptors that a process may open.
MOST_CONNECTIONS = 1000
_OTHER_DESCRIPTORS = 64


class Connection(Protocol):
    """A connection, as far as it matters here."""

    @property
    def is_waited_for(self) -> bool:
        """Whether a client waits for an answer on it."""

    def close(self) -> None:
        """Close it; what was written still goes out."""


C = TypeVar("C", bound=Connection)


class Connections(Generic[C]):
    """The open connections of one server, the one that was quiet for longest first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[C, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: C) -> None:
        """Keep a new connection. Where there are too many, another one is closed, or it is if clients wait on all."""
        self._open[connection] = None
        if len(self._open) > self._most:
            quiet = next((one for one in self._open if not one.is_waited_for), connection)
            self.discard(quiet)
            quiet.close()

    def heard(self, connection: C) -> None:
        """Something has come in on it."""
        if connection in self._open:
            del self._open[connection]
            self._open[connection] = None

    def discard(self, connection: C) -> None:
        """It is closed."""
        self._open.pop(connection, None)

    def all(self) -> list[C]:
        """Those that are open."""
        return list(self._open)


def most_connections() -> int:
    """How many connections this process can keep: 1,000, or what its limit of descriptors leaves."""
    try:
        import resource  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return MOST_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, soft - _OTHER_DESCRIPTORS))
