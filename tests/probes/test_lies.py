"""A server that does not do what is assumed is reported as such: a proxy changes its answers."""

import re
from collections.abc import Callable, Iterator

import pytest

from tests.probes import catalogue, runner
from tests.probes.clients import Target, connect
from tests.probes.lab import Lab
from tests.probes.support import probes
from tests.support.backends import REGION, Backend, on_one_backend
from tests.support.proxy import Call, Proxy, proxy_before

Lie = Callable[[Call, bytes], bytes]


def replaced(operation: str, pattern: bytes, by: bytes) -> Lie:
    """A lie in the answers to one operation."""
    return lambda call, content: re.sub(pattern, by, content) if call.operation == operation else content


LIES: dict[str, Lie] = {
    "streams.both-images": replaced("GetRecords", rb'"OldImage":', b'"OlderImage":'),
    "streams.replaced-item-is-modify": replaced("GetRecords", b'"MODIFY"', b'"INSERT"'),
    "shards.open-shard-goes-on": replaced("GetRecords", rb',?"NextShardIterator":"[^"]*"', b""),
    "statements.never-creates": replaced(
        "BatchExecuteStatement", b'"ConditionalCheckFailed"', b'"DuplicateItem"'
    ),
    "writes.exists-guards": replaced(
        "UpdateItem", b"ConditionalCheckFailedException", b"ValidationException"
    ),
    "reads.key-at-exact-limit": replaced("Query", b'"LastEvaluatedKey"', b'"LastKey"'),
    "reads.absent-item-costs": replaced("GetItem", rb'"CapacityUnits":0\.5', b'"CapacityUnits":1.5'),
    "tables.on-demand": replaced("DescribeTable", b"PAY_PER_REQUEST", b"PROVISIONED"),
    "values.number-form": replaced("GetItem", rb'"1\.5"', b'"1.50"'),
    "answers.checksum": replaced("DescribeTable", b'"TableName"', b'"Tablename"'),
    "capacity.rounds-to-1-kb": replaced("PutItem", b".+", b"[]"),
}


@pytest.fixture
def proxy(backend: Backend) -> Iterator[Proxy]:
    """A proxy before the backend."""
    with proxy_before(backend.url) as running:
        yield running


@on_one_backend
@pytest.mark.parametrize("fact", LIES)
def test_a_lie_differs(fact: str, proxy: Proxy, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe sees it and says what it saw; before the lie it agreed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", backend.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    chosen = catalogue.choose((fact,), at_aws=False)

    def tried(session: str) -> runner.Result:
        clients = connect(Target(proxy.url, region=REGION, server="sandbox"), 1.0)
        lab = Lab(clients, session, timeout_s=1.0)
        try:
            (result,) = runner.run(lab, chosen, lambda _: None)
        finally:
            lab.close()
            clients.close()
        return result

    honest = tried("honest00")
    proxy.rewritten = LIES[fact]
    found = tried("lies0000")
    assert honest.outcome == "agrees", honest.text
    assert found.outcome == "differs", found.text
    assert found.text != honest.text


@on_one_backend
def test_the_program_says_what_rests_on_it(proxy: Proxy, backend: Backend) -> None:
    """Exit code 1, the fact, what was seen, its source, and the promises and files that rest on it."""
    proxy.rewritten = LIES["writes.exists-guards"]
    done = probes(backend, "--yes", "--only", "writes.exists-guards", "--server", "sandbox", url=proxy.url)
    assert done.returncode == 1, done.stderr
    assert "DIFFERS  writes.exists-guards" in done.stdout
    assert "seen: ValidationException, not created" in done.stdout
    assert "rests on it: No harm; refire_async/pipeline/writers/update.py" in done.stdout
    assert "0 agree, 1 differ, 0 not tried" in done.stdout
