"""Named points of a run at which a test can kill the process. For tests only.

`REFIRE_KILL_AT=batch-answered:3` in the environment kills the process with SIGKILL when it reaches that failpoint for
the third time, as `kill -9`, the OOM killer or a lost machine would. Without the variable `reached` is None, and a
failpoint costs one comparison. Failpoints are passed per page and per batch, never per item.

    if failpoints.reached is not None:
        failpoints.reached("batch-answered")
"""

import os
import signal
from collections.abc import Callable
from itertools import count

VARIABLE = "REFIRE_KILL_AT"

POINTS = {
    "checkpoint-begun": "a new checkpoint is complete, under a temporary name",
    "checkpoint-made": "the checkpoint exists; nothing is read yet",
    "page-read": "a page has been read from the source",
    "page-in-ledger": "a page and the cursor after it are durable; none of its writes is sent",
    "segment-read": "a segment is read to its end",
    "doubt-resolved": "the items of a page in doubt have been read again",
    "batch-ready": "the budget grants a batch; it is not sent yet",
    "request-sent": "a request (read or write) is handed to the kernel; DynamoDB may apply it from now on",
    "batch-answered": "DynamoDB has answered a batch; its outcomes are not counted yet",
    "batch-counted": "the outcomes of a batch are counted in memory",
    "outcome-unknown": "a batch failed and may have been applied; it is not in its lane again yet",
    "conflict-read": "items that other writers changed have been read again; the ledger does not have them yet",
    "conflict-in-ledger": "the ledger has their present state; they are not sent yet",
    "page-settled": "every item of a page has its outcome, in memory",
    "page-closed": "a page has left the ledger in memory, but not yet on disk",
    "commit-begun": "a transaction of the checkpoint has begun",
    "commit-pending": "a transaction is written except for its COMMIT",
    "committed": "a transaction is on disk; the waiting tasks are not notified yet",
    "stopping": "an orderly stop has begun",
    "rest-known": "an orderly stop knows the open items of each page; they are not saved yet",
    "finishing": "all work is done; the last commit is still to come",
    "work-done": "everything is on disk except the status of the run",
    "run-ended": "the status is saved; the summary is not printed yet",
}
"""Every failpoint of a run by name, with the state of the run there."""

DELIVERY_POINTS = {
    "batch-in-delivery-ledger": "a batch is durable; it is not invoked yet",
    "invocation-answered": "the target has answered; the ledger does not have it yet",
    "failures-written": "given-up records are in their file; the ledger does not have them yet",
    "ledger-commit-pending": "a transaction of the ledger is written except for its COMMIT",
    "ledger-committed": "a transaction is on disk; the waiting lanes are not notified yet",
}
"""The same of a delivery (replay, redrive)."""

MAPPING_POINTS = {
    "mapping-planned": "the ledger knows that alias and mapping are about to be made",
    "alias-made": "the alias exists, the mapping does not",
    "mapping-made": "the mapping exists; the ledger does not have its UUID yet",
    "mapping-watched": "the ledger has the mapping's UUID; Lambda is at work",
    "mapping-through": "the ledger says that the mapping is through; it still exists",
    "mapping-deleted": "the mapping is gone, the alias is not",
    "alias-deleted": "both are gone; the status is not saved yet",
}
"""The same of a delivery by a temporary event source mapping (`--how mapping`)."""


def arm(text: str) -> Callable[[str], None]:
    """Return a function that kills this process at `NAME:COUNT` of a failpoint. Raises ValueError for other texts."""
    name, _, number = text.partition(":")
    names = [*POINTS, *DELIVERY_POINTS, *MAPPING_POINTS]
    if name not in names or not number.isdecimal() or int(number) < 1:
        raise ValueError(f"{VARIABLE} must be one of {', '.join(names)}, a colon and a count from 1")
    times = count(1)  # its next() is one step of the interpreter: threads reach failpoints too

    def reached(point: str) -> None:
        if point == name and next(times) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


reached: Callable[[str], None] | None = arm(os.environ[VARIABLE]) if VARIABLE in os.environ else None
"""Called with the name of each failpoint that the process reaches; None unless a test sets the variable."""
