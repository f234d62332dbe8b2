"""One case of evidence: a table, a selection, and the faults and kills, drawn from one number."""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from refire_async.failpoints import POINTS
from tests.evidence.rows import SELECTIONS

Victim = Literal["parent", "child", "both"]
READS = ["Scan", "Query", "BatchGetItem"]

WRITES_UNKNOWN: dict[str, dict[str, Any]] = {
    "500 after the write": {"kind": "internal_error", "when": "after"},
    "500 of a member after its write": {"kind": "internal_error", "when": "after", "scope": "member"},
    "500 before the write": {"kind": "internal_error", "when": "before"},
    "reset after the write": {"kind": "reset", "when": "after"},
    "reset before the write": {"kind": "reset", "when": "before"},
    "answer cut": {"kind": "truncate"},
    "answer cut to nothing": {"kind": "truncate", "keep_bytes": 0},
    "wrong checksum": {"kind": "bad_crc"},
    "answer drips": {"kind": "slow_drip", "bytes_per_second": 1500.0},
    "unavailable": {"kind": "unavailable"},
}
"""Every way of the sandbox to leave the outcome of a write unknown, or to seem to. Those that take the client's whole
timeout of 30 s are in STALLS."""

STALLS: dict[str, dict[str, Any]] = {
    "no answer after the write": {"kind": "timeout", "when": "after", "count": 2},
    "no answer before the write": {"kind": "timeout", "when": "before", "count": 2},
}

REFUSALS: dict[str, dict[str, Any]] = {
    "throttled": {"kind": "throttle", "reason": "TableWriteProvisionedThroughputExceeded"},
    "key range throttled": {"kind": "throttle", "reason": "TableWriteKeyRangeThroughputExceeded"},
    "member throttled": {
        "kind": "throttle",
        "reason": "TableWriteKeyRangeThroughputExceeded",
        "scope": "member",
    },
    "conflict with a transaction": {"kind": "transaction_conflict"},
    "token expired": {"kind": "expired_token", "count": 3},
    "slow": {"kind": "latency", "latency": "lognormal:20ms,1"},
}
"""Faults after which it is certain that nothing was written."""

SLOW_LOOKUP: dict[str, Any] = {
    "kind": "latency",
    "latency": "lognormal:400ms,0.5",
    "operations": ["BatchGetItem"],
}
"""Reads are outdated when they arrive: others write between the lookup of an item that they have changed and the second
attempt at it."""

SLOW_TRANSACTIONS: dict[str, Any] = {
    "kind": "latency",
    "latency": "lognormal:40ms,0.5",
    "operations": ["TransactWriteItems"],
}
"""The writers' transactions hold their items for a while: touches of these meet a conflict."""

FAULTS = {**WRITES_UNKNOWN, **STALLS, **REFUSALS}

