"""What a proof found: how the events of a run stand in the table's stream."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from refire_async.errors import ExitCode

Verdict: TypeAlias = Literal["proved", "not disproved", "not proved", "nothing to prove"]
"""`not disproved`: nothing speaks against it, but the stream shows too little to prove it."""

WEAK_VIEWS = ("KEYS_ONLY", "OLD_IMAGE", "NEW_IMAGE")
"""View types that show less than both images, the weakest first."""


def least_view(views: Iterable[str]) -> str:
    """Of several streams' view types the one that shows least; "" if there is none."""
    ranks = {view: rank for rank, view in enumerate(WEAK_VIEWS)}
    return min(views, key=lambda view: ranks.get(view, len(ranks)), default="")


def verdict_of(*, expected: int, clean: bool, view_type: str) -> Verdict:
    """What may be said of a proof: no more than its stream can show."""
    if not clean:
        return "not proved"
    if not expected:
        return "nothing to prove"
    return "not disproved" if view_type in WEAK_VIEWS else "proved"


@dataclass(slots=True)
class ProofCounts:
    """Items by what the stream shows of them: expected = once + missing + doubled + by_others + unproven.

    `by_others`: the run found them changed, and it was another writer's change that fired. `unproven`: the stream no
    longer reaches back to when they could have fired first, and shows nothing of them; or it shows what the run says
    at a time that is not the run's. `repeats`: those of `once`
    that have more records, of which the stream's view type does not tell whose they are.
    """

    expected: int = 0
    once: int = 0
    missing: int = 0
    doubled: int = 0
    by_others: int = 0
    unproven: int = 0
    repeats: int = 0

    def add(self, other: "ProofCounts") -> None:
        """Add every figure of `other` to this one."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def clean(self) -> bool:
        """Whether every expected item is proved to have fired, and not twice."""
        return not (self.missing or self.doubled or self.unproven)


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of holding a run's checkpoint against the stream.

    `began` is the run's start and `reaches_back_to` where what is left of the stream surely begins (seconds since the
    epoch): all of the run can be seen while the latter is the earlier one.
    Of what an `unfinished` run has not settled yet nothing is said, nor of what it `failed` to touch. `view_type` is
    that of the stream, the weakest of several. `clocks_disagree`: the stream has records, but nothing that the run
    says: then nothing is called missing.
    """

    run_id: str
    counts: ProofCounts
    records: int
    shards: int
    view_type: str
    seconds: float
    began: float = 0.0
    reaches_back_to: float = 0.0
    unfinished: bool = False
    missing_keys_file: str | None = None
    failed: int = 0
    clocks_disagree: bool = False

    @property
    def verdict(self) -> Verdict:
        """What may be said of it."""
        return verdict_of(expected=self.counts.expected, clean=self.counts.clean, view_type=self.view_type)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of `refire verify`."""
        return ExitCode.COMPLETE if self.counts.clean else ExitCode.UNPROVEN

    def to_json(self) -> dict[str, Any]:
        """One flat object, documented in docs/scripting.md."""
        counts = self.counts
        return {
            "run_id": self.run_id,
            "expected": counts.expected,
            "once": counts.once,
            "missing": counts.missing,
            "doubled": counts.doubled,
            "by_others": counts.by_others,
            "missing_keys_file": self.missing_keys_file,
        }
