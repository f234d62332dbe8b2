"""What a result was measured on: facts that matter for speed, none that identify the machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import timeit
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

_PACKAGES = (
    "refire-async",
    "aioboto3",
    "aiodynamo",
    "aiohttp",
    "aiolimiter",
    "anyio",
    "boto3",
    "botocore",
    "httptools",
    "orjson",
    "uvloop",
)

UNKNOWN, CHANGED = "unknown", "+changes"
"""A commit outside of git, and what follows a commit whose tree was changed."""


def cpu_model(cpuinfo: str) -> str:
    """The processor's name in the text of /proc/cpuinfo."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def memory_gib(meminfo: str) -> float:
    """Total memory in the text of /proc/meminfo."""
    found = re.search(r"^MemTotal:\s+(\d+) kB$", meminfo, re.MULTILINE)
    return round(int(found[1]) / 2**20, 1) if found else 0.0


def machine() -> dict[str, object]:
    """Processor, cores that may be used, memory, kernel, Python, and how busy it was before."""
    return {
        "cpu": cpu_model(_read("/proc/cpuinfo")),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": memory_gib(_read("/proc/meminfo")),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def loop_us() -> float:
    """How fast the machine is at this moment: µs for a sum of 1,000 numbers in plain Python, the median of 15.

    A shared machine can be three times slower in one hour than in another; client CPU per item follows this figure.
    """
    return round(median(timeit.repeat(lambda: sum(range(1_000)), number=1_000, repeat=15)) * 1e3, 2)


def commit(root: Path) -> str:
    """The commit of the working tree at `root`, with `+changes` if it has any; `unknown` outside of git."""
    head = git(root, "rev-parse", "--short=12", "HEAD")
    if head is None:
        return UNKNOWN
    return head.strip() + (CHANGED if git(root, "status", "--porcelain") != "" else "")


def git(root: Path, *arguments: str) -> str | None:
    """What git prints, None if it cannot."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],  # noqa: S607 - whichever the user has
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


def versions() -> dict[str, str]:
    """Installed versions of what takes part."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
