"""Facts, promises and the page: what is named exists, and the page is the one that the result files make."""

import re
from collections import Counter

from tests.probes import matrix, results
from tests.probes.catalogue import areas, facts
from tests.probes.facts import OTHER_USES, PROMISES, Probe
from tests.probes.show import bound
from tests.probes.support import ROOT

STORED = sorted((ROOT / "tests" / "probes" / "results").glob("*.json"))


def test_what_a_fact_names_exists() -> None:
    """Files of the program, promises and uses; ids are unique, and begin with their area."""
    for fact in facts():
        missing = [name for name in fact.code if not (ROOT / name).is_file()]
        assert not missing, f"{fact.id} names {missing}"
        assert set(fact.rests) <= {*PROMISES, *OTHER_USES}, fact.id
    assert [name for name, count in Counter(fact.id for fact in facts()).items() if count > 1] == []
    assert all(fact.area == area.name for area in areas() for fact in area.facts)


def test_every_promise_names_its_facts() -> None:
    """Each row of the two tables of docs/correctness.md is a promise here, and rests on at least one fact."""
    page = (ROOT / "docs" / "correctness.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \*\*([^*]+)\*\*", page, flags=re.MULTILINE)
    assert [name.removesuffix(" of a delivery") for name in PROMISES] == rows
    found = matrix.promises_of()
    assert [name for name in (*PROMISES, *OTHER_USES) if not found[name]] == []


def test_there_are_enough_probes() -> None:
    """At least 80 facts can be tried, together for far less than a dollar; the others have a reason."""
    probes = [fact for fact in facts() if isinstance(fact, Probe)]
    assert len(probes) >= 80
    assert bound(probes).dollars < 0.5
    assert all(fact.untried for fact in facts() if not isinstance(fact, Probe))


def test_every_difference_of_the_page_is_judged() -> None:
    """In each stored file what differs has `believed` for that server, and nothing else has."""
    for path in STORED:
        stored = results.load(path)
        judged = {fact.id for fact in facts() if stored.server in fact.believed}
        differing = {name for name, result in stored.facts.items() if result.outcome == "differs"}
        assert differing == judged, path.name
        assert stored.facts.keys() == {fact.id for fact in facts()}, path.name


def test_the_page_is_made_from_the_stored_files() -> None:
    """Make it with `python -m tests.probes matrix tests/probes/results`."""
    page = (ROOT / "docs" / "assumptions.md").read_text(encoding="utf-8")
    assert page == matrix.page([results.load(path) for path in STORED])
