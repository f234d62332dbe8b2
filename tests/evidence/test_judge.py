"""Tests of the judge: planted violations of every kind, and programs that break one promise each."""

import itertools
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evidence import mutants
from tests.evidence.case import Case, Kill
from tests.evidence.harness import carry_out
from tests.evidence.judge import Evidence, Verdict, Write, judge
from tests.support.backends import Backend, on_one_backend
from tests.support.examples import thinned
from tests.support.judge import counted_up
from tests.support.streams import Change
from tests.support.tables import Identity, Item


def identity(name: str = "a") -> Identity:
    return frozenset({("pk", "S", name)})


def item(revision: int | None = None, by: str = "start", count: int = 0) -> Item:
    marker: Item = {} if revision is None else {"revision": {"N": str(revision)}}
    return {"pk": {"S": "a"}, "by": {"S": by}, "count": {"N": str(count)}, **marker}


def verdict(
    *images: Item | None,
    writes: tuple[Write, ...] = (),
    after: Item | bool | None = True,
    fragile: bool = False,
    older: bool = False,
    selected: bool = True,
) -> Verdict:
    """The verdict on one item that had each of these states in turn (`None`: it did not exist)."""
    changes: defaultdict[Identity, list[Change]] = defaultdict(list)
    for old, new in itertools.pairwise(images):
        event = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        changes[identity()].append(Change(event, {"pk": {"S": "a"}}, old, new))
    last = images[-1] if after is True else after
    return judge(
        Evidence(
            before={identity(): images[0]} if images[0] else {},
            after={identity(): last} if isinstance(last, dict) else {},
            changes=changes,
            writes=writes,
            selected=lambda _item: selected,
            marker="revision",
            touch=counted_up,
            fragile=fragile,
            older=older,
        )
    )


def put(token: str, what: Item, *, acknowledged: bool = True) -> Write:
    return Write("put", identity(), token, what, acknowledged)


def write(kind: Any, token: str, *, acknowledged: bool = True) -> Write:
    return Write(kind, identity(), token, acknowledged=acknowledged)


OLD_COPY = put("p1", item(4, "p1"))

GOOD: dict[str, dict[str, Any]] = {
    "touched": {"images": (item(), item(1))},
    "touched from a number": {"images": (item(4), item(5))},
    "not selected, not touched": {"images": (item(),), "selected": False},
    "incremented and touched": {
        "images": (item(), item(by="i1", count=1), item(1, "i1", 1)),
        "writes": (write("increment", "i1"),),
    },
    "fired by another's change of the marker": {
        "images": (item(4), item(5, "r1")),
        "writes": (write("revise", "r1"),),
    },
    "deleted before it was reached": {"images": (item(), None), "writes": (write("delete", "d1"),)},
    "deleted, put again and touched": {
        "images": (item(), item(1), None, item(by="p1"), item(1, "p1")),
        "writes": (write("delete", "d1"), put("p1", item(by="p1"))),
    },
    "a write whose answer was lost, applied": {
        "images": (item(), item(by="i1", count=1), item(1, "i1", 1)),
        "writes": (write("increment", "i1", acknowledged=False),),
    },
    "a write whose answer was lost, not applied": {
        "images": (item(), item(1)),
        "writes": (write("increment", "i1", acknowledged=False), write("delete", "d1", acknowledged=False)),
    },
    "marker taken back in a run with crashes": {
        "images": (item(4), item(5), OLD_COPY.item, item(5, "p1")),
        "writes": (OLD_COPY,),
        "fragile": True,
    },
    "overtaken in a run over an export with crashes": {
        "images": (item(4), item(5), item(6, "r1"), item(7, "r1")),
        "writes": (write("revise", "r1"),),
        "fragile": True,
        "older": True,
    },
}


@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD)
def test_what_may_happen(case: dict[str, Any]) -> None:
    """What the promises allow is no violation."""
    assert verdict(*case.pop("images"), **case).violations == []


