"""Metrics of a run in progress, scraped as by Prometheus, and the CloudWatch line at its end."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.output.test_emf import judge
from tests.support.backends import on_one_backend
from tests.support.cli import Cli
from tests.support.processes import free_port
from tests.support.proxy import Call, Hold, Proxy
from tests.support.rows import composite_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]


def scrape(port: int) -> dict[tuple[str, ...], float]:
    """Samples by name and label values."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@on_one_backend
def test_a_run_is_scraped(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """Held at its tenth batch, it shows at least nine; at its end the port is free and the EMF line is printed."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(500))
    port = free_port()

    def tenth(call: Call) -> bool:
        return call.operation == "BatchExecuteStatement" and call.number >= 10

    with Hold(tenth) as hold:
        proxy.instead = hold
        options = ("--json", "--workers", "1", "--metrics-port", str(port), "--emf", "--run-id", "r")
        child = proxied_cli.start("run", "--table", table.name, *options)
        child.wait_until(lambda: hold.reached)
        found = scrape(port)
        proxy.instead = lambda _call: None
    assert found["refire_run", "r", table.name] == 1
    assert found["refire_request_seconds_count", "write"] == 9
    written = found[
        "refire_wcu_total", "table"
    ]  # one unit an item, in nine batches of 25 or the end of a page
    assert 9 < written <= 9 * 25
    assert found["refire_progress_ratio",] == pytest.approx(written / 500, abs=0.001)
    assert found["refire_budget_wcu",] > 0

    result = child.wait()
    assert result.code == 0, result.stderr
    with pytest.raises(urllib.error.URLError):
        scrape(port)
    assert result.json["touched"] == 500
    (line,) = [line for line in result.stderr.splitlines() if '"_aws"' in line]
    assert judge(line) == []
    assert json.loads(line)["touched"] == 500
    assert '"_aws"' not in result.stdout


@on_one_backend
def test_a_port_in_use_prevents_the_run(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """Exit code 2 and one line; no request is sent to the table."""
    table = make_table(("pk", "S"))
    calls: list[str] = []
    proxy.afterwards = lambda call: calls.append(call.operation)
    taken = proxied_cli.endpoint_url.rpartition(":")[2] if proxied_cli.endpoint_url else ""
    result = proxied_cli.run("run", "--table", table.name, "--metrics-port", taken)
    assert result.code == 2
    assert result.error_lines == [
        f"refire: --metrics-port: port {taken} of 127.0.0.1 is already in use; choose another port"
    ]
    assert calls == []
