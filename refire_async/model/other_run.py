"""Another run of the same table, whose touches would add to those of the run that is about to start."""

from dataclasses import dataclass

from refire_async.model.finding import Finding
from refire_async.model.selection import Selection


@dataclass(frozen=True, slots=True)
class OtherRun:
    """A run that is not complete. `working`: a process is working on it now."""

    run_id: str
    working: bool
    touched: int
    selection: Selection

    def may_overlap(self, selection: Selection) -> bool:
        """Whether an item can be in both selections. Different values of the same hash key share no item."""
        one, other = selection, self.selection
        if not (one.kind == other.kind == "query" and one.index == other.index):
            return True
        return any(value in other.key_values for value in one.key_values)


@dataclass(frozen=True, slots=True)
class OtherRuns:
    """The question whether to start in parallel with other runs, with the findings about them."""

    findings: tuple[Finding, ...]