KILL_WITHIN_S = 0.8
"""Random kills happen within this time after an attempt has begun to work."""


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL: at a failpoint, or after some time (seconds after the work has begun)."""

    point: str | None = None
    count: int = 1
    after_s: float = 0.0
    victim: Victim = "parent"
    interrupt: bool = False
    """Whether the program is first asked to stop in order, and is killed while it does."""

    def __str__(self) -> str:
        if not self.point:
            return f"{self.victim} after {self.after_s:.2f} s"
        return f"{self.point}:{self.count}" + (" of an orderly stop" if self.interrupt else "")


@dataclass(frozen=True, slots=True)
class Case:
    """The parameters of a case.

    `live` is the writers' share of the table's capacity; `faults` are names of FAULTS with their probabilities. A small
    `max_rcu` makes small pages, so that there are many of them.
    """

    seed: int
    selection: str = "scan"
    marker: Literal["revision", "stamp"] = "revision"
    writer: Literal["partiql", "update"] = "partiql"
    segments: int = 1
    processes: int = 1
    max_rcu: int | None = None
    items: int = 400
    capacity: int = 400
    live: float = 0.0
    faults: dict[str, float] = field(default_factory=dict)
    kills: Sequence[Kill] = ()
    hot: int = 0
    """Number of selected items that get half of the writes of the live writers, most of them of the marker."""
    slow_lookup: bool = False

    @property
    def attribute(self) -> str:
        """The marker's attribute."""
        return "revision" if self.marker == "revision" else "refire_run_id"

    @property
    def fragile(self) -> bool:
        """Whether writes of this run can have an unknown outcome."""
        return bool(self.kills) or any(name in WRITES_UNKNOWN or name in STALLS for name in self.faults)

    def fault_file(self, table: str) -> dict[str, Any]:
        """The faults in the sandbox's format, for requests of the program to this table."""
        faults = []
        for name, probability in self.faults.items():
            fault = dict(FAULTS[name])
            writes = "BatchExecuteStatement" if self.writer == "partiql" else "UpdateItem"
            operations = [*READS, writes]
            if fault["kind"] == "transaction_conflict":  # single writes and members of batches meet it
                operations = [writes]
                fault["scope"] = "member" if self.writer == "partiql" else "request"
            elif fault.get("scope") == "member":
                operations = ["BatchExecuteStatement"]
            faults.append({**fault, "probability": probability, "operations": operations, "tables": [table]})
        if self.slow_lookup:
            faults.append({**SLOW_LOOKUP, "tables": [table]})
        if self.live:
            faults.append({**SLOW_TRANSACTIONS, "tables": [table]})
        return {"seed": self.seed, "faults": faults}

    def describe(self) -> dict[str, Any]:
        """Plain JSON, to report a failing case."""
        return {**asdict(self), "kills": [str(kill) for kill in self.kills]}


RARE = (
    "conflict-read",
    "conflict-in-ledger",
    "outcome-unknown",
    "stopping",
    "rest-known",
    "doubt-resolved",
    "checkpoint-begun",
    "checkpoint-made",
)
"""Failpoints that an attempt reaches only in special circumstances, which tests arrange."""

COMMON = tuple(point for point in POINTS if point not in RARE)
ONCE = ("finishing", "work-done", "run-ended")
OF_BATCHES = ("batch-ready", "request-sent", "batch-answered", "batch-counted")


def draw_case(seed: int) -> Case:
    """The case with this seed."""
    draw = random.Random(f"case/{seed}")
    kills = tuple(_draw_kill(draw) for _ in range(draw.choice([0, 1, 2, 2, 3, 5])))
    marker = draw.choice(["revision", "revision", "stamp"])
    selection = draw.choice(["scan", *SELECTIONS])
    segments = draw.choice([1, 2, 5, 16]) if SELECTIONS[selection].segmented else 1
    processes = draw.choice([1, 2]) if segments > 1 else 1
    faults: dict[str, float] = {}
    if draw.random() < 0.6:
        names = draw.sample(list(FAULTS), draw.choice([1, 1, 2, 4]))
        # Each stall costs half a minute, so stalls are rarer.
        faults = {
            name: round(draw.uniform(0.01, 0.3), 3)
            for name in names
            if name not in STALLS or draw.random() < 0.3
        }
    case = Case(
        seed=seed,
        selection=selection,
        marker=marker,
        writer=draw.choice(["partiql", "partiql", "update"]),
        segments=segments,
        processes=processes,
        max_rcu=None if SELECTIONS[selection].looked_up else draw.choice([None, 8, 24]),
        items=draw.randrange(100, 700),
        live=draw.choice([0.0, round(draw.uniform(0.05, 0.5), 2)]),
        faults=faults,
        kills=kills,
    )
    if not case.live:
        return case
    return replace(case, hot=draw.choice([0, 4, 12]), slow_lookup=draw.random() < 0.5)


def _draw_kill(draw: random.Random) -> Kill:
    victim: Victim = draw.choice(["parent", "child", "both"])
    if draw.random() < 0.1:
        point = draw.choice(["stopping", "rest-known", "finishing", "committed"])
        return Kill(point, after_s=draw.uniform(0.0, KILL_WITHIN_S), interrupt=True)
    if draw.random() < 0.4:
        point = draw.choice(COMMON)
        count = 1 if point in ONCE else draw.randrange(1, 9 if point in OF_BATCHES else 4)
        return Kill(point, count, victim=victim)
    return Kill(after_s=draw.uniform(0.0, KILL_WITHIN_S), victim=victim)
