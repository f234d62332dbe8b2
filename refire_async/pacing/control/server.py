"""Serve the control socket of a run. A client cannot stop or slow down the run.

A request has 4 KB and 2 s; no more than 8 clients are served at once. Further connections are closed.
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
    LONGEST,
    ProtocolError,
    RefusedVerbError,
    decode_request,
    encode_answer,
    encode_error,
)

TIMEOUT_S = 2.0
MOST_CLIENTS = 8
_PAUSE_S = 0.5
_TRIES = 3
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (man 7 unix)

Verb: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Does what was asked, at once, and gives the answer's members. Raises RefusedVerbError."""


async def open_listener(checkpoint: Path) -> tuple[SocketListener, Path] | None:
    """A socket for the run on `checkpoint` and where it is; None where the machine has no place for one.

    Only for whoever holds the checkpoint's lock: a socket that is there already is of a process that died.
    """
    for path in addresses(checkpoint):
        remove(path)
        for _ in range(_TRIES):
            if not make_private(path.parent):
                break
            try:
                with anyio.CancelScope(shield=True):  # half-made, it would stay behind
                    return await anyio.create_unix_listener(path, mode=0o600, backlog=MOST_CLIENTS), path
            except FileNotFoundError:
                continue  # another run, which was the last, has just removed the folder
            except OSError:
                break
    return None


async def serve(listener: SocketListener, path: Path, verbs: Mapping[str, Verb]) -> None:
    """Answer questions until cancelled; then the socket is gone."""
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
                    # Such as no file descriptor left, which anyio calls broken. The run has more need of them.
                    await anyio.sleep(_PAUSE_S)
                    continue
                if clients >= MOST_CLIENTS:
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
                    await stream.send(await _carry_out(stream, verbs))
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
        return  # the client is gone


def _is_ours(stream: SocketStream) -> bool:
    """Whether the client is this user, or the one who may do anything anyhow."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True  # not on this system: the mode of the folder has to do
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio, not Django
    _pid, uid, _gid = _CREDENTIALS.unpack(raw.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return may_ask(uid, os.geteuid())


def may_ask(uid: int, owner: int) -> bool:
    """Whether user `uid` may steer a run of `owner`: only its own user, and root, who may do anything anyhow."""
    return uid in (owner, 0)


async def _carry_out(stream: SocketStream, verbs: Mapping[str, Verb]) -> bytes:
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
    except Exception as error:  # noqa: BLE001 - a mistake in answering must not end the run
        return encode_error(f"the run could not answer ({type(error).__name__})")


async def _line(stream: SocketStream) -> bytes:
    """What comes up to the first line end. Raises ProtocolError if it is too long."""
    line = b""
    while b"\n" not in line:
        line += await stream.receive(LONGEST)
        if len(line) > LONGEST:
            raise ProtocolError(f"the request has more than {LONGEST} bytes")
    return line[: line.index(b"\n")]
