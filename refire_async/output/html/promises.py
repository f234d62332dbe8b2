"""The program's promises, and what the run shows of each."""

from typing import Any, Literal, TypeAlias

from refire_async.model.capacity import TABLE
from refire_async.model.proof import WEAK_VIEWS, Verdict, verdict_of
from refire_async.model.units import utc_text
from refire_async.output.html.markup import Html, el, join, table
from refire_async.output.html.report_data import WINDOW_S, BudgetUse, ReportData
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
    """A row for each promise; it counts as kept only if the run shows it."""
    counts: dict[str, int] | None = None if report_data.proof is None else report_data.proof.data["tally"]
    rows = [
        _coverage(report_data, counts),
        _once(report_data, counts),
        _no_harm(report_data),
        _budget(report_data),
        _resume(report_data),
        _honest_end(report_data),
    ]
    body: list[tuple[object, ...]] = []
    for name, state, shown in rows:
        kind, label = _MARKS[state]
        body.append((el("b", name), el("span", label, class_=f"mark {kind}"), shown))
    return join(table(("promise", "", "what this run shows"), body), _proof(report_data))


def _coverage(report_data: ReportData, counts: dict[str, int] | None) -> Row:
    """A failed item has not fired; without a verification, only the run's own counts cover the others."""
    run, failed = report_data.run, report_data.run.counts.failed
    shown = f"{count(run.finished_segments)} of {count(run.spec.total_segments)} segments read to their end"
    if failed:
        shown += f"; {count(failed)} items could not be touched"
    if counts is None:
        shown += f"; events not verified, within 24 hours: refire verify {run.spec.run_id}"
    else:
        shown += f"; {count(counts['missing'])} of {count(counts['expected'])} items without an event"
        if counts["unproven"]:
            shown += f", {count(counts['unproven'])} not shown"
    if failed or (counts is not None and counts["missing"]):
        return "Coverage", "broken", shown
    whole = report_data.status == "complete" and _verdict(report_data) == "proved"
    return "Coverage", "kept" if whole else "not shown", shown


def _verdict(report_data: ReportData) -> Verdict | None:
    """The verdict of the run's last verification; None if there is none."""
    if report_data.proof is None:
        return None
    data: dict[str, Any] = report_data.proof.data
    counts = data["tally"]
    clean = not (counts["missing"] or counts["doubled"] or counts["unproven"])
    return verdict_of(expected=counts["expected"], clean=clean, view_type=data["view_type"])


def _once(report_data: ReportData, counts: dict[str, int] | None) -> Row:
    if counts is None:
        shown = f"not verified; within 24 hours: refire verify {report_data.run.spec.run_id}"
        return "Once", "not shown", shown
    shown = (
        f"{count(counts['once'])} of {count(counts['expected'])} events once by this run, "
        f"{count(counts['by_others'])} by others, {count(counts['doubled'])} doubled"
    )
    if counts["doubled"]:
        return "Once", "broken", shown
    proved = _verdict(report_data) == "proved" and not (
        report_data.proof and report_data.proof.data["unfinished"]
    )
    return "Once", "kept" if proved else "not shown", shown


def _no_harm(report_data: ReportData) -> Row:
    counts = report_data.run.counts
    shown = (
        f"every write is conditional: {count(counts.conflicts)} met other writers and lost no update, "
        f"{count(counts.vanished)} deleted during the run stayed deleted"
    )
    return "No harm", "kept", shown


def _budget(report_data: ReportData) -> Row:
    budgets = report_data.budgets
    if not budgets[TABLE].windows:
        return "Budget", "not shown", "nothing was recorded"
    shown = "; ".join(_use_of(name, use) for name, use in budgets.items())
    if any(use.over for use in budgets.values()):
        return "Budget", "broken", shown
    known = all(use.windows and not use.gaps for use in budgets.values())
    return "Budget", "kept" if known else "not shown", shown


def _use_of(name: str, use: BudgetUse) -> str:
    if not use.windows:
        return f"the budget of index {name} was not recorded"
    whose = "the table's budget" if name == TABLE else f"that of index {name}"
    share = percent(use.highest) if use.highest < 1 else f"{100 * use.highest:.0f}%"
    return (
        f"{count(use.over)} of {count(use.windows)} windows of {WINDOW_S:g} s above {whose} and its burst, "
        f"the highest took {share} of it"
        + (", not counting writes without a recorded budget" if use.gaps else "")
    )


def _resume(report_data: ReportData) -> Row:
    attempts = len(report_data.notes("start"))
    shown = f"{count(attempts)} {'attempt' if attempts == 1 else 'attempts'}, "
    shown += f"{count(report_data.run.open_pages)} pages with unknown outcomes"
    return "Resume", "not shown" if report_data.run.open_pages else "kept", shown


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
    shown = (
        f"{_PROOFS[_verdict(report_data) or 'not proved']}, {utc_text(proof.at)}: {count(data['records'])} records of "
        f"{count(data['shards'])} shards, view type {data['view_type']}."
    )
    if data["view_type"] in WEAK_VIEWS:
        shown += " Such records show too little to prove that each event is the run's, and the only one."
    if data.get("clocks_disagree"):
        shown += " The stream has none of the events that the run expects: the clocks disagreed."
    if data["tally"]["unproven"]:
        shown += f" For {count(data['tally']['unproven'])} items the stream no longer had the records."
    if data["unfinished"]:
        shown += " The run had not ended: items in progress are not included."
    return el("p", shown, class_="muted")
