"""The probes against the sandbox, which agrees, and DynamoDB Local, whose differences are known and judged."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.probes import results
from tests.probes.catalogue import facts
from tests.probes.clients import Target, connect
from tests.probes.lab import Lab
from tests.probes.policy import actions_of, allowed, policy
from tests.probes.resources import PREFIX
from tests.probes.runner import run
from tests.probes.support import ROOT, probes, tables
from tests.support.backends import REGION, Backend, on_one_backend
from tests.support.ministack import Ministack


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


@pytest.mark.soak
def test_ministack_does_what_the_page_says(ministack: Ministack, tmp_path: Path) -> None:
    """The stored outcomes are still its own; functions, mappings, queues and buckets are gone afterwards."""
    server = SimpleNamespace(url=ministack.url, access_key="PROBES")
    file = tmp_path / "results.json"
    done = probes(server, "--yes", "--json", str(file))
    assert done.returncode == 1, done.stdout + done.stderr
    stored = results.load(ROOT / "tests" / "probes" / "results" / "ministack.json").facts
    found = results.load(file).facts
    assert {name: result.outcome for name, result in found.items()} == {
        name: result.outcome for name, result in stored.items()
    }
    assert ": nothing" in probes(server, "--clean").stdout


@on_one_backend
def test_the_policy_has_every_action_that_is_used(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of tables and streams: the sandbox has no others. Nothing is granted on tables of others."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", backend.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    clients = connect(Target(backend.url, region=REGION), 1.0)
    lab = Lab(clients, "policy00")
    try:
        run(lab, facts(), lambda _: None)
    finally:
        lab.close()
        clients.close()
    used = {action for operation in clients.operations for action in actions_of(operation)}
    assert len(used) > 20
    assert used <= allowed(["dynamodb"])
    for statement in policy(["dynamodb"])["Statement"]:
        harmless = {"dynamodb:ListTables", "dynamodb:ListStreams", "dynamodb:DescribeLimits"}
        assert f"table/{PREFIX}" in statement["Resource"] or set(statement["Action"]) <= harmless