BAD: dict[str, tuple[str, dict[str, Any]]] = {
    "never fired": ("missing", {"images": (item(),)}),
    "only incremented": (
        "missing",
        {"images": (item(), item(by="i1", count=1)), "writes": (write("increment", "i1"),)},
    ),
    "fired twice": ("doubled", {"images": (item(), item(1), item(2))}),
    "fired twice around another's write": (
        "doubled",
        {
            "images": (item(), item(1), item(2, "r1"), item(3, "r1")),
            "writes": (write("revise", "r1"),),
            "fragile": True,
        },
    ),
    "overtaken, and touched a third time": (
        "doubled",
        {
            "images": (item(4), item(5), item(6, "r1"), item(7, "r1"), item(8, "r2"), item(9, "r2")),
            "writes": (write("revise", "r1"), write("revise", "r2")),
            "fragile": True,
            "older": True,
        },
    ),
    "twice from an export's marker, with no write in between": (
        "doubled",
        {"images": (item(4), item(5), item(6)), "fragile": True, "older": True},
    ),
    "overtaken, but nothing was in doubt": (
        "doubled",
        {
            "images": (item(4), item(5), item(6, "r1"), item(7, "r1")),
            "writes": (write("revise", "r1"),),
            "older": True,
        },
    ),
    "marker taken back, but nothing was in doubt": (
        "doubled",
        {"images": (item(4), item(5), OLD_COPY.item, item(5, "p1")), "writes": (OLD_COPY,)},
    ),
    "an increment without a record": (
        "lost",
        {"images": (item(), item(1)), "writes": (write("increment", "i1"),)},
    ),
    "a delete without a record": ("lost", {"images": (item(), item(1)), "writes": (write("delete", "d1"),)}),
    "an increment put back": (
        "lost",
        {
            "images": (item(), item(by="i1", count=1), item(1)),
            "writes": (write("increment", "i1"),),
        },
    ),
    "an increment that counts for two": (
        "lost",
        {"images": (item(), item(by="i1", count=2)), "writes": (write("increment", "i1"),)},
    ),
    "deleted by no known write": ("lost", {"images": (item(), None)}),
    "put back after a delete": (
        "revived",
        {"images": (item(), None, item(1)), "writes": (write("delete", "d1"),)},
    ),
    "the marker jumps": ("other", {"images": (item(), item(2))}),
    "touched, but not selected": ("other", {"images": (item(), item(1)), "selected": False}),
    "the table differs from the stream": ("lost", {"images": (item(), item(1)), "after": item(1, count=9)}),
    "gone without a record": ("lost", {"images": (item(), item(1)), "after": None}),
    "another attribute changed": ("lost", {"images": (item(), {**item(1), "note": {"S": "x"}})}),
}


@pytest.mark.parametrize(("kind", "case"), BAD.values(), ids=BAD)
def test_what_must_not_happen(kind: str, case: dict[str, Any]) -> None:
    """Each planted violation is found under its name."""
    case = dict(case)
    found = verdict(*case.pop("images"), **case)
    assert getattr(found, kind), found.violations


# Each breaks a promise in this case, and `refire` does not.
KILLED = Case(1, segments=2, items=300, max_rcu=8, kills=(Kill("batch-counted", 4),))
CONTESTED = Case(5, items=300, live=0.5, hot=12, slow_lookup=True)
"""Others change a few items repeatedly, also between the lookup and the second attempt."""

CASES = {
    "forgetful": ({"missing"}, KILLED),
    "careless": ({"doubled"}, KILLED),
    "hasty": ({"doubled"}, KILLED),
    "overconfident": ({"doubled"}, Case(2, items=200, faults={"500 after the write": 0.3})),
    "shrugging": ({"missing"}, Case(4, items=200, faults={"500 before the write": 0.3})),
    "stubborn": ({"other"}, CONTESTED),
    "blind": ({"other"}, replace(CONTESTED, seed=6, slow_lookup=False)),
    "midwife": ({"revived"}, Case(7, items=300, live=0.5, writer="update")),
    "gullible": ({"missing"}, Case(8, "export", items=300, faults={"500 before the write": 0.3})),
    "naive": ({"lost", "revived"}, Case(3, items=300, live=0.5)),
}


@on_one_backend
@pytest.mark.parametrize(
    "broken",
    thinned(
        {name: (name, *rest) for name, rest in CASES.items()},
        *("forgetful", "careless", "overconfident", "stubborn", "midwife", "naive"),
    ),
)
def test_broken_programs_are_noticed(
    backend: Backend, tmp_path: Path, broken: tuple[str, set[str], Case]
) -> None:
    """A program without one safeguard is convicted by the whole machinery, for its fault.

    Where it takes a live writer at the right moment, it has three chances to be caught. By default each kind of
    violation is noticed; the other programs: `-m soak`.
    """
    mutant, kinds, case = broken
    program = [sys.executable, mutants.__file__, mutant]
    for seed in (case.seed, case.seed + 100, case.seed + 200)[: 3 if case.live else 1]:
        case = replace(case, seed=seed)
        found = carry_out(backend, tmp_path, case, program, keep=True).verdict
        if found.violations:
            break
    assert {text.partition(":")[0] for text in found.violations} >= kinds, found.violations
    assert (tmp_path / f"case-{case.seed}" / "stream.jsonl").exists(), "what it saw is kept"


@on_one_backend
@pytest.mark.parametrize(
    "case",
    thinned({str(case.seed): case for _, case in CASES.values()}, *("1", "2", "5", "7", "3")),
)
def test_refire_is_not_convicted_for_the_same(backend: Backend, tmp_path: Path, case: Case) -> None:
    """The same cases with the real program: no violation, so the mutation is the cause above."""
    report = carry_out(backend, tmp_path, case)
    assert report.verdict.violations == []
    assert len(report.kills) == len(case.kills)
    assert bool(report.faults) == bool(case.faults or case.slow_lookup or case.live)
    assert report.conflicts >= (1 if case.hot else 0)
