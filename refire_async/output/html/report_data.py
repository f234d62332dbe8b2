"""The data of a report, read from a run's checkpoint."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from refire_async.checkpoint import catalog
from refire_async.checkpoint.ledger import Failure
from refire_async.checkpoint.read_only import read_unlocked
from refire_async.checkpoint.reading import SavedRun, peek, read_failures
from refire_async.checkpoint.recording import Recorded, read_recording
from refire_async.model.capacity import TABLE
from refire_async.model.run import RunStatus
from refire_async.model.series import Note
from refire_async.planning.forecast.cost import DEFAULT_PRICES, Cost, Prices, cost

WINDOW_S = 5.0
MOST_OF_BUDGET = 1.1
MOST_KEYS = 1_000
"""Failed items that are listed with their keys (`--with-keys`)."""


class BudgetUse(NamedTuple):
    """Windows that used more than 1.1 times the budget, all windows, and the highest share used in one.

    Without windows the budget is unknown; with `gaps` it is unknown for some of the writes: earlier versions did not
    record the budgets of indexes.
    """

    over: int
    windows: int
    highest: float
    gaps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """A run, its recording and failed items. `failed`: items by error code; `failed_keys`: the first `MOST_KEYS`."""

    run: SavedRun
    status: RunStatus
    recorded: Recorded
    prices: Prices = DEFAULT_PRICES
    failed: Counter[str] = field(default_factory=Counter)
    failed_keys: Sequence[Failure] = ()
    with_keys: bool = False

    def notes(self, *kinds: str) -> list[Note]:
        """Notes of these kinds, oldest first."""
        return [note for note in self.recorded.notes if note.kind in kinds]

    @property
    def proof(self) -> Note | None:
        """The last proof."""
        proofs = self.notes("proof")
        return proofs[-1] if proofs else None

    @property
    def cost(self) -> Cost | None:
        """Cost of the consumed units; None if the table's billing mode was not recorded."""
        billing = next((note.data["billing"] for note in reversed(self.notes("start"))), None)
        if billing is None:
            return None
        return cost(self.run.totals.wcu, self.run.totals.rcu, billing, prices=self.prices)

    @property
    def budgets(self) -> dict[str, BudgetUse]:
        """Use of the budgets of the table (`TABLE`) and of every index that was written to.

        A burst of a tenth of a second's budget is part of the promise. Units count when their response arrives,
        some time after they were consumed; in windows of at least `WINDOW_S` that does not matter.
        """
        names = dict.fromkeys([TABLE, *(name for point in self.recorded.points for name in point.wcu)])
        return {name: self._use(name) for name in names}

    def _use(self, resource: str) -> BudgetUse:
        shares: list[float] = []
        seconds = used = budget = 0.0
        gaps = False
        for point in self.recorded.points:
            if resource != TABLE and resource not in point.index_budgets:
                gaps |= resource in point.wcu
                continue
            seconds += point.seconds
            used += point.wcu.get(resource, 0.0)
            budget += point.budget if resource == TABLE else point.index_budgets[resource]
            if seconds >= WINDOW_S and budget > 0:
                shares.append(used / budget)
                seconds = used = budget = 0.0
        if not shares and budget > 0:
            shares.append(used / budget)
        over = sum(share > MOST_OF_BUDGET for share in shares)
        return BudgetUse(over, len(shares), max(shares, default=0.0), gaps)


def read_report_data(
    checkpoint: Path, *, with_keys: bool = False, prices: Prices = DEFAULT_PRICES
) -> ReportData:
    """Read the data of the run in a checkpoint; the run may be active. Raises CheckpointRefusedError."""

    def failures(db: sqlite3.Connection) -> tuple[Counter[str], list[Failure]]:
        codes = Counter(failure.code for failure in read_failures(db))
        return codes, list(islice(read_failures(db), MOST_KEYS)) if with_keys else []

    status = catalog.describe(checkpoint).status
    codes, keys = read_unlocked(checkpoint, failures)
    return ReportData(
        run=peek(checkpoint),
        status=status,
        recorded=read_recording(checkpoint),
        prices=prices,
        failed=codes,
        failed_keys=keys,
        with_keys=with_keys,
    )
