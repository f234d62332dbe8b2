"""In every Python worker of an executor: kills planned by a test, each once, at a failpoint.

`REFIRE_TEST_KILLS` is a folder with an empty file per kill, named NAME:COUNT. The first process that reaches the
point for the COUNT-th time kills its executor, a JVM, with SIGKILL, and then itself.
"""

import os
import signal
from collections import Counter
from pathlib import Path

FOLDER = os.environ.get("REFIRE_TEST_KILLS")


def executor_of(pid: int) -> int:
    """The JVM above a Python worker; 0 if it is gone."""
    while pid > 1:
        if Path(f"/proc/{pid}/comm").read_text().strip() == "java":
            return pid
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def arm(folder: Path) -> None:
    """Install the hook in the program, and let tasks take one another for dead sooner: a test has many deaths."""
    from refire_async import failpoints
    from refire_async.checkpoint.dynamodb import claims

    claims.BEAT_S, claims.HOLD_S, claims.DEAD_AFTER_S, claims.LOOK_S = 0.2, 1.0, 1.6, 0.2
    times: Counter[str] = Counter()

    def reached(point: str) -> None:
        # Workers are used again: what counts is how often this one came here since the kill was planned.
        for plan in folder.glob(f"{point}:*"):
            times[plan.name] += 1
            if times[plan.name] >= int(plan.name.rpartition(":")[2]):
                kill(plan)

    def kill(plan: Path) -> None:
        try:
            plan.unlink()
        except FileNotFoundError:  # another process was first
            return
        with (folder / "done.txt").open("a") as done:
            done.write(f"{plan.name}\n")
        if executor := executor_of(os.getpid()):
            os.kill(executor, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    failpoints.reached = reached


if FOLDER:
    arm(Path(FOLDER))
