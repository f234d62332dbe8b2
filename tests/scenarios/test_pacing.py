"""Budgets of the real program at a sandbox without burst, judged by the units that the sandbox has accepted.

How fast and how exact a run is on a quiet machine is measured by `benchmarks/pacing`; here a machine may stall.
"""

import json
import signal
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from benchmarks.framework.tables import TABLE, config, table_spec
from refire_async.sandbox import SandboxProcess
from tests.scenarios.conftest import pointed_at
from tests.support.backends import Backend, connected
from tests.support.cli import Cli, Running

STALL_S = 0.3
"""Seconds by which a request may arrive late, together with later ones."""

INDEX = "by-order"


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A sandbox of the test's own, without burst, with the table that the test's parameters describe."""
    server = SandboxProcess(config(request.param))
    url = server.start()
    try:
        with connected("sandbox", url) as backend:
            yield backend
    finally:
        server.stop()


@pytest.fixture
def cli(tmp_path: Path, backend: Backend) -> Iterator[Cli]:
    yield from pointed_at(tmp_path, backend.url, backend)


def with_table(*arguments: Any, **settings: Any) -> pytest.MarkDecorator:
    """The table of a test, for `table_spec`."""
    return pytest.mark.parametrize("backend", [table_spec(*arguments, **settings)], indirect=True, ids=[""])


def accepted(backend: Backend, index: str | None = None) -> dict[int, float]:
    """Accepted write units by second."""
    with urlopen(f"{backend.url}/_sandbox/stats") as answer:
        indexes = json.load(answer)["tables"][TABLE]["arms"]
    (found,) = [entry for entry in indexes if entry["index"] == index]
    return {int(row[0]): row[2] for row in found["seconds"] if row[2]}


def assert_within(units: dict[int, float], wcu: float) -> None:
    """No window of whole seconds, of any length, exceeds the budget plus a tenth of a second's."""
    for first, last in combinations(sorted(units), 2):
        window = sum(units.get(second, 0.0) for second in range(first, last + 1))
        assert window <= wcu * (last - first + 1 + 0.1 + STALL_S)
    assert max(units.values()) <= wcu * (1.1 + STALL_S)


def logged(child: Running, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in child.stderr.read_text().splitlines() if line.endswith("}")]
    return [line for line in lines if line["event"] == event]


@with_table(2_000, 1_000, wcu=8_000)
def test_a_budget_below_the_capacity(cli: Cli, backend: Backend) -> None:
    """A twentieth of the capacity for five seconds: only the run itself limits its rate."""
    result = cli.refire(TABLE, "--max-wcu", "400")
    assert (result.code, result.json["touched"], result.json["throttled"]) == (0, 2_000, 0)
    units = accepted(backend)
    assert sum(units.values()) == 2_000
    assert len(units) >= 5
    assert_within(units, 400.0)


@with_table(500, {"Lognormal": [4_500, 0.95]}, wcu=8_000)
def test_a_budget_with_items_of_all_sizes(cli: Cli, backend: Backend) -> None:
    """0.2 to 100 KB: the units of an item are known only afterwards."""
    result = cli.refire(TABLE, "--max-wcu", "800")
    assert (result.code, result.json["touched"]) == (0, 500)
    units = accepted(backend)
    assert sum(units.values()) == result.json["wcu"] > 3_000
    # One item may cost more than the rest of a second's budget: later seconds pay for it.
    assert_within(units, 800.0 + 100.0)


@with_table(900, 1_000, wcu=2_000, hash_keys=90, indexes={INDEX: (250, "ALL")})
def test_an_index_with_the_marker_limits_the_run(cli: Cli, backend: Backend) -> None:
    """A quarter of the default budget of the table; few writes are refused, and the index is named."""
    child = cli.start("run", "--table", TABLE, "--json")
    result = child.wait()
    assert (result.code, result.json["touched"]) == (0, 900)
    (start,) = logged(child, "run.started")
    assert start["bound_by"] == f"index {INDEX}"
    assert start["budget"].startswith(f"200 WCU/s: bounded by index {INDEX}, 80% of its 250 WCU/s")
    assert result.json["throttled"] < 900 * 0.01
    assert_within(accepted(backend, INDEX), 200.0)


@with_table(100_000, 1_000, wcu=400)
def test_halved_and_restored_capacity_is_followed(cli: Cli, backend: Backend) -> None:
    """Down and up as DescribeTable says, in one line each; no item fails, and the run can be resumed later."""

    def provision(wcu: int) -> None:
        units = {"ReadCapacityUnits": 1_000, "WriteCapacityUnits": wcu}
        backend.dynamodb.update_table(TableName=TABLE, ProvisionedThroughput=units)

    child = cli.start("run", "--table", TABLE, "--json", "--wcu-percent", "100")
    child.wait_until(lambda: len(accepted(backend)) >= 2)
    provision(200)
    child.wait_until(lambda: len(logged(child, "budget.changed")) == 1)
    provision(400)
    child.wait_until(lambda: len(logged(child, "budget.changed")) == 2)
    child.signal(signal.SIGTERM)
    result = child.wait()
    assert result.code == 3
    assert [line["max_wcu"] for line in logged(child, "budget.changed")] == [200.0, 400.0]
    assert result.json["failed"] == 0
    assert result.json["touched"] == sum(accepted(backend).values())
    assert_within(accepted(backend), 400.0)
