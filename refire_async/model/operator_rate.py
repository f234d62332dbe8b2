"""What an operator has set for all tasks of a run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OperatorRate:
    """`rate` as text (None: the options of each task apply), and whether the run is paused.

    `by` is who set it, `at` when (seconds since the epoch).
    """

    rate: str | None
    paused: bool
    by: str
    at: float
