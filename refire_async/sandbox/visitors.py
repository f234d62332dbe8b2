"""Who may talk to a sandbox that listens on this machine only: programs of this machine, not web pages.

A web page in a browser on this machine can give its own host name the address 127.0.0.1 (DNS rebinding) and then read
and write here as if it were at home. Its requests still carry that name in their Host header.
"""

from __future__ import annotations

import ipaddress

_MOST_KNOWN = 64


class Visitors:
    """Decides by the Host header; remembers those that it has let in, as there is one per request."""

    def __init__(self, listening_on: str) -> None:
        self._listening_on = listening_on
        self._known: set[str] = set()

    def may_enter(self, host: str | None) -> bool:
        """Whether a request with this Host header is meant for this machine. None: it has none (no browser)."""
        if host is None or host in self._known:
            return True
        if not self._is_local(host):
            return False
        if len(self._known) < _MOST_KNOWN:
            self._known.add(host)
        return True

    def _is_local(self, host: str) -> bool:
        name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
        name = name.lower().removesuffix(".")
        if name in ("localhost", self._listening_on.lower()) or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True  # an IP address cannot be pointed elsewhere by DNS
