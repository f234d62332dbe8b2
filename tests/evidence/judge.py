"""Judges a run: replays every stream record of every item in order, and each must be explained.

A record is either a touch by the run (the marker is incremented, nothing else changed) or a write of an application,
which has its own token in the attribute `by`. Any other record is a violation, and it has a name: an update lost, an
item brought back, another attribute changed.

The limit that docs/correctness.md names: an application that sets the marker back to exactly what the run read, between
an attempt with an unknown outcome (or a crash) and its repetition, makes a second touch possible. Such a second touch
is counted separately (`taken_back`), and only if all of these conditions hold. So is one of a run over an export, also
after an unknown outcome, whose touch from the export's marker was followed by another writer's change of the marker
(`overtaken`): it cannot be distinguished from a marker that was another all along. Every other second touch is a
violation.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.support.judge import Next, canonical
from tests.support.streams import Change
from tests.support.tables import Identity, Item

BY = "by"
"""The attribute with the token of the last write to an item."""

COUNT = "count"


@dataclass(frozen=True, slots=True)
class Write:
    """A write of an application. `item` is what it put; `acknowledged` is false if the response was lost."""

    kind: Literal["increment", "revise", "put", "delete"]
    identity: Identity
    token: str
    item: Item | None = None
    acknowledged: bool = True


@dataclass(slots=True)
class Verdict:
    """The numbers of checks, and every violation as text."""

    items: int = 0
    records: int = 0
    touches: int = 0
    touched: int = 0
    taken_back: int = 0
    overtaken: int = 0
    by_others: int = 0
    """Items that only an application's own change of the marker has fired."""
    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    revived: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        """All violations, each with its kind."""
        return [
            f"{kind}: {text}"
            for kind in ("missing", "doubled", "lost", "revived", "other")
            for text in getattr(self, kind)
        ]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The facts to judge. `changes` has every record since `before`, in order for each item."""

    before: Mapping[Identity, Item]
    after: Mapping[Identity, Item]
    changes: Mapping[Identity, list[Change]]
    writes: Iterable[Write]
    selected: Callable[[Item], bool]
    marker: str
    touch: Next
    fragile: bool
    """Whether the run had crashes or unknown outcomes: without them no second touch is excused."""
    older: bool = False
    """Whether the revisions that the run uses are older than the run, as those of an export are."""


def judge(evidence: Evidence) -> Verdict:
    """Replay every item's records."""
    verdict = Verdict(items=len(evidence.before))
    writes = _Writes(evidence.writes)
    for identity in evidence.before.keys() | evidence.changes.keys() | evidence.after.keys():
        _Replay(evidence, writes, verdict, identity).run()
    for write in writes.unseen():
        verdict.lost.append(f"{_name(write.identity)}: {write.kind} {write.token} left no record")
    return verdict


class _Writes:
    """The applications' writes: each is in the stream once, or, if its response was lost, at most once."""

    def __init__(self, writes: Iterable[Write]) -> None:
        self._by_token: dict[str, Write] = {}
        self._deletes: Counter[Identity] = Counter()
        self._maybe_deleted: Counter[Identity] = Counter()
        for write in writes:
            if write.kind == "delete":
                (self._deletes if write.acknowledged else self._maybe_deleted)[write.identity] += 1
            else:
                self._by_token[write.token] = write

    def take(self, token: str) -> Write | None:
        """The write with this token, unless its record has been seen already."""
        return self._by_token.pop(token, None)

    def take_delete(self, identity: Identity) -> bool:
        """Whether there is a delete of this item whose record has not been seen yet."""
        for deletes in (self._deletes, self._maybe_deleted):
            if deletes[identity]:
                deletes[identity] -= 1
                return True
        return False

    def unseen(self) -> list[Write]:
        """Acknowledged writes without a record."""
        deletes = [Write("delete", identity, "-") for identity in self._deletes.elements()]
        return [write for write in self._by_token.values() if write.acknowledged] + deletes


