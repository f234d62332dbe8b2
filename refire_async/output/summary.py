"""The summary at the end of a run as text, and the commands that it suggests."""

import shlex
from collections.abc import Iterable, Sequence

from refire_async.model.counts import Counts
from refire_async.model.run import DryRun, Result, Summary
from refire_async.output.text import count, duration, units
from refire_async.planning.forecast.cost import DEFAULT_PRICES

MEANINGS = (
    ("touched", "changed by this run: each emitted a record"),
    ("already", "had fired before this attempt, left unchanged"),
    ("vanished", "deleted by other writers during the run, left deleted"),
    ("expired", "past their time to live, left unchanged"),
    ("failed", "could not be touched"),
)

_ENDINGS = {
    "complete": "complete",
    "stopped": "stopped before the end",
    "failed": "failed",
    "dry-run": "dry run, nothing was written",
    "running": "still running",
}


def command_line(*words: str, options: Iterable[tuple[str, str | None]] = ()) -> str:
    """A `refire` command that can be pasted into a shell. Options that are None are left out."""
    line: list[str] = ["refire", *words]
    for name, value in options:
        if value is not None:
            # `=` keeps a value that begins with a dash from being read as an option.
            line += [f"{name}={value}"] if value.startswith("-") else [name, value]
    return shlex.join(line)


def describe(
    result: Result, *, resume_with: str, rerun_failed_with: str | None = None, verify_with: str | None = None
) -> str:
    """The text at the end of a run: counts, rate, consumed capacity, and what to do next.

    `verify_with` is the command that verifies a complete run, which is possible while the stream keeps its records.
    """
    summary = result.summary
    if result.dry_run is not None:
        text = _describe_dry_run(summary, result.dry_run)
        return text if result.nothing is None else f"{text}\n\n  {result.nothing}"
    ending, failed = _ENDINGS[summary.status], summary.counts.failed
    if failed and summary.status == "complete":
        ending += f", but {count(failed)} items failed"
    lines = [f"Run {summary.run_id} of table {summary.table}: {ending}"]
    if result.reason:
        lines.append(f"  because: {result.reason}")
    if result.nothing is not None:
        lines.append(f"  {result.nothing}")
    lines += ["", *_count_lines(summary.counts), "", *_cost_lines(summary)]
    if verify_with is not None and summary.status == "complete" and summary.counts.touched:
        lines += ["", f"Within 24 hours, verify that each fired once: {verify_with}"]
    if summary.failed_keys_file is not None and summary.counts.failed:
        lines += ["", f"Keys of the failed items, with reasons: {summary.failed_keys_file}"]
        if rerun_failed_with is not None:
            lines.append(f"To retry them once the causes are fixed: {rerun_failed_with}")
    if summary.status != "complete":
        lines += ["", f"Resume with: {resume_with}"]
    return "\n".join(lines)


def _count_lines(counts: Counts) -> Sequence[str]:
    numbers = {name: count(getattr(counts, name)) for name in ("scanned", *(name for name, _ in MEANINGS))}
    width = max(len(number) for number in numbers.values())
    lines = [f"  {'scanned':<9} {numbers['scanned']:>{width}}"]
    for name, meaning in MEANINGS:
        if name == "touched" or getattr(counts, name):
            line = f"  {name:<9} {numbers[name]:>{width}}"
            lines.append(f"{line}  {meaning}" if getattr(counts, name) else line)
    if counts.conflicts:
        lines.append(
            f"  {count(counts.conflicts)} of the touched were changed by other writers; no update was lost"
        )
    return lines


def _cost_lines(summary: Summary) -> Sequence[str]:
    speed = f"{units(summary.items_per_second)} items/s"
    return [
        f"  took      {duration(summary.seconds)}, {speed}",
        f"  consumed  {units(summary.wcu)} WCU, {units(summary.rcu)} RCU",
        f"  throttled {count(summary.throttled)}, retries {count(summary.retries)}",
    ]


def _describe_dry_run(summary: Summary, found: DryRun) -> str:
    limit = " in what was read; there are more" if found.more else ""
    return "\n".join(
        (
            f"Table {summary.table}: dry run, nothing was written",
            "",
            f"  would touch  {count(found.items)} items{limit}",
            f"  would take   {duration(found.seconds)}, limited by {found.bound_by}",
            f"  would use    {units(found.wcu)} WCU to write, {units(found.rcu)} RCU to read",
            f"  would cost   {_dollars(found)}",
            f"  reading took {duration(summary.seconds)} and {units(summary.rcu)} RCU: it read the whole selection",
            "",
            "'refire plan' estimates this from a sample, for a fraction of the reads.",
        )
    )


def _dollars(found: DryRun) -> str:
    amount = f"${found.cost_usd:,.2f}" if found.cost_usd >= 0.01 or not found.cost_usd else "less than $0.01"
    paid = "" if found.extra_cost else " of provisioned capacity you already pay for"
    return f"{amount}{paid} (prices of {DEFAULT_PRICES.region}, {DEFAULT_PRICES.date})"
