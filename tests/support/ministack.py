"""ministack: Lambda with real Python handlers, SQS and S3. The judge of invocations and their service errors.

It has no limit of 6 MB, and its own stream mapping is not used here.
"""

import contextlib
import http.client
import io
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.support.backends import REGION
from tests.support.environments import JudgeUnavailableError, ensure_environment
from tests.support.processes import free_port, spawn, stop

PACKAGE = "ministack==1.5.33"
SERVICES = ("LAMBDA", "S3", "SNS", "SQS")
"""As botocore names them in AWS_ENDPOINT_URL_…"""
START_TIMEOUT_S = 90.0
START_ATTEMPTS = 3
_ROLE = "arn:aws:iam::000000000000:role/consumer"


@dataclass(frozen=True, slots=True)
class Ministack:
    """A running ministack. Use names of your own: its state lasts as long as it runs."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What makes a program under test find its services here, but not DynamoDB."""
        return {f"AWS_ENDPOINT_URL_{service}": self.url for service in SERVICES}

    def client(self, service: str) -> Any:
        """A boto3 client, for arranging and judging. The caller closes it."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="SCENARIO",
            aws_secret_access_key="scenario",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def create_function(self, name: str, source: str, **settings: Any) -> str:
        """A function with this Python module, whose handler is `handler`. Returns its ARN."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as files:
            files.writestr("app.py", source)
        with contextlib.closing(self.client("lambda")) as client:
            made = client.create_function(
                FunctionName=name,
                Runtime="python3.12",
                Role=_ROLE,
                Handler="app.handler",
                Code={"ZipFile": archive.getvalue()},
                **settings,
            )
        arn: str = made["FunctionArn"]
        return arn


@contextlib.contextmanager
def running_ministack() -> Iterator[Ministack]:
    """ministack on a free port of the loopback interface, for the length of the block.

    Raises JudgeUnavailableError: it cannot be installed or does not start.
    """
    python = ensure_environment("ministack", [PACKAGE])
    with tempfile.TemporaryDirectory(prefix="ministack-") as folder:
        log = Path(folder) / "log.txt"
        for attempt in range(1, START_ATTEMPTS + 1):
            port = free_port()
            with log.open("wb") as sink:
                process = spawn(
                    [str(python), "-m", "ministack"],
                    cwd=folder,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    env=_environment(python, port, folder),
                )
            try:
                if _answers(process, port):
                    yield Ministack(f"http://127.0.0.1:{port}")
                    return
            finally:
                stop(process)
            if attempt == START_ATTEMPTS:
                said = " ".join(log.read_text(errors="replace").split())[-300:]
                raise JudgeUnavailableError(f"ministack does not start: {said}")


def _environment(python: Path, port: int, folder: str) -> dict[str, str]:
    return {
        "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": folder,
        "TMPDIR": folder,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": "WARNING",
    }


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until our own child speaks HTTP; False if it has ended or never spoke."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == 200 and process.poll() is None
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)  # polling: the server has no way to call us
        finally:
            connection.close()
    return False
