"""What a report tells, read from a run's checkpoint."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from refire_async.checkpoint import catalog
from refire_async.checkpoint.ledger import Failure
from refire_async.checkpoint.looking import look
from refire_async.checkpoint.recording import Recorded, read_recording
from refire_async.checkpoint.store import SavedRun, peek, read_failures
from refire_async.forecast.cost import DEFAULT_PRICES, Cost, Prices, cost
from refire_async.model.run import RunStatus
from refire_async.model.series import Note, Point

WINDOW_S = 5.0
MOST_OF_BUDGET = 1.1
MOST_KEYS = 1_000
"""Failed items that are listed one by one, where keys are wanted."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """A run, how it went, and what it left. `failed_keys` are the first `MOST_KEYS` of `failed`, by error code."""

    run: SavedRun
    status: RunStatus
    recorded: Recorded
    prices: Prices = DEFAULT_PRICES
    failed: Counter[str] = field(default_factory=Counter)
    failed_keys: Sequence[Failure] = ()
    with_keys: bool = False

    def notes(self, *kinds: str) -> list[Note]:
        """Notes of these kinds, in the order of time."""
        return [note for note in self.recorded.notes if note.kind in kinds]

    @property
    def proof(self) -> Note | None:
        """The last proof."""
        proofs = self.notes("proof")
        return proofs[-1] if proofs else None

    @property
    def cost(self) -> Cost | None:
        """What the units cost; None where it was not recorded how the table is billed."""
        billing = next((note.data["billing"] for note in reversed(self.notes("start"))), None)
        if billing is None:
            return None
        return cost(self.run.totals.wcu, self.run.totals.rcu, billing, prices=self.prices)

    @property
    def over_budget(self) -> tuple[int, int, float]:
        """Windows in which the table took more than 1.1 times the budget, all windows, and the highest share of it.

        A burst of a tenth of a second's budget is part of the promise. Units count when their answer comes, which is
        some time after they were consumed: in windows of at least `WINDOW_S` that is of no weight.
        """
        shares: list[float] = []
        window = Point(0.0, 0.0)
        for point in self.recorded.points:
            window.add(point)
            if window.seconds >= WINDOW_S and window.budget > 0:
                shares.append(window.wcu.get("", 0.0) / window.budget)
                window = Point(0.0, 0.0)
        if not shares and window.budget > 0:
            shares.append(window.wcu.get("", 0.0) / window.budget)
        return sum(share > MOST_OF_BUDGET for share in shares), len(shares), max(shares, default=0.0)


def read_dossier(checkpoint: Path, *, with_keys: bool = False, prices: Prices = DEFAULT_PRICES) -> Dossier:
    """Everything about the run in a checkpoint, while it may be at work. Raises CheckpointRefusedError."""

    def failures(db: sqlite3.Connection) -> tuple[Counter[str], list[Failure]]:
        codes = Counter(failure.code for failure in read_failures(db))
        return codes, list(islice(read_failures(db), MOST_KEYS)) if with_keys else []

    status = catalog.describe(checkpoint).status
    codes, keys = look(checkpoint, failures)
    return Dossier(peek(checkpoint), status, read_recording(checkpoint), prices, codes, keys, with_keys)
