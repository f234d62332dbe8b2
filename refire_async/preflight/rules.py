"""Apply all rules to the facts; most serious findings first. Pure."""

from collections.abc import Callable, Iterable

from refire_async.errors import RefusedError
from refire_async.model.finding import Finding
from refire_async.preflight import consumers, marker, table
from refire_async.preflight.facts import Facts
from refire_async.preflight.findings import (
    KINDS,
    NOT_ASKED,
    OTHER_RUN_STOPPED,
    OTHER_RUN_WORKING,
    PERMISSION_MISSING,
    WHERE_WORD,
)

_ORDER = {kind.id: number for number, kind in enumerate(KINDS)}


def _permissions(facts: Facts) -> list[Finding]:
    return [PERMISSION_MISSING.found(denied.message, denied.action) for denied in facts.denied]


def _other_runs(facts: Facts) -> list[Finding]:
    """Unfinished runs of the same table.

    A run in progress uses capacity and consumers whatever it selects. A stopped one matters only if both runs can
    select the same item.
    """
    found = []
    name = facts.run.table.name
    for other in facts.others:
        if other.working:
            found.append(OTHER_RUN_WORKING.found(f"run {other.run_id} of table {name} is in progress"))
        elif other.may_overlap(facts.run.selection):
            found.append(
                OTHER_RUN_STOPPED.found(
                    f"run {other.run_id} of table {name} was stopped after {other.touched:,} items",
                    f"continue it with refire resume {other.run_id}, or discard it with refire forget {other.run_id}",
                )
            )
    return found


def _selection(facts: Facts) -> list[Finding]:
    return [
        WHERE_WORD.found(
            f"{word} in --where has no quotes, so it is the name of an attribute and not text",
            f"write '{word}' for text, \"{word}\" in double quotes for the attribute",
        )
        for word in facts.run.where_words
    ]


def _unanswered(facts: Facts) -> list[Finding]:
    return [NOT_ASKED.found(why) for why in facts.unanswered]


_RULES: tuple[Callable[[Facts], list[Finding]], ...] = (
    table.check_table,
    table.check_stream,
    marker.check_values,
    _permissions,
    _other_runs,
    _selection,
    table.check_capacity,
    consumers.check_consumers,
    table.check_items,
    _unanswered,
)


def apply_rules(facts: Facts) -> list[Finding]:
    """All findings in the order of `KINDS`: stops, warnings, notes."""
    found = [finding for rule in _RULES for finding in rule(facts)]
    return sorted(found, key=lambda finding: _ORDER[finding.id])


def refuse(found: Iterable[Finding], ignored: frozenset[str]) -> None:
    """Raise RefusedError for the first finding that stops a run and is not ignored."""
    for finding in found:
        if finding.level == "stop" and finding.id not in ignored:
            raise RefusedError(finding.message, _action(finding))


def _action(finding: Finding) -> str:
    """The action of a finding, with the option that ignores it."""
    ignore = f"--ignore {finding.id}"
    return finding.action if ignore in finding.action else f"{finding.action}, or give {ignore}"
