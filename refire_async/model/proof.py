"""The result of a verification: the events of a run as the table's stream shows them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from refire_async.errors import ExitCode

Verdict: TypeAlias = Literal["proved", "not disproved", "not proved", "nothing to prove"]
"""`not disproved`: the stream contradicts nothing, but shows too little to prove it."""

WEAK_VIEWS = ("KEYS_ONLY", "OLD_IMAGE", "NEW_IMAGE")
"""View types that show less than both images, from least to most."""


def least_view(views: Iterable[str]) -> str:
    """The view type that shows least; "" if there is none."""
    ranks = {view: rank for rank, view in enumerate(WEAK_VIEWS)}
    return min(views, key=lambda view: ranks.get(view, len(ranks)), default="")


def verdict_of(*, expected: int, clean: bool, view_type: str) -> Verdict:
    """The verdict on a run: no more than its stream can show."""
    if not clean:
        return "not proved"
    if not expected:
        return "nothing to prove"
    return "not disproved" if view_type in WEAK_VIEWS else "proved"


@dataclass(slots=True)
class ProofCounts:
    """Items by what the stream shows: expected = once + missing + doubled + by_others + unproven.

    `by_others`: the run found the item changed, and another writer's change fired. `unproven`: the stream has no
    event and no longer reaches back to the earliest time at which the item can have fired; or it has the expected
    change at a time outside the run. `repeats`: those of `once` that have further records whose writer the view type
    does not show.
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
        """Whether no item is missing, doubled or unproven."""
        return not (self.missing or self.doubled or self.unproven)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The comparison of a run's checkpoint with the stream.

    `records` and `shards` are how many of them were read, in `seconds`. `began` is the run's start, and all records
    from `reaches_back_to` on are certainly still in the stream (seconds since the epoch): the whole run is visible
    while `reaches_back_to` is earlier than `began`. Items that an `unfinished` run has not acknowledged yet are not
    included, nor are the `failed` ones. `view_type` is that of the stream, of several the one that shows least.
    `clocks_disagree`: the stream has records but none that the run made, so no item counts as missing.
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
        """The verdict on the run."""
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
