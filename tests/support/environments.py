"""Python environments of judges whose pinned packages do not go together with ours, made once in the cache.

Tests that need a judge *fail* where its environment cannot be made: a skipped judge would prove nothing.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.dynamodb_local import cache_folder

INSTALL_TIMEOUT_S = 900.0
_WHOLE = "installed.txt"


class JudgeUnavailableError(RuntimeError):
    """A judge cannot be installed or started on this machine; the message says what to check."""


def ensure_environment(name: str, requirements: Sequence[str], cache: Path | None = None) -> Path:
    """The Python of a virtual environment in the cache with exactly these requirements, made if it is not there.

    Safe with several processes at once: one makes it, the others wait. Raises JudgeUnavailableError.
    """
    cache = cache or cache_folder()
    home = cache / f"environment-{name}"
    wanted = "\n".join((sys.version, *requirements))
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"environment-{name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker = home / _WHOLE
        if not marker.is_file() or marker.read_text() != wanted:
            with tempfile.TemporaryDirectory(dir=cache, prefix="make-") as scratch:
                made = _make(Path(scratch) / "environment", name, requirements)
                (made / _WHOLE).write_text(wanted)
                # What was made under another name works where only its Python is started, as `python -m`.
                if home.exists():
                    shutil.rmtree(home)
                made.rename(home)
    return home / "bin" / "python"


def _make(folder: Path, name: str, requirements: Sequence[str]) -> Path:
    _run(name, [sys.executable, "-m", "venv", str(folder)])
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input", *requirements]
    _run(name, install)
    return folder


def _run(name: str, command: list[str]) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_TIMEOUT_S, env=environment)
    except subprocess.TimeoutExpired as error:
        raise JudgeUnavailableError(
            f"{name} was not installed within {INSTALL_TIMEOUT_S:.0f} s: check the access to the package index"
        ) from error
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.decode(errors="replace").split())[-300:]
        raise JudgeUnavailableError(
            f"{name} cannot be installed: check the access to the package index ({said})"
        ) from error
