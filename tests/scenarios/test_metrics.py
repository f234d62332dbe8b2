"""Metrics of a run in progress, scraped as by Prometheus, and the CloudWatch line at its end."""

import json
import signal
import time
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
from tests.support.web_hook import Hook

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


REPLAY = ("--since", "1h", "--to", "python:consumer.handler", "--run-id", "r")

HANDLER = """
import pathlib, time

def handler(event, context):
    pathlib.Path("calls").open("a").write("x")
    if len(pathlib.Path("calls").read_text()) == 3:
        while not pathlib.Path("go").exists():
            time.sleep(0.01)  # the test scrapes meanwhile
    poison = [one for one in event["Records"] if one["dynamodb"]["Keys"]["sk"]["N"] == "7"]
    if poison:
        raise ValueError("sk 7")
"""


@on_one_backend
def test_a_delivery_is_scraped(cli: Cli, make_table: MakeTable, hook: Hook) -> None:
    """Held in its third invocation, it shows two; at its end: the notification, the EMF line, and no key anywhere."""
    table = make_table(("pk", "S"), ("sk", "N"))
    for number in range(50):  # one write each: the records of a batch write are in any order
        table.fill([{"pk": {"S": "only"}, "sk": {"N": str(number)}}])
    (cli.home / "consumer.py").write_text(HANDLER)
    port = free_port()
    batches = ("--batch-size", "10", "--parallelization", "1", "--concurrency", "1", "--retries", "0")
    child = cli.start(
        *("replay", "--table", table.name, *REPLAY),
        *(
            *batches,
            "--max-rate",
            "1000",
            "--metrics-port",
            str(port),
            "--notify",
            hook.url,
            "--emf",
            "--json",
            "--yes",
        ),
    )
    calls = cli.home / "calls"
    child.wait_until(lambda: calls.exists() and len(calls.read_text()) == 3)
    # Counts come from the ledger, which reports about once a second.
    child.wait_until(lambda: scrape(port)["refire_records_total", "failed"] == 10)
    found = scrape(port)
    assert found["refire_delivery", "python:consumer.handler", "r"] == 1
    assert found["refire_expected_records",] == 50
    assert found["refire_progress_ratio",] == pytest.approx(0.4)
    assert found["refire_records_total", "delivered"] == 10
    assert found["refire_records_failed_total", "RetryAttemptsExhausted"] == 10
    assert found["refire_invocations_total",] == found["refire_invocation_seconds_count",] == 2
    assert found["refire_concurrency",] == found["refire_invocations_in_flight",] == 1
    assert found["refire_max_records_per_second",] == 1000
    assert 0 <= time.time() - found["refire_delivered_record_timestamp_seconds",] < 3600
    assert found["refire_paused",] == 0
    child.signal(signal.SIGUSR1)  # prints how far it is, and ends nothing
    (cli.home / "go").touch()

    result = child.wait()
    assert result.code == 4, result.stderr
    (snapshot,) = [line for line in result.stderr.splitlines() if "delivery.snapshot" in line]
    assert json.loads(snapshot)["settled"] >= 20
    with pytest.raises(urllib.error.URLError):
        scrape(port)
    (line,) = [line for line in result.stderr.splitlines() if '"_aws"' in line]
    assert judge(line) == []
    emf = json.loads(line)
    assert (emf["delivered"], emf["failed"], emf["function"]) == (40, 10, "python:consumer.handler")
    ((_, _, sent),) = hook.got
    assert {name: sent[name] for name in result.json} == result.json
    assert sent["exit_code"] == 4
    assert sent["text"] == (
        "refire: replay r to python:consumer.handler is complete: 40 records delivered, 10 failed"
    )
    assert "only" not in line + str(sent)


@on_one_backend
def test_a_resumed_delivery_counts_what_it_does_itself(cli: Cli, make_table: MakeTable) -> None:
    """As for a run: the counters begin at 0 again, the summary has all attempts."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill({"pk": {"S": "only"}, "sk": {"N": str(number)}} for number in range(10, 60))
    (cli.home / "consumer.py").write_text(HANDLER)
    batches = ("--batch-size", "10", "--parallelization", "1", "--concurrency", "1")
    first = cli.start(
        *("replay", "--table", table.name, *REPLAY),
        *(*batches, "--json", "--yes"),
    )
    calls = cli.home / "calls"
    first.wait_until(lambda: calls.exists() and len(calls.read_text()) == 3)
    first.signal(signal.SIGKILL)
    first.wait()
    calls.write_text("")
    port = free_port()
    again = cli.start("resume", "r", "--json", "--yes", "--metrics-port", str(port))
    again.wait_until(lambda: calls.exists() and len(calls.read_text()) == 3)
    again.wait_until(lambda: scrape(port)["refire_records_total", "delivered"] == 20)
    (cli.home / "go").touch()
    result = again.wait()
    assert (result.code, result.json["delivered"]) == (0, 50)
