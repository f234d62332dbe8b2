"""Every fault of the sandbox, alone and mixed: each item fires once, and the run completes.

Most of it in virtual time, where half a minute without an answer costs nothing; a few over real sockets.
"""

import random
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.engine import run as engine
from refire_async.errors import ExitCode
from refire_async.events import Event, Retried
from refire_async.model.run import Result
from refire_async.model.stop import StopRequest
from refire_async.pacing.backoff import FAILURE_CEILING_S
from refire_async.pacing.outage import MAX_ATTEMPTS
from refire_async.settings import RunSettings, Tuning
from tests.evidence.case import FAULTS, Case
from tests.evidence.harness import carry_out
from tests.support.backends import Backend, on_one_backend
from tests.support.examples import examples, thinned
from tests.support.inprocess_server import InProcess, Item, table_spec
from tests.support.virtual_time import run_virtual

LONGEST_S = 3 * 3600.0
"""Virtual. With 30% of all requests failing, some of them wait for some minutes."""


@dataclass(frozen=True)
class Outcome:
    """The result of a run: `struck` faults, the table's items and how often each has fired."""

    result: Result
    events: list[Event]
    struck: int
    items: list[Item]
    fired: Counter[str]


async def run(case: Case, folder: Path) -> Outcome:
    """The engine on a table of `case.items` with the faults of the case; the table has no other writers."""
    service = InProcess(table_spec())
    draw = random.Random(case.seed)
    rows = [{"pk": {"S": f"item-{n}"}, "note": {"S": "x" * draw.randrange(300)}} for n in range(case.items)]
    for row in rows[::3]:
        row["revision"] = {"N": "41"}
    service.fill("orders", rows)
    service.break_down(case.fault_file("orders"))
    events: list[Event] = []
    asked = RunSettings(
        table="orders",
        marker=case.marker,
        tuning=Tuning(segments=case.segments, workers=4, writer=case.writer),
        checkpoint=folder / "run.refire",
        run_id="the-run",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "open_session", service.open_session)
        with anyio.fail_after(LONGEST_S):
            result = await engine.run(asked, emit=events.append, stop=StopRequest())
    return Outcome(result, events, service.struck, service.items("orders"), service.fired("orders"))


def check(case: Case) -> int:
    """Run it and check the promises. Returns how often a fault struck."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = run_virtual(lambda: run(case, Path(folder)))
    counts = outcome.result.summary.counts
    assert outcome.result.exit_code is ExitCode.COMPLETE, outcome.result.reason
    assert counts.scanned == counts.touched + counts.already == case.items
    assert set(outcome.fired.values()) == {1}
    assert len(outcome.fired) == case.items
    expected = {"42", "1"} if case.marker == "revision" else {"the-run"}
    assert {next(iter(item[case.attribute].values())) for item in outcome.items} == expected
    for retry in outcome.events:
        if isinstance(retry, Retried):
            assert 0 <= retry.delay_s <= FAILURE_CEILING_S
            assert retry.attempt < MAX_ATTEMPTS
    return outcome.struck


ALONE = {f"{name}, {marker}": (name, marker) for name in FAULTS for marker in ("revision", "stamp")}
"""In the default run the markers take turns."""


@pytest.mark.parametrize("fault", thinned(ALONE, *list(ALONE)[::4], *list(ALONE)[3::4]))
def test_each_fault_alone(fault: tuple[str, str]) -> None:
    """30% of the requests meet the fault. Both writers."""
    name, marker = fault
    assert check(Case(1, marker=marker, segments=3, items=300, faults={name: 0.3})) > 0
    assert check(Case(1, marker=marker, writer="update", segments=3, items=60, faults={name: 0.3})) > 0 or (
        FAULTS[name].get("scope") == "member"  # single updates have no members
    )


mixtures = st.dictionaries(st.sampled_from(list(FAULTS)), st.floats(0.01, 0.3), min_size=2, max_size=5)


@examples(4, 100)
@given(
    mixtures,
    st.sampled_from(["revision", "stamp"]),
    st.sampled_from(["partiql", "partiql", "update"]),
    st.integers(0, 2**32),
)
def test_faults_mixed(faults: dict[str, float], marker: str, writer: str, seed: int) -> None:
    """Several at once, each for 1 to 30% of the requests."""
    # Together they let some requests pass: none fails for longer than the limit of one request.
    total = sum(faults.values())
    faults = {name: share * min(1.0, 0.6 / total) for name, share in faults.items()}
    items = 40 if writer == "update" else 200
    check(Case(seed, marker=marker, writer=writer, segments=4, items=items, faults=faults))


MIXED = {
    "batches": Case(
        1,
        segments=4,
        items=400,
        faults={
            "500 after the write": 0.1,
            "reset after the write": 0.1,
            "answer cut": 0.1,
            "wrong checksum": 0.1,
            "500 of a member after its write": 0.05,
        },
    ),
    "single updates, stamped": Case(
        2,
        marker="stamp",
        writer="update",
        items=100,
        faults={
            "reset before the write": 0.1,
            "answer cut to nothing": 0.1,
            "answer drips": 0.1,
            "unavailable": 0.1,
        },
    ),
}


@on_one_backend
@pytest.mark.parametrize("case", MIXED.values(), ids=MIXED)
def test_faults_on_real_sockets(backend: Backend, tmp_path: Path, case: Case) -> None:
    """The real program on real connections that are reset, cut, corrupted and slow."""
    report = carry_out(backend, tmp_path, case)
    assert report.verdict.violations == []
    assert report.faults.total() > 10, report.faults
