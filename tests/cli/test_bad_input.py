"""Bad input gives one line that says what to do, the right exit code and no traceback; no engine is started."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ended, FakeEngine

RUN = ("run", "--table", "orders")
NO_FILE = ("run", "--table", "orders", "--keys-file", "nowhere.jsonl")

# id: (arguments, environment, what the line must hold)
BAD: dict[str, tuple[tuple[str, ...], dict[str, str], str]] = {
    "no command": ((), {}, "refire demo"),
    "near command": (("rnu",), {}, "did you mean refire run?"),
    "far command": (("frobnicate",), {}, "see refire --help"),
    "option before command": (("--table", "orders", "run"), {}, "--table"),
    "what another program calls it": (("pause",), {}, "did you mean refire rate RUN_ID pause?"),
    "nothing near": (("xyz",), {}, "see refire --help"),
    "no option near": ((*RUN, "--frobnicate"), {}, "see refire run --help"),
    "quiet and verbose": ((*RUN, "-q", "-v"), {}, "cannot be combined"),
    "near option": (("run", "--tabel", "orders"), {}, "did you mean --table?"),
    "near option, glued": (("run", "--max-wcus=5"), {}, "did you mean --max-wcu?"),
    "far option": ((*RUN, "--zzz"), {}, "see refire run --help"),
    "short option": ((*RUN, "-x", "x"), {}, "two dashes"),
    "option of another command": (("status", "--max-wcu", "5"), {}, "--max-wcu"),
    "no table": (("run",), {}, "--table NAME"),
    "no value": (("run", "--table"), {}, "--table needs a value"),
    "value for a flag": ((*RUN, "--json=please"), {}, "--json takes no value"),
    "table as argument": (("run", "orders"), {}, "--table orders"),
    "line end in an argument": (("run", "a\nb"), {}, "unexpected argument"),
    "short table name": (("run", "--table", "ab"), {}, "name of a table"),
    "table name with a slash": (("run", "--table", "a/b/c"), {}, "name of a table"),
    "flag instead of a value": (
        (*RUN, "--marker-attribute", "--dry-run"),
        {},
        "--marker-attribute needs a value, and --dry-run is an option",
    ),
    "option instead of a value": (("run", "--table", "--max-wcu=5"), {}, "--table needs a value"),
    "empty table name": (("run", "--table", ""), {}, "name of a table"),
    "bad table in variable": (("run",), {"DynamoTable": "a b"}, "DynamoTable"),
    "empty variable": (RUN, {"REFIRE_KEY_VALUE": ""}, "REFIRE_KEY_VALUE is set but empty"),
    "region with a space": ((*RUN, "--region", "eu west"), {}, "--region"),
    "endpoint without scheme": ((*RUN, "--endpoint-url", "127.0.0.1:8000"), {}, "http"),
    "endpoint without host": ((*RUN, "--endpoint-url", "http://"), {}, "host"),
    "endpoint with a password": (
        (*RUN, "--endpoint-url", "ftp://u:PLANTED@a:99999"),
        {},
        "--endpoint-url contains a user name or password; give it as",
    ),
    "endpoint with a bad port": ((*RUN, "--endpoint-url", "http://a:99999"), {}, "--endpoint-url"),
    "max-wcu 0": ((*RUN, "--max-wcu", "0"), {}, "above 0"),
    "max-wcu negative": ((*RUN, "--max-wcu", "-1"), {}, "above 0"),
    "max-wcu nan": ((*RUN, "--max-wcu", "nan"), {}, "above 0"),
    "max-wcu endless": ((*RUN, "--max-wcu", "inf"), {}, "above 0"),
    "max-wcu in words": ((*RUN, "--max-wcu", "many"), {}, "--max-wcu 500"),
    "max-wcu in variable": (RUN, {"REFIRE_MAX_WCU": "many"}, "REFIRE_MAX_WCU must be"),
    "max-rcu 0": ((*RUN, "--max-rcu", "0"), {}, "--max-rcu"),
    "max-rate negative": ((*RUN, "--max-rate", "-0.5"), {}, "--max-rate"),
    "wcu-percent 0": ((*RUN, "--wcu-percent", "0"), {}, "at most 100"),
    "wcu-percent 101": ((*RUN, "--wcu-percent", "101"), {}, "at most 100"),
    "rate without a comma": ((*RUN, "--rate", "08:00,20% 20:00"), {}, "--rate: entry '20:00'"),
    "rate at no time": ((*RUN, "--rate", "25:00,20%"), {}, "entry '25:00,20%' has no time"),
    "rate above all": ((*RUN, "--rate", "120%"), {}, "more than 100% of the capacity"),
    "rate in variable": (RUN, {"REFIRE_RATE": "Xyz,5"}, "REFIRE_RATE: entry 'Xyz,5'"),
    "rate in no zone": ((*RUN, "--rate", "5%", "--rate-timezone", "Berlin"), {}, "no time zone 'Berlin'"),
    "zone without rate": ((*RUN, "--rate-timezone", "UTC"), {}, "add --rate"),
    "headroom of everything": ((*RUN, "--headroom", "100%"), {}, "at most 95%"),
    "iterator age without unit": ((*RUN, "--max-iterator-age", "30"), {}, "from 10s to 12h"),
    "iterator age of nothing": ((*RUN, "--max-iterator-age", "1s"), {}, "--max-iterator-age 5m"),
    "iterator age of a day": ((*RUN, "--max-iterator-age", "24h"), {}, "from 10s to 12h"),
    "consumer rate of nothing": ((*RUN, "--consumer-rate", "0"), {}, "--consumer-rate 500"),
    "consumer errors negative": ((*RUN, "--max-consumer-errors", "-1"), {}, "a whole number from 0"),
    "rate of nothing": (("rate",), {}, "RUN_ID"),
    "rate of an unknown run": (("rate", "no-such-run", "50%"), {}, "no-such-run"),
    "rate of a path": (("rate", "../../etc/passwd", "50%"), {}, "RUN_ID must be"),
    "rate that is none": (("rate", "run-1", "fast"), {}, "VALUE 'fast' is not a rate"),
    "rate of too much": (("rate", "run-1", "101%"), {}, "3000 (WCU/s), 50%, pause"),
    "two rates": (("rate", "run-1", "50%", "60%"), {}, "one run and one rate"),
    "segments 0": ((*RUN, "--segments", "0"), {}, "1 to 1,000,000"),
    "segments above 1,000,000": ((*RUN, "--segments", "1000001"), {}, "1 to 1,000,000"),
    "segments with a fraction": ((*RUN, "--segments", "1.5"), {}, "whole number"),
    "workers 0": ((*RUN, "--workers", "0"), {}, "--workers"),
    "max-items 0": ((*RUN, "--max-items", "0"), {}, "--max-items"),
    "give-up-after without unit": ((*RUN, "--give-up-after", "600"), {}, "90s, 10m or 1h30m"),
    "give-up-after 0": ((*RUN, "--give-up-after", "0m"), {}, "--give-up-after"),
    "give-up-after empty": ((*RUN, "--give-up-after", ""), {}, "--give-up-after"),
    "give-up-after backwards": ((*RUN, "--give-up-after", "5s1h"), {}, "--give-up-after 30m"),
    "give-up-after in other digits": ((*RUN, "--give-up-after", "٣m"), {}, "--give-up-after"),
    "unknown writer": ((*RUN, "--writer", "pigeon"), {}, "partiql, update"),
    "unknown marker": ((*RUN, "--marker", "cross"), {}, "revision, stamp"),
    "empty marker attribute": ((*RUN, "--marker-attribute", ""), {}, "--marker-attribute"),
    "unknown log level": ((*RUN, "--log-level", "loud"), {}, "debug, info, warning, error"),
    "bad flag in variable": (RUN, {"REFIRE_JSON": "perhaps"}, "REFIRE_JSON must be 1 or 0"),
    "unknown finding": ((*RUN, "--ignore", "everything"), {}, "stream-disabled"),
    "run id with a path": ((*RUN, "--run-id", "../x"), {}, "--run-id"),
    "checkpoint in no folder": ((*RUN, "--checkpoint", "/no/such/folder/x"), {}, "/no/such/folder"),
    "empty checkpoint": ((*RUN, "--checkpoint", ""), {}, "--checkpoint"),
    "key name alone": ((*RUN, "--key-name", "pk"), {}, "add --key-value"),
    "key name alone in variable": (RUN, {"HashKeyName": "pk"}, "HashKeyName needs --key-value"),
    "key type alone": ((*RUN, "--key-type", "S"), {}, "add --key-value"),
    "empty key value": ((*RUN, "--key-value", ""), {}, "never empty"),
    "range without dots": ((*RUN, "--key-value-range", "2026-11-01"), {}, "2026-11-01..2026-11-20"),
    "range backwards": ((*RUN, "--key-value-range", "2026-11-20..2026-11-01"), {}, "wrong order"),
    "range too large": ((*RUN, "--key-value-range", "1..1000000"), {}, "more than 10,000"),
    "range of no days": ((*RUN, "--key-value-range", "2026-02-30..2026-03-01"), {}, "an invalid date"),
    "range and keys file": (
        (*RUN, "--keys-file", __file__, "--key-value-range", "1..2"),
        {},
        "--keys-file and --key-value-range cannot be combined",
    ),
    "one of several values is no number": (
        (*RUN, "--key-value", "1", "--key-value", "one", "--key-type", "N"),
        {},
        "not a number",
    ),
    "where that is not understood": (
        (*RUN, "--where", "status ="),
        {},
        "--where is not understood at position 9",
    ),
    "where in a variable": (RUN, {"REFIRE_WHERE": "= 5"}, "REFIRE_WHERE is not understood at position 1"),
    "where and filter": ((*RUN, "--where", "a = 1", "--filter", "b = c"), {}, "cannot be combined"),
    "where and keys file": ((*RUN, "--where", "a = 1", "--keys-file", __file__), {}, "cannot be combined"),
    "export is not there": ((*RUN, "--export", "/no/such/folder"), {}, "manifest-summary.json"),
    "export is a bucket": ((*RUN, "--export", "s3://bucket"), {}, "AWSDynamoDB"),
    "keys file is a bucket": ((*RUN, "--keys-file", "s3://bucket"), {}, "s3://bucket/folder/keys.jsonl"),
    "keys file and export": (
        (*RUN, "--keys-file", __file__, "--export", "s3://bucket/x"),
        {},
        "--keys-file and --export cannot be combined",
    ),
    "export and filter": (
        (*RUN, "--export", "s3://bucket/x", "--filter", "a = b"),
        {},
        "--export and --filter cannot be combined",
    ),
    "sample of nothing": ((*RUN, "--sample", "0%"), {}, "above 0%"),
    "sample of too much": ((*RUN, "--sample", "101%"), {}, "at most 100%"),
    "sample that is no number": ((*RUN, "--sample", "nan%"), {}, "above 0%"),
    "expired in and out": ((*RUN, "--include-expired", "--exclude-expired"), {}, "cannot be combined"),
    "unknown key type": ((*RUN, "--key-value", "1", "--key-type", "X"), {}, "S, N, B"),
    "key value is no number": ((*RUN, "--key-value", "one", "--key-type", "N"), {}, "not a number"),
    "key value is no base64": ((*RUN, "--key-value", "*", "--key-type", "B"), {}, "base64"),
    "sort key condition alone": ((*RUN, "--sort-key-condition", "> 5"), {}, "add --key-value"),
    "odd sort key condition": (
        (*RUN, "--key-value", "a", "--sort-key-condition", "about 5"),
        {},
        "begins_with",
    ),
    "filter with an unknown value": ((*RUN, "--filter", "a = :b"), {}, """--values '{":b":"""),
    "filter with an unknown name": ((*RUN, "--filter", "#a = b"), {}, """--names '{"#a":"""),
    "names without a filter": ((*RUN, "--names", '{"#a": "a"}'), {}, "#a"),
    "value that is not used": (
        (*RUN, "--filter", "a = :b", "--values", '{":b": 1, ":c": 2}'),
        {},
        "--values defines :c",
    ),
    "values are no JSON": ((*RUN, "--values", "{"), {}, "not valid JSON"),
    "values are a list": ((*RUN, "--values", "[]"), {}, "JSON object"),
    "values in a variable": (RUN, {"REFIRE_VALUES": "{"}, "REFIRE_VALUES is not valid JSON"),
    "placeholder without a colon": ((*RUN, "--values", '{"b": 1}'), {}, "begin it with :"),
    "placeholder twice": ((*RUN, "--values", '{":b": 1, ":b": 2}'), {}, "twice"),
    "name that is a number": ((*RUN, "--names", '{"#a": 1}'), {}, "name of an attribute"),
    "value with too many digits": ((*RUN, "--values", '{":b": %s}' % ("9" * 39)), {}, "38"),
    "value that is NaN": ((*RUN, "--values", '{":b": NaN}'), {}, "NaN"),
    "value that is an empty set": ((*RUN, "--values", '{":b": {"SS": []}}'), {}, "at least one"),
    "keys file is not there": (NO_FILE, {}, "nowhere.jsonl"),
    "keys file is a folder": ((*RUN, "--keys-file", "/"), {}, "is a folder"),
    "keys file and index": ((*RUN, "--keys-file", __file__, "--index", "by-day"), {}, "--index"),
    "keys file and key in variable": (
        (*RUN, "--keys-file", __file__),
        {"HashKeyValue": "c-42"},
        "--keys-file and HashKeyValue cannot be combined",
    ),
    "plan of nothing": (("plan",), {}, "--table"),
    "plan of odd items": (("plan", "--items", "many"), {}, "--items must be a number"),
    "plan of an odd size": (("plan", "--items", "5", "--item-size", "1PB"), {}, "--item-size"),
    "plan with prices that are none": (
        ("plan", "--items", "5", "--item-size", "1KB", "--wcu", "9", "--prices", __file__),
        {},
        "test_bad_input.py",
    ),
    "check of nothing": (("check",), {}, "--table"),
    "check with an option of run": (("check", "--table", "orders", "--workers", "5"), {}, "--workers"),
    "verify of nothing": (("verify",), {}, "RUN_ID"),
    "verify of an unknown run": (("verify", "no-such-run"), {}, "no-such-run"),
    "verify of a folder": (("verify", "--checkpoint", "/"), {}, "is a folder"),
    "policy of an odd ARN": (("iam-policy", "--table", "orders"), {}, "ARN"),
    "policy of an odd command": (("iam-policy", "--command", "rnu"), {}, "one of"),
    "completion of nothing": (("completion",), {}, "completion --help"),
    "completion of an odd shell": (("completion", "csh"), {}, "one of bash, zsh, fish"),
    "config of an odd command": (("config", "rnu"), {}, "did you mean refire run?"),
    "config of two": (("config", "run", "resume"), {}, "give one command"),
    "config file in a variable": (RUN, {"REFIRE_CONFIG": "nowhere.toml"}, "REFIRE_CONFIG 'nowhere.toml'"),
    "log file in no folder": ((*RUN, "--log-file", "/no/such/folder/x"), {}, "--log-file"),
    "odd level in a variable": (RUN, {"REFIRE_LOG_LEVEL": "loud"}, "REFIRE_LOG_LEVEL must be one of"),
    "odd number in a variable": (RUN, {"REFIRE_MAX_RATE": "fast"}, "REFIRE_MAX_RATE must be a number"),
    "misspelt variable": (RUN, {"REFIRE_MAXWCU": "5"}, "'REFIRE_MAXWCU'; did you mean REFIRE_MAX_WCU?"),
    "variable of no option": (("status",), {"REFIRE_COLOUR_OF_NIGHT": ""}, "unset it"),
    "half of a service's variables": (RUN, {"REFIRE_METRIC_PORT": "80"}, "did you mean REFIRE_METRICS_PORT?"),
    "resume of nothing": (("resume",), {}, "RUN_ID"),
    "resume of an unknown run": (("resume", "no-such-run"), {}, "no-such-run"),
    "resume of two": (("resume", "a", "b"), {}, "one run at a time"),
    "resume of a path": (("resume", "../../etc/passwd"), {}, "RUN_ID must be"),
    "checkpoint is not there": (("resume", "--checkpoint", "nowhere.refire"), {}, "is not there"),
    "status of an unknown run": (("status", "no-such-run"), {}, "no-such-run"),
    "sandbox on no port": (("sandbox", "--port", "70000"), {}, "--port"),
    "sandbox with odd latency": (("sandbox", "--latency", "slow"), {}, "atency"),
    "sandbox with negative burst": (("sandbox", "--burst-seconds", "-1"), {}, "--burst-seconds"),
    "sandbox that splits at once": (("sandbox", "--split-after", "0"), {}, "split after: 0.0 seconds"),
    "sandbox that grows at once": (("sandbox", "--growth-after", "0"), {}, "growth after: 0.0 seconds"),
    "sandbox that splits some day": (("sandbox", "--split-after", "often"), {}, "--split-after"),
    "sandbox with odd tables": (("sandbox", "--tables", __file__), {}, "not valid JSON"),
    "demo of no items": (("demo", "--items", "0"), {}, "--items"),
    "demo of an argument": (("demo", "fast"), {}, "see refire demo --help"),
}


@pytest.mark.parametrize(("arguments", "environment", "hint"), BAD.values(), ids=BAD)
def test_bad_input(  # noqa: PLR0917 - fixtures and parameters
    refire: Callable[..., Ended],
    fake_engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    hint: str,
) -> None:
    """One line on standard error, which begins with the program's name and has the hint; exit code 2."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ended = refire(*arguments)
    assert ended.code == 2, ended.err
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1, ended.err
    assert ended.err.startswith("refire: ")
    assert hint in ended.err
    assert "; " in ended.err, "what happened; what to do"
    assert fake_engine.seen == []


def test_file_that_is_no_checkpoint(
    refire: Callable[..., Ended], fake_engine: FakeEngine, tmp_path: Path
) -> None:
    """It is refused with exit code 11, in one line."""
    path = tmp_path / "x.refire"
    path.write_text("not a database, though it has some length to it" * 50)
    for command in (("status",), ("resume", "run-1")):
        ended = refire(*command, "--checkpoint", str(path))
        assert ended.code == 11, ended.err
        assert len(ended.err.splitlines()) == 1
        assert "x.refire" in ended.err
    assert fake_engine.seen == []