class _Replay:
    """One item through all of its records."""

    def __init__(self, evidence: Evidence, writes: _Writes, verdict: Verdict, identity: Identity) -> None:
        self._evidence = evidence
        self._writes = writes
        self._verdict = verdict
        self._identity = identity
        self._state = _canonical(evidence.before.get(identity))
        self._from_the_start = self._state is not None
        self._touched_from: list[Any] = []
        """The marker before each touch of this incarnation of the item."""
        self._remarked = 0
        """Writes of others that changed the marker since the last touch of this incarnation."""
        self._was_remarked = False
        self._is_touched = False

    def run(self) -> None:
        """Replay the records, and compare the end with the table."""
        for change in self._evidence.changes.get(self._identity, ()):
            self._verdict.records += 1
            self._check(change)
            self._state = _canonical(change.new)
        if self._state != _canonical(self._evidence.after.get(self._identity)):
            self._say("lost", "the table holds something else than the last record")
        self._verdict.touched += self._is_touched
        if self._from_the_start and self._state is not None:
            self._check_coverage()

    def _check(self, change: Change) -> None:
        marker, old, new = self._evidence.marker, _canonical(change.old), _canonical(change.new)
        if old != self._state:
            self._say("other", f"{change.event} does not follow from the record before it")
        if new is None:
            if not self._writes.take_delete(self._identity):
                self._say("lost", "deleted, but not by a known write")
            self._begin_again()
            return
        if old is not None and change.changed == {marker} and new.get(BY) == old.get(BY):
            self._touched(old, new)
            return
        write = self._writes.take(new.get(BY, {}).get("S", ""))
        if write is None:
            kind = "revived" if old is None else "lost"
            self._say(kind, f"{change.event} of {sorted(change.changed)} that is no write of the application")
            return
        if write.identity != self._identity or new != _after(write, old, marker):
            self._say("lost", f"{write.kind} {write.token} became {new}, from {old}")
        if (old or {}).get(marker) != new.get(marker):
            self._remarked += 1
            self._was_remarked = True

    def _touched(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        evidence, before = self._evidence, old.get(self._evidence.marker)
        self._verdict.touches += 1
        self._is_touched = True
        if not evidence.selected(old):
            self._say("other", "touched, though it is not selected")
        if new[evidence.marker] != evidence.touch(before):
            self._say("other", f"the marker went from {before} to {new[evidence.marker]}")
        if self._touched_from:
            if evidence.fragile and self._remarked and before in self._touched_from:
                self._verdict.taken_back += 1
            elif evidence.fragile and self._remarked and self._from_older():
                self._verdict.overtaken += 1
            else:
                self._say("doubled", f"touched from {self._touched_from}, then from {before}")
        self._touched_from.append(before)
        self._remarked = 0

    def _from_older(self) -> bool:
        """Whether the only touch so far was from the marker that the item had before the run."""
        first = self._evidence.before.get(self._identity, {}).get(self._evidence.marker)
        return self._evidence.older and self._touched_from == [first]

    def _begin_again(self) -> None:
        """The item is deleted. One that is put with its key later is another item."""
        self._from_the_start = False
        self._touched_from = []
        self._remarked = 0

    def _check_coverage(self) -> None:
        if self._touched_from or not self._evidence.selected(self._evidence.before[self._identity]):
            return
        if self._was_remarked:
            self._verdict.by_others += 1  # the writer that changed the marker emitted its record
        else:
            self._say("missing", "no touch, and no other writer has changed the marker")

    def _say(self, kind: Literal["missing", "doubled", "lost", "revived", "other"], text: str) -> None:
        getattr(self._verdict, kind).append(f"{_name(self._identity)}: {text}")


def _after(write: Write, old: dict[str, Any] | None, marker: str) -> dict[str, Any] | None:
    """The item after `write`; None if the write is impossible."""
    if write.kind == "put":
        return _canonical(write.item)
    if old is None:
        return None
    attribute = COUNT if write.kind == "increment" else marker
    number = int(old.get(attribute, {"N": "0"})["N"]) + 1
    return {**old, attribute: {"N": str(number)}, BY: {"S": write.token}}


def _canonical(item: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if item is None else canonical(item)


def _name(identity: Identity) -> str:
    return ", ".join(f"{name}={value}" for name, _, value in sorted(identity))
