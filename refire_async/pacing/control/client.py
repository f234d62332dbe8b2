"""Send a request to a running run. Blocks, for a command that does nothing else."""

import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refire_async.pacing.control.address import addresses, is_private
from refire_async.pacing.control.protocol import MAX_BYTES, ProtocolError, decode_answer, encode_request

TIMEOUT_S = 5.0


class UnreachedError(Exception):
    """No run answered. The text is one line with the reason."""


def ask(checkpoint: Path, verb: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """Send a request to the run of `checkpoint` and return the members of its answer.

    Raises:
        UnreachedError: no run listens, or it does not answer in time.
        ProtocolError: the process that listens does not use this protocol.
        RefusedVerbError: the run rejects the request.
    """
    for path in addresses(checkpoint):
        if not is_private(path.parent):
            continue  # the socket may belong to another user
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, contextlib.suppress(OSError):
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(path))
            return _ask(connection, encode_request(verb, members))
    raise UnreachedError("it has no control socket")


def _ask(connection: socket.socket, request: bytes) -> dict[str, Any]:
    try:
        connection.sendall(request)
        answer = b""
        while not answer.endswith(b"\n"):
            chunk = connection.recv(MAX_BYTES)
            if not chunk:
                raise UnreachedError("it closed the connection without an answer")
            answer += chunk
            if len(answer) > MAX_BYTES:
                raise ProtocolError("the answer is too long")
    except TimeoutError:
        raise UnreachedError(f"it did not answer within {TIMEOUT_S:g} s") from None
    except ConnectionError:
        raise UnreachedError("it closed the connection without an answer") from None
    except OSError as error:
        raise UnreachedError(f"the request failed ({error.strerror})") from None
    return decode_answer(answer)
