"""The AWS CLI from PyPI, in an environment of its own: its botocore need not be ours."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from tests.support.dynamodb_local import cache_folder

VERSION = "1.46.3"
_INSTALL_TIMEOUT_S = 400.0
_CALL_TIMEOUT_S = 60.0


class AwsCliUnavailableError(RuntimeError):
    """pip cannot install the AWS CLI; the message holds the last of what it said."""


def ensure_aws_cli() -> Path:
    """The Python interpreter of an environment that holds the AWS CLI, made first if it is not there or not whole.

    It stays in the cache folder. Safe with several processes at once: one installs, the others wait.
    """
    cache = cache_folder()
    home = cache / f"awscli-{VERSION}"
    python, whole = home / "bin" / "python", home / "whole"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "awscli.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(home, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(home))
            _run(str(python), "-m", "pip", "install", "--quiet", f"awscli=={VERSION}")
            whole.touch()
    return python


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise AwsCliUnavailableError(
            f"AWS CLI {VERSION} was not installed in {_INSTALL_TIMEOUT_S:.0f} s: check the access to PyPI"
        ) from error
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.decode(errors="replace").split())[-300:]
        raise AwsCliUnavailableError(f"AWS CLI {VERSION} cannot be installed: {said}") from error


class AwsCli:
    """``aws`` with an endpoint, and nothing of the user's own settings."""

    def __init__(self, python: Path, url: str, home: Path) -> None:
        self._command = [str(python), "-m", "awscli", "--endpoint-url", url, "--output", "json"]
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def __call__(self, service: str, operation: str, *arguments: str, **request: Any) -> Any:
        """The parsed output, None if there is none. Raises AssertionError with what the CLI said if it fails."""
        ended = self.run(service, operation, *arguments, request=request)
        assert ended.returncode == 0, ended.stderr
        return orjson.loads(ended.stdout) if ended.stdout.strip() else None

    def run(
        self, service: str, operation: str, *arguments: str, request: Mapping[str, Any]
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        given = ["--cli-input-json", orjson.dumps(request).decode()] if request else []
        return subprocess.run(
            [*self._command, service, operation, *arguments, *given],
            check=False,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_CALL_TIMEOUT_S,
        )
