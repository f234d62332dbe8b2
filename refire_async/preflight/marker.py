"""Rules about the marker attribute: whether a run may change it. Pure."""

import re
from decimal import Decimal

from refire_async.errors import UsageError
from refire_async.model.finding import Finding
from refire_async.model.keys import AttributeValue
from refire_async.model.marker import DEFAULT_ATTRIBUTE, Marker, UntouchableError
from refire_async.model.table import Table
from refire_async.preflight import findings
from refire_async.preflight.facts import Facts

LOCK_NAMES = frozenset(
    (
        "version",
        "_version",
        "__version",
        "ver",
        "lockversion",
        "versionnumber",
        "etag",
        "__v",
        "optlock",
        "rvn",
    )
)
"""Names of optimistic locks in object mappers and frameworks, in lower case, without inner underscores and dashes."""

WIDEST_SPREAD = 8
"""Each run of refire adds 1 to all items that it selects, so values further apart may be the application's."""

MOST_LEVELS = 8
"""Runs over parts of a table leave few different values, even far apart: items that the same runs touched have equal
values. A number of the application has nearly all values of its range."""

HIGHEST_COUNT = 1_000
"""More runs than any table has."""

_MADE_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


def on_table(table: Table, attribute: str, ttl_attribute: str | None = None) -> list[Finding]:
    """Findings if the attribute is a key of the table or an index, or the TTL attribute."""
    found = []
    if attribute == ttl_attribute:
        found.append(
            findings.MARKER_TTL.found(
                f"marker attribute {attribute} is the TTL attribute of table {table.name}"
            )
        )
    if attribute in table.keys.names:
        found.append(
            findings.MARKER_KEY.found(f"marker attribute {attribute} is a key of table {table.name}")
        )
    found.extend(
        findings.MARKER_INDEX_KEY.found(
            f"marker attribute {attribute} is a key of index {index.name}, so that a touch would move items"
        )
        for index in table.indexes
        if attribute in index.keys.names and attribute not in table.keys.names
    )
    return found


def check_marker(table: Table, attribute: str, ttl_attribute: str | None = None) -> None:
    """Refuse a marker that cannot be changed freely. Raises UsageError."""
    for finding in on_table(table, attribute, ttl_attribute):
        raise UsageError(finding.message, finding.action)


def check_values(facts: Facts) -> list[Finding]:
    """Findings about the attribute's values in the sampled items."""
    sample, run = facts.sample, facts.run
    found = on_table(run.table, run.marker_attribute, run.ttl_attribute)
    if sample is None or not sample.items or found:
        return found
    present = [value for value in sample.markers if value is not None]
    if run.marker_kind == "stamp":
        return _stamps(facts, present)
    marker = Marker("revision", run.marker_attribute, "")
    foreign = sum(not _countable(marker, value) for value in present)
    name, of = run.marker_attribute, f"of {sample.items:,} sampled items"
    if foreign:
        return [
            findings.MARKER_TYPE.found(f"{name} has values that cannot be incremented in {foreign:,} {of}")
        ]
    why = _own_number(name, [Decimal(value["N"]) for value in present], sample.items)
    if why:
        return [findings.MARKER_LOCK.found(f"{name} looks like the application's own number: {why}")]
    return []


def _countable(marker: Marker, value: AttributeValue) -> bool:
    try:
        marker.next(value)
    except UntouchableError:
        return False
    return True


def _own_number(name: str, values: list[Decimal], items: int) -> str | None:
    """Why the numbers are not those of earlier runs, or None.

    Earlier runs leave small whole numbers, and few different ones, since each adds 1 to all that it selects.
    """
    if not values:
        return None
    plain = name.lower()
    plain = plain[:2].rstrip("-") + plain[2:].replace("_", "").replace("-", "")
    if plain in LOCK_NAMES and 2 * len(values) >= items:
        return "it has the name of a version attribute, and most items have it"
    if any(value != value.to_integral_value() for value in values):
        return "it has fractions"
    lowest, highest = min(values), max(values)
    if lowest < 0 or highest > HIGHEST_COUNT:
        return "its values are not in the range of a count of runs"
    levels = len(set(values))
    if highest - lowest > WIDEST_SPREAD and levels > MOST_LEVELS:
        return f"it has {levels} different values, {highest - lowest:f} apart; runs of refire leave fewer"
    return None


def _stamps(facts: Facts, present: list[AttributeValue]) -> list[Finding]:
    run = facts.run
    if run.marker_attribute == DEFAULT_ATTRIBUTE["stamp"]:
        # Stamps may be overwritten, and users choose the ids of runs.
        return []
    foreign = sum(not _is_stamp(value, run.run_id) for value in present)
    if not foreign:
        return []
    return [
        findings.MARKER_OVERWRITES.found(
            f"{run.marker_attribute} has values that are not run ids in {foreign:,} of the {len(present):,} "
            "sampled items with it; the stamp would overwrite them"
        )
    ]


def _is_stamp(value: AttributeValue, run_id: str | None) -> bool:
    text = value.get("S")
    return text is not None and (text == run_id or _MADE_ID.fullmatch(text) is not None)
