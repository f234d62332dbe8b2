"""What the program promises, and what one run shows of it."""

from typing import Any, Literal, TypeAlias

from refire_async.model.capacity import TABLE
from refire_async.model.proof import WEAK_VIEWS, Verdict, verdict_of
from refire_async.output.html.markup import Html, el, join, table
from refire_async.output.html.report_data import WINDOW_S, BudgetUse, ReportData
from refire_async.output.proof import moment
from refire_async.output.text import count, percent

State: TypeAlias = Literal["kept", "broken", "not shown"]
Row: TypeAlias = tuple[str, State, str]

_MARKS: dict[State, tuple[str, str]] = {
    "kept": ("ok", "✓ kept"),
    "broken": ("fail", "✗ broken"),
    "not shown": ("open", "not shown"),
}


_PROOFS: dict[Verdict, str] = {
    "proved": "Proved from the stream",
    "not disproved": "Not disproved by the stream",
    "not proved": "Not proved from the stream",
    "nothing to prove": "Nothing to prove",
}


def promises(report_data: ReportData) -> Html:
    """A row for each promise; what is not known is not called kept."""
    tally: dict[str, int] | None = None if report_data.proof is None else report_data.proof.data["tally"]
    rows = [
        _coverage(report_data, tally),
        _once(report_data, tally),
        _no_harm(report_data),
        _budget(report_data),
        _resume(report_data),
        _honest_end(report_data),
    ]
    body: list[tuple[object, ...]] = []
    for name, state, said in rows:
        kind, words = _MARKS[state]
        body.append((el("b", name), el("span", words, class_=f"mark {kind}"), said))
    return join(table(("promise", "", "what this run shows"), body), _proof(report_data))


def _coverage(report_data: ReportData, tally: dict[str, int] | None) -> Row:
    """An item that failed has not fired, and without a proof there is only the run's own word for the others."""
    run, failed = report_data.run, report_data.run.counts.failed
    said = f"{count(run.finished_segments)} of {count(run.spec.total_segments)} segments read to their end"
    if failed:
        said += f"; {count(failed)} items could not be touched"
    if tally is None:
        said += f"; events not verified, within 24 hours: refire verify {run.spec.run_id}"
    else:
        said += f"; {count(tally['missing'])} of {count(tally['expected'])} items without an event"
        if tally["unproven"]:
            said += f", of {count(tally['unproven'])} it is not shown"
    if failed or (tally is not None and tally["missing"]):
        return "Coverage", "broken", said
    whole = report_data.status == "complete" and _verdict(report_data) == "proved"
    return "Coverage", "kept" if whole else "not shown", said


def _verdict(report_data: ReportData) -> Verdict | None:
    """What may be said of the run's last proof; None if there is none."""
    if report_data.proof is None:
        return None
    data: dict[str, Any] = report_data.proof.data
    tally = data["tally"]
    clean = not (tally["missing"] or tally["doubled"] or tally["unproven"])
    return verdict_of(expected=tally["expected"], clean=clean, view_type=data["view_type"])


def _once(report_data: ReportData, tally: dict[str, int] | None) -> Row:
    if tally is None:
        said = f"not verified; within 24 hours: refire verify {report_data.run.spec.run_id}"
        return "Once", "not shown", said
    said = (
        f"{count(tally['once'])} of {count(tally['expected'])} events once by this run, "
        f"{count(tally['by_others'])} by others, {count(tally['doubled'])} doubled"
    )
    if tally["doubled"]:
        return "Once", "broken", said
    shown = _verdict(report_data) == "proved" and not (
        report_data.proof and report_data.proof.data["unfinished"]
    )
    return "Once", "kept" if shown else "not shown", said


def _no_harm(report_data: ReportData) -> Row:
    counts = report_data.run.counts
    said = (
        f"every write is conditional: {count(counts.conflicts)} met other writers and lost nothing, "
        f"{count(counts.vanished)} deleted meanwhile stayed deleted"
    )
    return "No harm", "kept", said


def _budget(report_data: ReportData) -> Row:
    budgets = report_data.budgets
    if not budgets[TABLE].windows:
        return "Budget", "not shown", "nothing was recorded"
    said = "; ".join(_use_of(name, use) for name, use in budgets.items())
    if any(use.over for use in budgets.values()):
        return "Budget", "broken", said
    known = all(use.windows and not use.gaps for use in budgets.values())
    return "Budget", "kept" if known else "not shown", said


def _use_of(name: str, use: BudgetUse) -> str:
    if not use.windows:
        return f"the budget of index {name} was not recorded"
    whose = "the table's budget" if name == TABLE else f"that of index {name}"
    share = percent(use.highest) if use.highest < 1 else f"{100 * use.highest:.0f}%"
    return (
        f"{count(use.over)} of {count(use.windows)} windows of {WINDOW_S:g} s above {whose} and its burst, "
        f"the highest took {share} of it" + (", without what no budget was recorded for" if use.gaps else "")
    )


def _resume(report_data: ReportData) -> Row:
    sittings = len(report_data.notes("start"))
    said = f"{count(sittings)} {'sitting' if sittings == 1 else 'sittings'}, "
    said += f"{count(report_data.run.open_pages)} pages in doubt"
    return "Resume", "not shown" if report_data.run.open_pages else "kept", said


def _honest_end(report_data: ReportData) -> Row:
    counts = report_data.run.counts
    if counts.scanned != counts.settled:
        open_items = counts.scanned - counts.settled
        return "Honest end", "not shown", f"{count(open_items)} items have no outcome yet"
    names = ("touched", "already", "vanished", "expired", "failed")
    parts = " + ".join(f"{count(getattr(counts, name))} {name}" for name in names)
    return "Honest end", "kept", f"{count(counts.scanned)} scanned = {parts}"


def _proof(report_data: ReportData) -> Html | None:
    proof = report_data.proof
    if proof is None:
        return None
    data: dict[str, Any] = proof.data
    said = (
        f"{_PROOFS[_verdict(report_data) or 'not proved']}, {moment(proof.at)}: {count(data['records'])} records of "
        f"{count(data['shards'])} shards, view type {data['view_type']}."
    )
    if data["view_type"] in WEAK_VIEWS:
        said += " Such records do not show enough to prove that each event is the run's, and the only one."
    if data.get("clocks_disagree"):
        said += " The stream has none of what the run says: the clocks of the machine and of the service disagreed."
    if data["tally"]["unproven"]:
        said += f" Of {count(data['tally']['unproven'])} items the stream was already too short to tell."
    if data["unfinished"]:
        said += " The run had not ended: nothing is said of what it had not settled."
    return el("p", said, class_="muted")
