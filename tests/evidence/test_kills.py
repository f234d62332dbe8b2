"""A run that is killed at every failpoint continues and every item fires once. Judged by replaying the stream."""

from pathlib import Path

import pytest

from refire_async.failpoints import POINTS
from tests.evidence.case import Case, Kill
from tests.evidence.harness import carry_out
from tests.evidence.rows import SELECTIONS
from tests.support.backends import Backend, on_one_backend
from tests.support.examples import thinned


def at(*points: str) -> tuple[Kill, ...]:
    """Kills at these points, one per attempt; `point:3` is its third time."""
    return tuple(Kill(name, int(count or 1)) for name, _, count in (text.partition(":") for text in points))


# Each chain is one run, killed once in each of its attempts but the last.
CHAINS = {
    "reading": Case(
        1,
        segments=2,
        items=240,
        max_rcu=8,
        kills=at(
            *(
                "checkpoint-begun",
                "checkpoint-made",
                "page-read:2",
                "page-in-ledger:2",
                "request-sent:5",
                "batch-ready:3",
            ),
            *("commit-begun:2", "commit-pending:2"),
        ),
    ),
    "writing": Case(
        2,
        segments=2,
        items=240,
        max_rcu=8,
        kills=at(
            *("batch-answered:2", "doubt-resolved", "batch-counted:3", "page-settled:2", "page-closed:2"),
            "committed:3",
        ),
    ),
    "the end": Case(3, segments=2, items=60, kills=at("segment-read", "finishing")),
    "the last commit": Case(3, items=60, kills=at("work-done")),
    "the summary": Case(4, items=60, kills=at("run-ended")),
    "a lost answer": Case(
        5,
        segments=2,
        items=240,
        faults={"500 after the write": 0.5},
        kills=at("outcome-unknown:2", "outcome-unknown"),
    ),
    "a conflict": Case(6, items=300, live=0.5, kills=at("conflict-read")),
    "a conflict, known": Case(6, items=300, live=0.5, kills=at("conflict-in-ledger")),
    "an orderly stop": Case(
        7,
        segments=2,
        items=240,
        kills=(
            Kill("stopping", after_s=0.2, interrupt=True),
            Kill("rest-known", after_s=0.2, interrupt=True),
        ),
    ),
}


def test_no_point_is_left_out() -> None:
    """The chains reach every failpoint of the program."""
    assert {kill.point for case in CHAINS.values() for kill in case.kills} == set(POINTS)


def check(backend: Backend, folder: Path, case: Case, *, kills: int | None = None) -> None:
    """No promise is broken, and the number of kills is as planned."""
    report = carry_out(backend, folder, case)
    assert report.verdict.violations == []
    assert len(report.kills) >= (len(case.kills) if kills is None else kills), report.kills


@on_one_backend
@pytest.mark.parametrize("case", CHAINS.values(), ids=CHAINS)
def test_killed_at_every_point(backend: Backend, tmp_path: Path, case: Case) -> None:
    """Kill after kill, each at another point; then the run is left alone and completes."""
    check(backend, tmp_path, case)


@pytest.mark.parametrize("backend_name", ["dynamodb-local"], scope="session")
def test_killed_before_the_judge_of_semantics(backend: Backend, tmp_path: Path) -> None:
    """The same on DynamoDB Local, where writes, conditions and stream are Amazon's own code."""
    kills = at("request-sent:6", "batch-answered:2", "doubt-resolved", "page-closed:2", "committed:3")
    check(backend, tmp_path, Case(1, segments=2, items=240, max_rcu=8, kills=kills))


@on_one_backend
def test_every_process_dies_at_a_point(backend: Backend, tmp_path: Path) -> None:
    """Both children and their replacements, until the parent gives up; then all processes at a random time.

    One child, or the parent, killed at a known request: tests/scenarios/test_processes.py.
    """
    kills = (Kill("batch-answered", 4), Kill(after_s=0.1, victim="both"))
    check(backend, tmp_path, Case(8, segments=8, processes=2, items=400, kills=kills))


@on_one_backend
@pytest.mark.parametrize(
    "selection",
    thinned(dict(zip(SELECTIONS, SELECTIONS, strict=True)), "scan", "filtered scan", "index query", "export"),
)
def test_killed_among_live_writers(backend: Backend, tmp_path: Path, selection: str) -> None:
    """Every source, with an application that uses half of the table's capacity, and a kill in the middle.

    No update is lost, nothing comes back to life, every item that was there all the time has fired, none fires twice
    (but for markers that the application takes back between the kill and the resume, which the design says). The other
    selections: `-m soak`.
    """
    check(backend, tmp_path, Case(9, selection, items=200, live=0.5, kills=at("batch-answered:2")))
