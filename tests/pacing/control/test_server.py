"""The control socket: access to it, its answers, and that no client can block it."""

import os
import resource
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import anyio
import pytest
from anyio import to_thread

from refire_async.pacing.control import address, server
from refire_async.pacing.control.client import UnreachedError, ask
from refire_async.pacing.control.protocol import MAX_BYTES, ProtocolError, RefusedVerbError
from refire_async.pacing.control.server import MAX_CLIENTS, may_control, open_listener, serve
from tests.aws.conftest import LOOPS


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Sockets are handled by the loop: asyncio's own and uvloop."""
    return "asyncio", {"use_uvloop": LOOPS[request.param]}


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The user's state folder, with a short path like that of a home folder, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory(prefix="rf") as name:
        monkeypatch.setenv("XDG_STATE_HOME", name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tmp_path / "orders.refire"


def echo(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"given": dict(given)}


def refuse(given: Mapping[str, Any]) -> Mapping[str, Any]:
    raise RefusedVerbError(f"no {given['value']}")


def fail(given: Mapping[str, Any]) -> Mapping[str, Any]:
    raise ZeroDivisionError("a bug")


@asynccontextmanager
async def served(checkpoint: Path) -> AsyncIterator[Path]:
    """Serve verbs during the block. Yields the socket's path."""
    found = await open_listener(checkpoint)
    assert found is not None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve, *found, {"echo": echo, "refuse": refuse, "fail": fail})
        yield found[1]
        tasks.cancel_scope.cancel()


async def asked(checkpoint: Path, verb: str, **members: Any) -> dict[str, Any]:
    """`ask` in a thread, because it blocks."""
    return await to_thread.run_sync(ask, checkpoint, verb, members)


async def test_a_request_and_its_answer(checkpoint: Path) -> None:
    async with served(checkpoint):
        for _ in range(2 * MAX_CLIENTS):
            assert await asked(checkpoint, "echo", value="3000") == {"given": {"value": "3000"}}


async def test_other_users_have_no_access(checkpoint: Path) -> None:
    """The socket has mode 0600, in a folder of mode 0700; connections of other users are closed."""
    async with served(checkpoint) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert may_control(1000, 1000)
    assert may_control(0, 1000)
    assert not may_control(1001, 1000)


async def test_the_connection_of_another_user_is_closed(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel reports the user of the client. There is no answer."""
    monkeypatch.setattr(server, "may_control", lambda _uid, _owner: False)
    async with served(checkpoint):
        with pytest.raises(UnreachedError, match="closed the connection without an answer"):
            await asked(checkpoint, "echo")


async def test_rejections_and_bugs_are_answered(checkpoint: Path) -> None:
    """One line each, and the server continues."""
    async with served(checkpoint):
        with pytest.raises(RefusedVerbError, match=r"^no x$"):
            await asked(checkpoint, "refuse", value="x")
        with pytest.raises(RefusedVerbError, match=r"could not answer \(ZeroDivisionError\)"):
            await asked(checkpoint, "fail")
        with pytest.raises(RefusedVerbError, match="does not know the verb 'dance'"):
            await asked(checkpoint, "dance")
        assert await asked(checkpoint, "echo") == {"given": {}}


class Accepting:
    """A listener that sets `failed` when it could not accept."""

    def __init__(self, listener: Any) -> None:
        self._listener = listener
        self.failed = anyio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.aclose()

    async def accept(self) -> Any:
        try:
            return await self._listener.accept()
        except (OSError, anyio.BrokenResourceError):
            self.failed.set()
            raise


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_without_a_free_descriptor_the_server_continues(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run continues, and the client gets its answer when a descriptor is free.

    On asyncio's own loop: uvloop reports the same client to anyio twice, which is an error in a callback.
    """
    monkeypatch.setattr(server, "_PAUSE_S", 0.01)
    found = await open_listener(checkpoint)
    assert found is not None
    listener = Accepting(found[0])
    assert await to_thread.run_sync(lambda: True)  # starts the thread that `asked` uses later
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve, listener, found[1], {"echo": echo})
        with socket.socket(socket.AF_UNIX) as early:
            free = os.dup(early.fileno())
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            try:
                early.connect(str(found[1]))
                with anyio.fail_after(30):
                    await listener.failed.wait()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert await asked(checkpoint, "echo") == {"given": {}}
        tasks.cancel_scope.cancel()


async def raw(path: Path, sent: bytes) -> bytes:
    """The whole answer to `sent`."""
    async with await anyio.connect_unix(path) as stream:
        await stream.send(sent)
        answer = b""
        try:
            while True:
                answer += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return answer


