"""Apply all rules to the facts; most serious findings first. Pure."""

from collections.abc import Callable, Iterable

from refire_async.errors import RefusedError
from refire_async.model.finding import Finding
from refire_async.preflight import consumers, marker, other_runs, table
from refire_async.preflight.facts import Facts
from refire_async.preflight.findings import KINDS, NOT_ASKED, PERMISSION_MISSING, WHERE_WORD

_ORDER = {kind.id: number for number, kind in enumerate(KINDS)}


def _permissions(facts: Facts) -> list[Finding]:
    return [PERMISSION_MISSING.found(denied.message, denied.action) for denied in facts.denied]


def _selection(facts: Facts) -> list[Finding]:
    return [
        WHERE_WORD.found(
            f"{word} in --where has no quotes, so it is the name of an attribute and not a text",
            f"write '{word}' if a text is meant, \"{word}\" in double quotes for the attribute",
        )
        for word in facts.asked.where_words
    ]


def _unanswered(facts: Facts) -> list[Finding]:
    return [NOT_ASKED.found(why) for why in facts.unanswered]


_RULES: tuple[Callable[[Facts], list[Finding]], ...] = (
    table.check_table,
    table.check_stream,
    marker.check_values,
    _permissions,
    other_runs.check_other_runs,
    _selection,
    table.check_capacity,
    consumers.check_consumers,
    table.check_items,
    _unanswered,
)


def apply_rules(facts: Facts) -> list[Finding]:
    """Everything that there is to say, in the order of the registry: stops, warnings, then the rest."""
    found = [finding for rule in _RULES for finding in rule(facts)]
    return sorted(found, key=lambda finding: _ORDER[finding.id])


def refuse(found: Iterable[Finding], ignored: frozenset[str]) -> None:
    """Raise RefusedError for the first finding that stops a run and is not ignored."""
    for finding in found:
        if finding.level == "stop" and finding.id not in ignored:
            raise RefusedError(finding.message, _way_out(finding))


def _way_out(finding: Finding) -> str:
    ignore = f"--ignore {finding.id}"
    return finding.action if ignore in finding.action else f"{finding.action}, or give {ignore}"
