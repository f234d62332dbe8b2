"""Send a request to a running run. Blocking: for a command that does nothing else."""

import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refire_async.pacing.control.address import addresses, is_private
from refire_async.pacing.control.protocol import LONGEST, ProtocolError, decode_answer, encode_request

TIMEOUT_S = 5.0


class UnreachedError(Exception):
    """No run answered. The text is one line with the reason."""


def ask(checkpoint: Path, verb: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of the run that works on `checkpoint`.

    Raises:
        UnreachedError: no run listens, or it does not answer in time.
        ProtocolError: what listens there does not speak the protocol.
        RefusedVerbError: the run refuses.
    """
    for path in addresses(checkpoint):
        if not is_private(path.parent):
            continue  # the socket may belong to another user
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, contextlib.suppress(OSError):
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(path))
            return _ask(connection, encode_request(verb, members))
    raise UnreachedError("no control socket of it is served")


def _ask(connection: socket.socket, request: bytes) -> dict[str, Any]:
    try:
        connection.sendall(request)
        answer = b""
        while not answer.endswith(b"\n"):
            piece = connection.recv(LONGEST)
            if not piece:
                raise UnreachedError("it hung up without an answer")
            answer += piece
            if len(answer) > LONGEST:
                raise ProtocolError("the answer is too long")
    except TimeoutError:
        raise UnreachedError(f"it did not answer within {TIMEOUT_S:g} s") from None
    except ConnectionError:
        raise UnreachedError("it hung up without an answer") from None
    except OSError as error:
        raise UnreachedError(f"it cannot be asked ({error.strerror})") from None
    return decode_answer(answer)
