"""`refire doctor`: what it finds, and that nothing secret is in its file."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refire_async.aws.permissions import Use, parse_arn, policy
from tests.scenarios.test_permissions import judge
from tests.support.backends import on_one_backend
from tests.support.cli import Cli, Result
from tests.support.proxy import WRITES, Call, Proxy, Reply
from tests.support.tables import Table

MakeTable = Callable[..., Table]

PLANTS = {
    "a word": "PlantedException",
    "digits": "48151623424815",
    "a sentence": "planted: key 'ann@example.org' is wrong",
    "base64": "cGxhbnRlZC1zZWNyZXQ=",
}
"""Keys and secrets of several forms, such as error codes, numbers and messages have."""


def diagnose(cli: Cli, *arguments: str, **settings: Any) -> tuple[Result, dict[str, Any]]:
    """The result of `refire doctor --json`, and what it wrote."""
    result = cli.run("doctor", *arguments, "--json", **settings)
    assert result.code == 0, result.stderr
    path = cli.home / result.json["file"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = json.loads(path.read_text())
    assert isinstance(found, dict)
    return result, found


def outcomes(found: dict[str, Any]) -> dict[str, str]:
    """Outcome by call."""
    return {probe["name"].partition(":")[2]: probe["outcome"] for probe in found["probes"]}


@on_one_backend
@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_nothing_planted_is_in_the_file(
    proxied_cli: Cli, proxy: Proxy, make_table: MakeTable, plant: str
) -> None:
    """Planted in the table, settings, environment, config file, log, checkpoint and the answers of the service."""
    cli, name = proxied_cli, plant.replace(" ", "")
    table = make_table((name, "S"))
    table.fill({name: {"S": f"{plant}{n}"}, f"{name}-2": {"S": plant}} for n in range(50))
    log = cli.home / "run.log"
    bare = "".join(filter(str.isalnum, plant))
    run = ("--run-id", f"run-{bare}", "--marker-attribute", f"{name}-m", "--log-file", str(log))
    # The run and the diagnosis are refused in words that hold the plant.
    refusal = Reply.error(400, bare, f"{plant} is wrong")
    proxy.instead = lambda call: refusal if call.operation in WRITES and call.number > 1 else None
    where = ("--where", f"attribute_exists(#a) OR #a = '{bare}'".replace("#a", f'"{name}"'))
    stopped = cli.refire(table.name, *run, *where)
    assert stopped.code not in (0, 1, 2), stopped.stderr

    with log.open("a") as file:
        for field in ("event", "reason", "code", "type", "level", "state", "text", plant):
            file.write(json.dumps({"event": "item.failed", field: plant, "nested": {plant: [plant]}}) + "\n")
        file.write(f"{plant}\n")
    quoted = json.dumps(plant)
    (cli.home / "refire.toml").write_text(f"[run]\nkey-name = {quoted}\nkey-value = [{quoted}]\n")
    (cli.home / "credentials").write_text(f"[default]\naws_secret_access_key = {plant}\n")
    proxy.instead = lambda call: None if call.operation in ("DescribeTable", "Scan") else refusal
    environment = {
        "AWS_SHARED_CREDENTIALS_FILE": str(cli.home / "credentials"),
        "AWS_ACCESS_KEY_ID": bare,
        "AWS_SECRET_ACCESS_KEY": plant,
        "AWS_SESSION_TOKEN": bare,
        "AWS_ROLE_SESSION_NAME": plant,
        "REFIRE_MARKER_ATTRIBUTE": plant,
        "REFIRE_LOG_FILE": str(log),
        "REFIRE_NOTIFY": f"https://hooks.example/{bare}",
    }
    _, found = diagnose(cli, table.name, env=environment)

    text = json.dumps(found, ensure_ascii=False)
    for secret in (plant, name, bare, table.name):
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in json.dumps(found)
    # It is a diagnosis all the same.
    assert found["last_run"]["status"] in ("stopped", "failed")
    assert found["last_run"]["scanned"] > 0
    assert len(found["log"]["events"]) > 5
    settings = {one["name"]: one for one in found["settings"]}
    assert settings["key-value"] == {"name": "key-value", "source": "file"}
    assert settings["notify"] == {"name": "notify", "source": "environment"}
    assert outcomes(found)["Scan"] == "works"
    refused = [probe for probe in found["probes"] if probe["outcome"] == "refused"]
    assert refused
    assert {probe["code"] for probe in refused} <= {"other", "HTTP 400"}


@on_one_backend
def test_calls_about_a_table(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """It may do what its policy says, writes nothing, and fetches no item but for the sample of the findings."""
    table = make_table(("pk", "S"))
    table.fill({"pk": {"S": f"k{n}"}} for n in range(20))
    arn = f"arn:aws:dynamodb:eu-west-1:123456789012:table/{table.name}"
    document = policy(Use(table=parse_arn(arn), commands=("doctor",)))
    proxy.instead = judge(document, arn)

    _, found = diagnose(proxied_cli, table.name)

    assert not proxy.operations & WRITES
    seen = outcomes(found)
    here = {name: seen.pop(name) for name in [*seen] if name not in ELSEWHERE}
    assert set(here.values()) == {"works"}
    assert set(seen.values()) == {"not tried"}  # AWS is not asked about the table of an emulator
    calls = {probe["name"].partition(":")[2]: probe for probe in found["probes"]}
    assert calls["Scan"]["found"] == {"items": 1}
    assert calls["GetRecords"]["found"]["records"] in (0, 1)
    assert calls["DescribeTable"]["found"]["key_types"] == ["S"]
    assert all(probe["took_ms"] > 0 for probe in found["probes"] if probe["outcome"] == "works")
    assert "permission-missing" not in {finding["id"] for finding in found["findings"]}
    one = next(call for call in proxy.calls if call.operation == "Scan")
    assert (one.body["Limit"], one.body["Select"]) == (1, "COUNT")


ELSEWHERE = ("ListEventSourceMappings", "ListPipes", "GetMetricData", "DescribeScalableTargets")


@on_one_backend
def test_calls_that_are_refused(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """Each by its code; the others go on."""
    table = make_table(("pk", "S"))

    def deny(call: Call) -> Reply | None:
        return Reply.access_denied(call.operation) if call.operation in ("Scan", "DescribeStream") else None

    proxy.instead = deny
    _, found = diagnose(proxied_cli, table.name)
    seen = outcomes(found)
    assert (seen["DescribeTable"], seen["Scan"], seen["DescribeStream"]) == ("works", "refused", "refused")
    codes = {probe["code"] for probe in found["probes"] if probe["outcome"] == "refused"}
    assert codes == {"AccessDeniedException"}
    assert seen["GetRecords"] == "not tried"
    assert "permission-missing" in {finding["id"] for finding in found["findings"]}


@on_one_backend
def test_without_a_table_or_credentials_or_an_answer(cli: Cli) -> None:
    """Nothing is sent without a table. What cannot be asked is a part of the diagnosis."""
    none = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_SESSION_TOKEN": None}
    _, found = diagnose(cli, env={**none, "AWS_REGION": None})
    assert (found["session"], found["probes"], found["last_run"], found["log"]) == (None, None, None, None)
    assert found["software"]["libraries"]["botocore"]
    assert "HOME" in found["variables_set"]

    _, found = diagnose(cli, "orders", env=none)
    assert (found["session"], found["probes"]) == ("NoCredentials", None)

    _, found = diagnose(cli, "not-there")
    assert found["probes"][0]["code"] == "ResourceNotFoundException"
    assert found["findings"] is None

    _, found = diagnose(cli, "orders", "--endpoint-url", "http://127.0.0.1:9")
    assert outcomes(found)["DescribeTable"] == "no answer"
    assert found["connection"]["endpoint"] == "http://127.0.0.1:9"


@on_one_backend
def test_files_that_are_damaged(cli: Cli) -> None:
    """A checkpoint or settings that refire refuses are what a report is about: no error."""
    broken = cli.home / "broken.refire"
    broken.write_bytes(b"SQLite format 3\x00planted")
    _, found = diagnose(cli, "--checkpoint", str(broken), env={"REFIRE_MAX_WCU": "planted"})
    assert found["last_run"] == {"read": "CheckpointRefusedError"}
    assert found["settings"] == {"refused": "UsageError"}
    assert "planted" not in json.dumps(found)


@on_one_backend
def test_after_a_replay(cli: Cli, make_table: MakeTable) -> None:
    """The newest checkpoint is that of a delivery: its counts and rules."""
    table = make_table(("pk", "S"))
    table.fill({"pk": {"S": f"planted-{n}"}} for n in range(20))
    replayed = cli.run("replay", "--table", table.name, "--since", "1h", "--to", "planted.jsonl", "--json")
    assert replayed.code == 0, replayed.stderr
    _, found = diagnose(cli)
    run = found["last_run"]
    assert (run["command"], run["status"], run["delivered"], run["failed"]) == ("replay", "complete", 20, 0)
    assert run["rules"]["filters"] == 0
    assert "planted" not in json.dumps(found)


@on_one_backend
def test_what_it_says(cli: Cli) -> None:
    """The file and what it has, on standard output; a second one replaces the first."""
    for _ in range(2):
        result = cli.run("doctor", "--out", "d.json")
        assert result.code == 0, result.stderr
    assert result.stderr == ""
    assert "Written to d.json" in result.stdout
    assert "Read it before you attach it" in result.stdout
    assert json.loads((cli.home / "d.json").read_text())["format"] == 1


@on_one_backend
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("x",), "TABLE"),
        (("orders", "other"), "one table at a time"),
        (("--checkpoint", "none.refire"), "--checkpoint"),
        (("--log", "none.log"), "--log"),
        (("--out", "none/x.json"), "--out"),
        (("--out", "/proc/x.json"), "/proc/x.json"),
    ],
)
def test_bad_input(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    """One line, exit code 2, no file."""
    result = cli.run("doctor", *arguments)
    assert result.code == 2
    assert len(result.error_lines) == 1
    assert said in result.stderr
    assert not [*Path(cli.home).glob("*.json")]
