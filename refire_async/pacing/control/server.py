"""Serve the control socket of a run. A client cannot stop or slow down the run.

A request has at most 4 KB and 2 s. The server answers at most 8 clients at once and closes further connections.
"""

import os
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream

from refire_async.pacing.control.address import addresses, make_private, remove
from refire_async.pacing.control.protocol import (
    MAX_BYTES,
    ProtocolError,
    RefusedVerbError,
    decode_request,
    encode_answer,
    encode_error,
)

TIMEOUT_S = 2.0
MAX_CLIENTS = 8
_PAUSE_S = 0.5
_TRIES = 3
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (man 7 unix)

Verb: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Handles a request's members without waiting, and returns the members of the answer. Raises RefusedVerbError."""


async def open_listener(checkpoint: Path) -> tuple[SocketListener, Path] | None:
    """Open the control socket for the run of `checkpoint`. Returns it with its path; None if no path is usable.

    The caller holds the lock of the checkpoint, so an existing socket belongs to a process that died.
    """
    for path in addresses(checkpoint):
        remove(path)
        for _ in range(_TRIES):
            if not make_private(path.parent):
                break
            try:
                with anyio.CancelScope(shield=True):  # a cancelled creation would leave the file behind
                    return await anyio.create_unix_listener(path, mode=0o600, backlog=MAX_CLIENTS), path
            except FileNotFoundError:
                continue  # another run has just removed the folder
            except OSError:
                break
    return None


async def serve(listener: SocketListener, path: Path, verbs: Mapping[str, Verb]) -> None:
    """Answer requests until cancelled; then remove the socket."""
    clients = 0

    async def answer(stream: SocketStream) -> None:
        nonlocal clients
        try:
            await _answer(stream, verbs)
        finally:
            clients -= 1

    try:
        async with listener, anyio.create_task_group() as tasks:
            while True:
                try:
                    stream = await listener.accept()
                except (OSError, anyio.BrokenResourceError):
                    # For example no free file descriptor, which anyio reports as broken. The run needs them more.
                    await anyio.sleep(_PAUSE_S)
                    continue
                if clients >= MAX_CLIENTS:
                    with anyio.CancelScope(shield=True):
                        await anyio.aclose_forcefully(stream)
                    continue
                clients += 1
                tasks.start_soon(answer, stream)
    finally:
        remove(path)


async def _answer(stream: SocketStream, verbs: Mapping[str, Verb]) -> None:
    try:
        with anyio.move_on_after(TIMEOUT_S):
            async with stream:
                if _is_ours(stream):
                    await stream.send(await _execute(stream, verbs))
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
        return  # the client is gone


def _is_ours(stream: SocketStream) -> bool:
    """Whether the client belongs to this user or to root."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True  # not available on this system, where the mode of the folder protects the socket
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio, not Django
    _pid, uid, _gid = _CREDENTIALS.unpack(raw.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return may_control(uid, os.geteuid())


def may_control(uid: int, owner: int) -> bool:
    """Whether user `uid` may control a run of user `owner`: only the same user and root may."""
    return uid in (owner, 0)


async def _execute(stream: SocketStream, verbs: Mapping[str, Verb]) -> bytes:
    try:
        request = decode_request(await _line(stream))
        verb = verbs.get(request.verb)
        if verb is None:
            return encode_error(f"this run does not know the verb {request.verb[:40]!r}")
        return encode_answer(verb(request.members))
    except (ProtocolError, RefusedVerbError) as error:
        return encode_error(str(error))
    except anyio.EndOfStream:
        raise
    except Exception as error:  # noqa: BLE001 - an error in an answer must not end the run
        return encode_error(f"the run could not answer ({type(error).__name__})")


async def _line(stream: SocketStream) -> bytes:
    """Receive up to the first line end. Raises ProtocolError if the line is too long."""
    line = b""
    while b"\n" not in line:
        line += await stream.receive(MAX_BYTES)
        if len(line) > MAX_BYTES:
            raise ProtocolError(f"the request has more than {MAX_BYTES} bytes")
    return line[: line.index(b"\n")]
