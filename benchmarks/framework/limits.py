"""Control groups for child processes: a share of the CPU and a bound on memory, as containers set them. Linux, root."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.framework.scenario import BenchmarkError

_ROOT = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000
"""The kernel's usual period: a container with 0.25 CPU runs for 25 ms and then waits for the rest of the period."""

_REMOVE_S = 5.0


@dataclass(frozen=True, slots=True)
class Group:
    """A control group with its limits. `joins` are the files in which a process writes 0 to join it."""

    joins: tuple[Path, ...]
    cpu_stat: Path
    memory_peak: Path

    def throttled_share(self) -> float:
        """Share of the periods with work in which the CPU limit stopped the processes."""
        fields = dict(line.split() for line in self.cpu_stat.read_text().splitlines())
        return int(fields["nr_throttled"]) / max(1, int(fields["nr_periods"]))

    def peak_bytes(self) -> int:
        """The most memory that the group was charged for: processes, and the pages that they keep in the cache."""
        return int(self.memory_peak.read_text())


@contextlib.contextmanager
def limited(cpus: float, memory_bytes: int) -> Iterator[Group]:
    """A group with `cpus` of CPU time and `memory_bytes`, swap included where the kernel counts it.

    Raises BenchmarkError if this machine does not let us make one.
    """
    made: list[Path] = []
    try:
        try:
            group = _unified(cpus, memory_bytes, made) or _separate(cpus, memory_bytes, made)
        except OSError as error:
            raise BenchmarkError(
                f"control groups cannot be made here ({error.strerror}); run as root on Linux"
            ) from None
        yield group
    finally:
        for folder in made:
            _remove(folder)


def _unified(cpus: float, memory_bytes: int, made: list[Path]) -> Group | None:
    """With control groups version 2. None if both controllers are not available to the groups below the root."""
    controllers = _ROOT / "cgroup.subtree_control"
    if not controllers.exists() or not {"cpu", "memory"} <= set(controllers.read_text().split()):
        return None
    folder = _make(_ROOT, made)
    (folder / "cpu.max").write_text(f"{round(cpus * _PERIOD_US)} {_PERIOD_US}")
    (folder / "memory.max").write_text(str(memory_bytes))
    with contextlib.suppress(OSError):  # a kernel that does not count swap
        (folder / "memory.swap.max").write_text("0")
    return Group((folder / "cgroup.procs",), folder / "cpu.stat", folder / "memory.peak")


def _separate(cpus: float, memory_bytes: int, made: list[Path]) -> Group:
    """With control groups version 1: a folder for each controller."""
    cpu, memory = _make(_ROOT / "cpu", made), _make(_ROOT / "memory", made)
    (cpu / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
    (cpu / "cpu.cfs_quota_us").write_text(str(round(cpus * _PERIOD_US)))
    (memory / "memory.limit_in_bytes").write_text(str(memory_bytes))
    with contextlib.suppress(OSError):
        (memory / "memory.memsw.limit_in_bytes").write_text(str(memory_bytes))
    return Group(
        (cpu / "cgroup.procs", memory / "cgroup.procs"),
        cpu / "cpu.stat",
        memory / "memory.max_usage_in_bytes",
    )


def _make(parent: Path, made: list[Path]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="refire-benchmark-", dir=parent))
    made.append(folder)
    return folder


def _remove(folder: Path) -> None:
    """Remove an empty group. The kernel takes a moment to let go of processes that have ended."""
    until = time.monotonic() + _REMOVE_S
    while folder.exists():
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
