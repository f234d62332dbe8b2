"""The sandbox as a process: ``run`` is a server's main, ``SandboxProcess`` starts one as a child.

The child reads its configuration as the first line of standard input, answers with one line of JSON on
standard output, ``{"url": ...}`` or ``{"error": ...}``, and lives until its standard input ends. So it
stops with its parent, however that died.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

import anyio.to_thread
import orjson

from refire_async.sandbox.config import SandboxConfig

# Longest time to wait for a child to answer or to leave before it is killed.
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 10.0


class SandboxError(Exception):
    """The sandbox cannot start; the message is one line that says what to do."""


def run(
    config: SandboxConfig,
    *,
    on_ready: Callable[[str], None] | None = None,
    until_end_of: io.RawIOBase | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, or, if it is given, until the stream ``until_end_of`` ends.

    ``on_ready`` gets the endpoint URL once requests are answered. Raises ``ValueError`` for a bad
    configuration and ``SandboxError`` if the address cannot be used.
    """
    config.validate()
    if not config.is_loopback:
        sys.stderr.write(
            f"warning: the sandbox listens on {config.host}, so other machines can reach it, without credentials\n"
        )
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(config, on_ready, until_end_of))


def run_child() -> int:
    """Main of the child process: see the module's docstring. Returns the exit code."""
    # Ctrl-C reaches the whole process group; the parent decides when its sandbox ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Unbuffered: a thread that waits in a buffered read holds a lock that the interpreter wants at its end.
    stdin = io.FileIO(0, closefd=False)

    def say(message: dict[str, str]) -> None:
        sys.stdout.buffer.write(orjson.dumps(message) + b"\n")
        sys.stdout.buffer.flush()

    line = bytearray()
    while not line.endswith(b"\n"):
        chunk = stdin.read(1 << 20)
        if not chunk:
            return 0  # the parent is gone already
        line += chunk
    try:
        run(SandboxConfig.from_json(bytes(line)), on_ready=lambda url: say({"url": url}), until_end_of=stdin)
    except (ValueError, SandboxError) as error:
        say({"error": str(error)})
        return 2
    return 0


class SandboxProcess:
    """A sandbox in a child process, for ``with``; ``url`` is its endpoint while it runs.

    Starting takes about a third of a second, longer if ``config.tables`` holds many items. Raises
    ``SandboxError`` if the child cannot start. Use ``start_sandbox`` in asynchronous code.
    """

    def __init__(self, config: SandboxConfig | None = None) -> None:
        self.config = config or SandboxConfig()
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running child."""
        if self._process is None:
            raise SandboxError("the sandbox is not running")
        return self._process.pid

    def start(self) -> str:
        """Start the child, wait until it answers and return its endpoint URL."""
        process = subprocess.Popen(
            [sys.executable, "-m", "refire_async.sandbox"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._process = process
        watchdog = threading.Timer(_START_TIMEOUT_S, process.kill)
        watchdog.start()
        try:
            assert process.stdin is not None  # noqa: S101 - for the type checker: both are pipes
            assert process.stdout is not None  # noqa: S101
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(self.config.to_json() + b"\n")
                process.stdin.flush()
            self.url = _url_of(process.stdout.readline())
        except BaseException:
            self.stop()
            raise
        finally:
            watchdog.cancel()
            watchdog.join()
        return self.url

    def stop(self) -> None:
        """End the child and wait for it; harmless if it has ended already."""
        process, self._process, self.url = self._process, None, ""
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()


@contextlib.asynccontextmanager
async def start_sandbox(config: SandboxConfig | None = None) -> AsyncIterator[str]:
    """Run a sandbox in a child process for the time of the block; yields the endpoint URL.

    Raises ``SandboxError`` if it cannot start.
    """
    process = SandboxProcess(config)
    # Not cancellable: an abandoned start would leave a child behind.
    url = await anyio.to_thread.run_sync(process.start)
    try:
        yield url
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(process.stop)


def _url_of(answer: bytes) -> str:
    """What the child said on standard output: its URL, or why there is none."""
    if not answer:
        raise SandboxError("the sandbox process ended before it answered; its standard error says why")
    message = orjson.loads(answer)
    if "error" in message:
        raise SandboxError(f"the sandbox cannot start: {message['error']}")
    return str(message["url"])


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - optional, and not there on Windows
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(
    config: SandboxConfig, on_ready: Callable[[str], None] | None, until_end_of: io.RawIOBase | None
) -> None:
    from refire_async.sandbox.http import listen  # noqa: PLC0415
    from refire_async.sandbox.server import build_handler  # noqa: PLC0415 - the parent has no use for the server

    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    handler = build_handler(config)
    # Stored items are no cycles and live long: collecting garbage over them is time lost.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        server = await listen(handler, config.host, config.port)
    except OSError as error:
        raise SandboxError(
            f"cannot listen on {config.host} port {config.port}: {error.strerror or error}; choose another one"
        ) from error
    if until_end_of is None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(number, stopped.set)
    else:
        watcher = threading.Thread(
            target=_wait_for_end, args=(until_end_of, loop, stopped), name="parent", daemon=True
        )
        watcher.start()
    if on_ready is not None:
        on_ready(server.url)
    await stopped.wait()
    await server.close()


def _wait_for_end(stream: io.RawIOBase, loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    """Runs in a thread: tell the loop when the parent has closed its end, on purpose or by dying."""
    with contextlib.suppress(OSError, ValueError):
        while stream.read(4096):
            pass
    with contextlib.suppress(RuntimeError):  # the loop is closed: stopping already
        loop.call_soon_threadsafe(stopped.set)
