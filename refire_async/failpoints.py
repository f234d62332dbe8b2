"""Named points of a run at which a test can stop the process dead. A seam for tests and nothing else.

`REFIRE_KILL_AT=batch-answered:3` in the environment kills the process with SIGKILL when it comes to that point for
the third time, as `kill -9`, the OOM killer or a lost machine would. Unarmed, which is always but in such a test,
`reached` is None and a point costs one look at it; points stand where pages and batches pass, never items.

    if points.reached is not None:
        points.reached("batch-answered")
"""

import os
import signal
from collections.abc import Callable
from itertools import count

VARIABLE = "REFIRE_KILL_AT"

POINTS = {
    "checkpoint-begun": "a new checkpoint is whole, under another name",
    "checkpoint-made": "the checkpoint is there, nothing is read yet",
    "page-read": "a page has come from the source",
    "page-in-ledger": "a page and the cursor after it are durable; none of its writes is sent",
    "segment-read": "a segment is read to its end",
    "doubt-resolved": "the items of a page in doubt have been read again",
    "batch-ready": "the budget lets a batch go; it is not sent",
    "request-sent": "a request (read or write) is handed to the kernel; the service may apply it from now on",
    "batch-answered": "the service has answered a batch; nothing of it is counted",
    "batch-counted": "the outcomes of a batch are counted in memory",
    "outcome-unknown": "a batch failed and may have been applied; it is not in its lane again yet",
    "conflict-read": "items that others changed have been looked at again; nobody knows yet",
    "conflict-in-ledger": "the ledger has what they are now; they are not sent yet",
    "page-settled": "every item of a page has its outcome, in memory",
    "page-closed": "a page has left the ledger, in memory; this is on its way to the disk",
    "commit-begun": "a transaction of the checkpoint has begun",
    "commit-pending": "all of a transaction is written, but for the COMMIT",
    "committed": "a transaction is on disk; nobody knows yet",
    "stopping": "an orderly stop has begun",
    "rest-known": "an orderly stop knows what is left of each page; it is not saved yet",
    "finishing": "all work is done; the last commit is still to come",
    "work-done": "all is on disk but the status of the run",
    "run-ended": "the status is saved; the summary is not told yet",
}
"""Every point by name, with what is true there."""


def arm(text: str) -> Callable[[str], None]:
    """What kills this process at `NAME:COUNT` of POINTS. Raises ValueError for anything else."""
    name, _, number = text.partition(":")
    if name not in POINTS or not number.isdecimal() or int(number) < 1:
        raise ValueError(f"{VARIABLE} must be one of {', '.join(POINTS)}, a colon and a count from 1")
    times = count(1)  # its next() is one step of the interpreter: points are reached in threads too

    def reached(point: str) -> None:
        if point == name and next(times) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


reached: Callable[[str], None] | None = arm(os.environ[VARIABLE]) if VARIABLE in os.environ else None
"""Called with the name of each point that is come to, if a test has asked for it."""
