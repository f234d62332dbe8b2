"""Another run of the same table, whose touches would add to those of the run that is about to begin."""

from dataclasses import dataclass

from refire_async.model.finding import Finding
from refire_async.model.selection import Selection


@dataclass(frozen=True, slots=True)
class OtherRun:
    """A run that is not complete. `working`: a process is at work on it right now."""

    run_id: str
    working: bool
    touched: int
    selection: Selection

    def may_meet(self, selection: Selection) -> bool:
        """Whether an item can be in both selections. Different values of the same hash key share none."""
        ours, theirs = selection, self.selection
        if not (ours.kind == theirs.kind == "query" and ours.index == theirs.index):
            return True
        return any(value in theirs.key_values for value in ours.key_values)


@dataclass(frozen=True, slots=True)
class OtherRuns:
    """The question whether to go on beside other runs: what was found about them."""

    findings: tuple[Finding, ...]
