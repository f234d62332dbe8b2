"""AWS's own Lambda runtime for Python, under its emulator: it runs consumers as people write them.

The emulator (`aws-lambda-rie`) comes in the wheel of AWS SAM. It knows one function, called `function`, takes one
invocation at a time (two at once end it), and does not name function errors in a header.
"""

import contextlib
import http.client
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.environments import JudgeUnavailableError, ensure_environment
from tests.support.processes import free_port, spawn, stop

FUNCTION = "function"
RUNTIME = ("awslambdaric==4.2.2", "aws-lambda-powertools==3.37.0")
EMULATOR = ("--no-deps", "aws-sam-cli==1.170.0")
START_TIMEOUT_S = 60.0
_MACHINES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


@contextlib.contextmanager
def running_runtime(folder: Path, handler: str) -> Iterator[str]:
    """Run `handler` (`module.function`) of a module in `folder`; gives the URL of its Invoke API.

    Raises JudgeUnavailableError: it cannot be installed or does not start.
    """
    emulator, python = _emulator(), ensure_environment("lambda-runtime", RUNTIME)
    port, inner = free_port(), free_port()
    command = [
        str(emulator),
        f"--runtime-interface-emulator-address=127.0.0.1:{port}",
        f"--runtime-api-address=127.0.0.1:{inner}",
        str(python),
        "-m",
        "awslambdaric",
        handler,
    ]
    log = folder / "runtime.log"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(folder)}
    with log.open("wb") as sink:
        process = spawn(command, cwd=folder, stdout=sink, stderr=subprocess.STDOUT, env=environment)
    try:
        if not _listens(process, port):
            said = " ".join(log.read_text(errors="replace").split())[-300:]
            raise JudgeUnavailableError(f"the Lambda runtime does not start: {said}")
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(process)


def _emulator() -> Path:
    """The emulator's binary. Raises JudgeUnavailableError."""
    machine = _MACHINES.get(platform.machine())
    home = ensure_environment("lambda-emulator", EMULATOR).parents[1]
    found = list(home.glob(f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}"))
    if not found:
        raise JudgeUnavailableError(f"AWS SAM has no Lambda emulator for {platform.machine()}")
    found[0].chmod(0o755)
    return found[0]


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until our own child takes connections; False if it has ended or never did."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.connect()
        except OSError:
            time.sleep(0.05)  # polling: it has no way to call us
        else:
            return process.poll() is None
        finally:
            connection.close()
    return False
