"""The result of a verification as text."""

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from refire_async.model.canary import Canary
from refire_async.model.proof import Proof, Verdict
from refire_async.model.units import utc_text
from refire_async.output.text import count, duration, percent

_MEANINGS = (
    ("once", "fired, exactly once by this run"),
    ("by_others", "fired by another writer's change before the run wrote"),
    ("missing", "no event of this run in the stream"),
    ("doubled", "more than one event that only a run causes"),
    ("unproven", "unknown: older than the stream's oldest record, or outside the run's time"),
)

_LESS = {
    "KEYS_ONLY": "records have no images, so events of this run cannot be distinguished from others, nor a second one"
    " detected",
    "NEW_IMAGE": "records have no old image, so another writer's change that adds one to the marker looks like a touch",
    "OLD_IMAGE": "records have no new image, so another writer's change that adds one to the marker looks like a touch",
}

_LESS_ONCE = {
    "KEYS_ONLY": "have a record since the run read them; the stream does not show which writer's",
    "NEW_IMAGE": "have a record with the marker that the run wrote; the stream does not show what else changed",
    "OLD_IMAGE": "have a record with the marker that the run replaced; the stream does not show with what",
}
"""Meaning of `once` where the stream shows less than both images."""

_VERDICTS: dict[Verdict, str] = {
    "proved": "proved from the stream",
    "not disproved": "not disproved: the stream contradicts nothing but shows too little to prove it",
    "not proved": "not proved from the stream",
    "nothing to prove": "nothing to prove: it touched no item",
}


def describe_proof(proof: Proof, *, rerun_with: str | None) -> str:
    """The text at the end of a verification. `rerun_with`: the command that touches the missing items again."""
    lines = [f"Run {proof.run_id}: {_VERDICTS[proof.verdict]}", "", *_counts(proof), "", *_limits(proof)]
    if proof.clocks_disagree:
        lines += ["", clocks_disagree(proof)]
    if proof.missing_keys_file is not None:
        lines += ["", f"The keys of missing items: {proof.missing_keys_file}"]
        if rerun_with is not None:
            lines.append(f"Fire them again: {rerun_with}")
    return "\n".join(lines)


def _counts(proof: Proof) -> list[str]:
    """A line for each count with its meaning for the stream's view type."""
    counts = proof.counts
    meanings = dict(_MEANINGS)
    meanings["once"] = _LESS_ONCE.get(proof.view_type, meanings["once"])
    numbers = {name: count(getattr(counts, name)) for name in ("expected", *meanings)}
    if proof.view_type == "KEYS_ONLY":
        numbers["doubled"], meanings["doubled"] = "?", "not visible in this stream"
    width = max(map(len, numbers.values()))
    lines = [f"  {'expected':<9} {numbers['expected']:>{width}}  items that the run touched or found changed"]
    for name, meaning in meanings.items():
        if name in ("once", "missing", "doubled") or getattr(counts, name):
            lines.append(f"  {name.replace('_', ' '):<9} {numbers[name]:>{width}}  {meaning}")
    return lines


def _limits(proof: Proof) -> list[str]:
    """What was read, and what it cannot show."""
    counts = proof.counts
    lines = [f"  {count(proof.records)} records of {count(proof.shards)} shards, {duration(proof.seconds)}"]
    less = _LESS.get(proof.view_type)
    if less is not None:
        lines.append(f"  The stream is {proof.view_type}: {less}")
    if counts.repeats:
        lines.append(f"  {count(counts.repeats)} items have more than one record; their writers are unknown")
    if proof.failed:
        lines.append(
            f"  {count(proof.failed)} items failed: the run did not touch them, so it expects no events for them"
        )
    if proof.unfinished:
        lines.append("  The run has not ended: items in progress are not included")
    back = utc_text(proof.reaches_back_to)
    left_s = proof.began - proof.reaches_back_to
    if left_s >= 0:
        lines.append(f"  The stream reaches back to {back}: the run's records expire in {duration(left_s)}")
    else:
        lines.append(
            f"  The stream reaches back to {back}, not to the run's start at {utc_text(proof.began)}"
        )
    return lines


def clocks_disagree(proof: Proof) -> str:
    """One line on a verification that found records, but none of the events that the run expects."""
    return (
        f"The stream has {count(proof.records)} records, but none of the events that the run expects since "
        f"{utc_text(proof.began)}: the clocks of this machine and of the service disagree, or this is not the stream "
        "of that run. Correct the clock and verify again; no item is reported missing, do not touch any item again"
    )


def describe_canary(canary: Canary) -> str:
    """The canary's result, shown before the question whether to continue."""
    lines = [f"Canary: {count(canary.items)} items touched, {'clean' if canary.clean else 'NOT clean'}"]
    if canary.failed:
        lines.append(f"  failed    {count(canary.failed)} items could not be touched")
    if canary.proof is not None:
        counts = canary.proof.counts
        lines.append(
            f"  events    {count(counts.once + counts.by_others)} of {count(counts.expected)} fired"
            f", {count(counts.missing)} missing, {count(counts.doubled)} doubled"
        )
        if counts.unproven:
            lines.append(f"  unknown   {count(counts.unproven)} events")
        if canary.proof.verdict == "not disproved":
            lines.append(
                f"  not proved: the stream is {canary.proof.view_type}, {_LESS[canary.proof.view_type]}"
            )
    else:
        lines.append(f"  events    not verified: {canary.unproven}")
    for one in canary.consumers.known:
        age = "no age yet" if one.age_s is None else f"iterator age {duration(one.age_s)}"
        behind = ", behind" if one.function in canary.consumers.behind else ""
        lines.append(
            f"  consumer  {one.function}: {count(one.invocations)} invocations"
            f", {count(one.errors)} errors, {age}{behind}"
        )
    if canary.consumers.unknown is not None:
        lines.append(f"  consumers unknown: {canary.consumers.unknown}")
    return "\n".join(lines)


def bar(doing: str, done: int, total: int, columns: int) -> RenderableType:
    """Progress of a verification on one line. The stream may hold more records than the run's."""
    share = min(done / total, 1.0) if total else 0.0
    text = f"{doing}: {count(done)} of {count(total)}" if total else f"{doing}: {count(done)}"
    line = Table.grid(padding=(0, 1))
    width = max(min(columns, 100) - len(text) - 8, 5)
    line.add_row(
        ProgressBar(total=1.0 if total else None, completed=share, width=width), percent(share), text
    )
    return line