@pytest.mark.parametrize(
    "sent", [b"garbage\n", b"GET / HTTP/1.1\r\n\r\n", b"\0\n", b"{}\n", b'{"refire":9}\n']
)
async def test_garbage_is_answered_with_an_error(checkpoint: Path, sent: bytes) -> None:
    async with served(checkpoint) as path:
        assert (await raw(path, sent)).startswith(b'{"refire":1,"error":"')
        assert await asked(checkpoint, "echo") == {"given": {}}


async def test_too_long_requests_are_rejected(checkpoint: Path) -> None:
    async with served(checkpoint) as path:
        assert b"more than 4096 bytes" in await raw(path, b"x" * (MAX_BYTES + 1))
        assert await asked(checkpoint, "echo") == {"given": {}}


async def test_silent_clients(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the maximum number of clients, further connections are closed until the silent ones time out."""
    monkeypatch.setattr(server, "TIMEOUT_S", 0.3)
    async with served(checkpoint) as path:
        silent = [await anyio.connect_unix(path) for _ in range(MAX_CLIENTS)]
        with pytest.raises(UnreachedError):
            await asked(checkpoint, "echo")
        for stream in silent:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
            await stream.aclose()
        assert await asked(checkpoint, "echo") == {"given": {}}


async def test_clients_that_disconnect(checkpoint: Path) -> None:
    """Before a request, in the middle of one, and before the answer."""
    async with served(checkpoint) as path:
        for sent in (b"", b'{"refire":1', b'{"refire":1,"verb":"echo"}\n'):
            stream = await anyio.connect_unix(path)
            if sent:
                await stream.send(sent)
            await stream.aclose()
        assert await asked(checkpoint, "echo") == {"given": {}}


async def test_the_socket_is_removed_at_the_end_of_the_run(checkpoint: Path) -> None:
    async with served(checkpoint) as path:
        assert path.is_socket()
    assert not path.parent.exists()
    with pytest.raises(UnreachedError):
        await asked(checkpoint, "echo")


async def test_the_socket_of_a_killed_run_is_replaced(checkpoint: Path) -> None:
    (path, *_) = address.addresses(checkpoint)
    address.make_private(path.parent)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(UnreachedError):
        await asked(checkpoint, "echo")
    async with served(checkpoint) as served_at:
        assert served_at == path
        assert await asked(checkpoint, "echo") == {"given": {}}


async def test_a_file_that_is_not_a_socket_is_kept(checkpoint: Path) -> None:
    """Then the folder for temporary files is used."""
    first, second = address.addresses(checkpoint)
    address.make_private(first.parent)
    first.write_text("mine")
    async with served(checkpoint) as path:
        assert path == second
        assert await asked(checkpoint, "echo") == {"given": {}}
    assert first.read_text() == "mine"


def open_to_all(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)


def a_link(folder: Path) -> None:
    elsewhere = folder.with_name(f"not-{folder.name}")
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)


def a_file(folder: Path) -> None:
    folder.write_text("")


@pytest.mark.parametrize("spoil", [open_to_all, a_link, a_file])
async def test_folders_that_other_users_can_access_are_not_used(
    checkpoint: Path, spoil: Callable[[Path], None]
) -> None:
    """Neither by the run nor by the client: another user could listen there."""
    first, second = address.addresses(checkpoint)
    first.parent.parent.mkdir(parents=True)
    spoil(first.parent)
    async with served(checkpoint) as path:
        assert path == second
        assert await asked(checkpoint, "echo") == {"given": {}}
    spoil(second.parent)
    assert await open_listener(checkpoint) is None


def test_the_socket_of_a_long_home_path_is_in_the_temporary_folder(
    folder: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address has at most 107 bytes."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / ("h" * 80)))
    (only,) = address.addresses(checkpoint)
    assert only.parent.parent == folder
    assert len(str(only)) <= 107


def test_every_checkpoint_has_a_socket_of_its_own(tmp_path: Path) -> None:
    """By the real path of the checkpoint."""
    one, other = tmp_path / "a.refire", tmp_path / "b.refire"
    (tmp_path / "link").symlink_to(tmp_path)
    assert address.addresses(one) != address.addresses(other)
    assert address.addresses(one) == address.addresses(tmp_path / "link" / "a.refire")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"hello\n", ProtocolError),
        (b"x" * 9_000, ProtocolError),
        (b"", UnreachedError),
        (b"{", UnreachedError),
    ],
)
async def test_clients_handle_answers_of_another_program(
    checkpoint: Path, answer: bytes, error: type[Exception]
) -> None:
    """Another program may listen at the path."""
    (path, *_) = address.addresses(checkpoint)
    assert address.make_private(path.parent)
    listener = await anyio.create_unix_listener(path)

    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            if answer:
                await stream.send(answer)

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        with pytest.raises(error):
            await asked(checkpoint, "echo")
        tasks.cancel_scope.cancel()
