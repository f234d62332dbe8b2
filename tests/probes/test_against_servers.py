"""The probes against the sandbox, which agrees, and DynamoDB Local, whose differences are known and judged."""

from pathlib import Path

from tests.probes import results
from tests.probes.catalogue import facts
from tests.probes.support import ROOT, probes, tables
from tests.support.backends import Backend


def test_each_difference_is_judged(backend: Backend, tmp_path: Path) -> None:
    """What differs has `believed` for this server: nothing on the sandbox. The page has these outcomes; no table is
    left."""
    before = tables(backend)
    file = tmp_path / "results.json"
    done = probes(backend, "--yes", "--json", str(file))
    judged = {fact.id for fact in facts() if backend.name in fact.believed}
    assert done.returncode == (1 if judged else 0), done.stdout + done.stderr
    found = {name: result.outcome for name, result in results.load(file).facts.items()}
    assert {name for name, outcome in found.items() if outcome == "differs"} == judged, done.stdout
    stored = results.load(ROOT / "tests" / "probes" / "results" / f"{backend.name}.json").facts
    assert found == {name: result.outcome for name, result in stored.items()}
    assert sum(outcome == "agrees" for outcome in found.values()) >= 100
    assert tables(backend) == before
