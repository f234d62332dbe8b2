"""Ids and levels of findings are documented API."""

import re
from pathlib import Path

import refire_async
from refire_async.preflight.findings import IGNORABLE, KINDS

DOCUMENT = Path(refire_async.__file__).parent.parent / "docs" / "findings.md"


def test_the_document_has_every_finding_with_its_level_meaning_and_action() -> None:
    """Row for row, in the order in which findings are shown."""
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in DOCUMENT.read_text().splitlines()
        if re.match(r"\| `", line)
    ]
    assert rows == [(f"`{kind.id}`", kind.level, kind.meaning, kind.action) for kind in KINDS]


def test_ids_are_unique_words_and_stops_come_first() -> None:
    """An id can be typed after --ignore, and the most serious findings come first."""
    ids = [kind.id for kind in KINDS]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) and len(name) <= 20 for name in ids)
    assert [kind.level for kind in KINDS] == sorted(
        (kind.level for kind in KINDS), key=["stop", "warn", "info"].index
    )


def test_ids_that_scripts_rely_on_stay() -> None:
    """Ids of the first version."""
    assert {"stream-disabled", "table-status", "global-table"} <= set(IGNORABLE)
