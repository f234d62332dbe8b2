"""From options and environment to the settings of the engine."""

from collections.abc import Callable
from pathlib import Path

import pytest

from refire_async.settings import (
    Budget,
    Connection,
    PacingSettings,
    ResumeSettings,
    RunSettings,
    SelectionSettings,
    Tuning,
)
from tests.cli.conftest import Ended, FakeEngine


def test_several_key_values_and_a_sample(
    refire: Callable[..., Ended], fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--key-value` is repeated, a variable holds one value with its spaces, a share is in percent."""
    assert (
        refire("run", "--table", "orders", "--key-value", "a b", "--key-value", "c", "--sample", "2.5%").code
        == 0
    )
    monkeypatch.setenv("HashKeyValue", "x y  z")
    expired = ("--key-value-range", "2026-01..2026-03", "--include-expired")
    assert refire("run", "--table", "orders", *expired).code == 0
    assert fake_engine.seen == [
        RunSettings(table="orders", selection=SelectionSettings(key_values=("a b", "c"), sample=2.5)),
        RunSettings(
            table="orders",
            selection=SelectionSettings(
                key_values=("x y  z",), key_value_range="2026-01..2026-03", include_expired=True
            ),
        ),
    ]


def test_where_is_a_filter(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """Compiled before the engine gets it, so that a checkpoint has the expression."""
    assert refire("run", "--table", "orders", "--where", "status = 'OPEN'").code == 0
    selection = SelectionSettings(
        filter="#w0 = :w0", names=(("#w0", "status"),), values=((":w0", {"S": "OPEN"}),)
    )
    assert fake_engine.seen == [RunSettings(table="orders", selection=selection)]


def test_lists_from_everywhere(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """Standard input, objects and exports in S3 are passed as given, because only the engine can open them."""
    for option, name in (("keys_file", "-"), ("keys_file", "s3://bucket/a"), ("export", "s3://bucket/a/b")):
        assert refire("run", "--table", "orders", f"--{option.replace('_', '-')}", name).code == 0
        assert fake_engine.seen.pop() == RunSettings(
            table="orders", selection=SelectionSettings(**{option: name})
        )


def test_defaults(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """A table alone is enough, and every default is the engine's."""
    assert refire("run", "--table", "orders").code == 0
    assert fake_engine.seen == [RunSettings(table="orders")]


EVERYTHING = RunSettings(
    table="orders",
    connection=Connection(region="eu-west-1", profile="prod", endpoint_url="http://127.0.0.1:8000"),
    selection=SelectionSettings(
        index="by-day",
        key_name="day",
        key_values=("-5",),
        key_type="N",
        sort_key_condition="between a and b",
        filter="#s = :open AND size(items) > :n",
        names=(("#s", "status"),),
        values=((":open", {"S": "OPEN"}), (":n", {"N": "2"})),
    ),
    marker="stamp",
    marker_attribute="refired by",
    budget=Budget(wcu_percent=12.5, max_wcu=500.0, max_rcu=1000.0, max_rate=0.5),
    pacing=PacingSettings(
        rate="08:00,20% Sat-Sun,pause",
        timezone="Europe/Berlin",
        headroom_percent=12.5,
        max_iterator_age_s=300.0,
        max_consumer_errors=0,
        consumer_rate=500.0,
    ),
    tuning=Tuning(segments=64, workers=7, writer="update", give_up_after_s=5400),
    max_items=10,
    run_id="fix-1",
    dry_run=True,
    assume_yes=True,
    ignore=frozenset(("stream-disabled", "table-status")),
)

OPTIONS = {
    "--table": "orders",
    "--region": "eu-west-1",
    "--profile": "prod",
    "--endpoint-url": "http://127.0.0.1:8000",
    "--index": "by-day",
    "--key-name": "day",
    "--key-value": "-5",
    "--key-type": "n",
    "--sort-key-condition": "between a and b",
    "--filter": "#s = :open AND size(items) > :n",
    "--names": '{"#s": "status"}',
    "--values": '{":open": "OPEN", ":n": {"N": "2"}}',
    "--marker": "STAMP",
    "--marker-attribute": "refired by",
    "--wcu-percent": "12.5",
    "--max-wcu": "500",
    "--max-rcu": "1e3",
    "--max-rate": "0.5",
    "--rate": "08:00,20% Sat-Sun,pause",
    "--rate-timezone": "Europe/Berlin",
    "--headroom": "12.5%",
    "--max-iterator-age": "5m",
    "--consumer-rate": "500",
    "--max-consumer-errors": "0",
    "--segments": "64",
    "--workers": "7",
    "--writer": "update",
    "--max-items": "10",
    "--give-up-after": "1h30m",
    "--run-id": "fix-1",
}


def test_every_option(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """Each option arrives in its field; --ignore can be repeated."""
    arguments = [word for pair in OPTIONS.items() for word in pair]
    ignored = ("--ignore", "stream-disabled", "--ignore", "table-status")
    assert refire("run", *arguments, *ignored, "--dry-run", "--yes").code == 0
    assert fake_engine.seen == [EVERYTHING]


def test_every_option_from_the_environment(
    refire: Callable[..., Ended], fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same settings without an option."""
    for option, value in OPTIONS.items():
        monkeypatch.setenv("REFIRE_" + option[2:].replace("-", "_").upper(), value)
    monkeypatch.setenv("REFIRE_IGNORE", "stream-disabled,table-status")
    monkeypatch.setenv("REFIRE_DRY_RUN", "1")
    monkeypatch.setenv("REFIRE_YES", "1")
    monkeypatch.setenv("REFIRE_JSON", "0")
    ended = refire("run")
    assert ended.code == 0, ended.err
    assert fake_engine.seen == [EVERYTHING]
    assert not ended.out.startswith("{")


def test_environment_of_the_known_script(
    refire: Callable[..., Ended], fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`DynamoTable`, `HashKeyName` and `HashKeyValue` are understood; REFIRE_ variables override them."""
    monkeypatch.setenv("DynamoTable", "old-orders")
    monkeypatch.setenv("HashKeyName", "customer")
    monkeypatch.setenv("HashKeyValue", "c-42")
    assert refire("run").code == 0
    monkeypatch.setenv("REFIRE_TABLE", "orders")
    assert refire("run").code == 0
    assert refire("run", "--table", "other", "--key-value", "c-43").code == 0
    selection = SelectionSettings(key_name="customer", key_values=("c-42",))
    assert fake_engine.seen == [
        RunSettings(table="old-orders", selection=selection),
        RunSettings(table="orders", selection=selection),
        RunSettings(table="other", selection=SelectionSettings(key_name="customer", key_values=("c-43",))),
    ]


def test_empty_variables_of_the_known_script(
    refire: Callable[..., Ended], fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The known script treats empty ones as not given."""
    monkeypatch.setenv("HashKeyName", "")
    monkeypatch.setenv("HashKeyValue", "")
    assert refire("run", "--table", "orders").code == 0
    assert fake_engine.seen == [RunSettings(table="orders")]


def test_files(refire: Callable[..., Ended], fake_engine: FakeEngine, tmp_path: Path) -> None:
    """Paths are passed as given; the checkpoint need not exist."""
    keys = tmp_path / "keys.jsonl"
    keys.touch()
    checkpoint = tmp_path / "x.refire"
    ended = refire("run", "--table", "orders", "--keys-file", str(keys), "--checkpoint", str(checkpoint))
    assert ended.code == 0, ended.err
    assert fake_engine.seen == [
        RunSettings(table="orders", selection=SelectionSettings(keys_file=str(keys)), checkpoint=checkpoint)
    ]


def test_table_by_arn(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """DynamoDB accepts an ARN in place of a table's name."""
    arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"
    assert refire("run", "--table", arn).code == 0
    assert fake_engine.seen == [RunSettings(table=arn)]


def test_resume(refire: Callable[..., Ended], fake_engine: FakeEngine, tmp_path: Path) -> None:
    """A resumed run has its checkpoint, and the current speed options."""
    checkpoint = tmp_path / "x.refire"
    checkpoint.touch()
    arguments = ("--checkpoint", str(checkpoint), "--wcu-percent", "40", "--region", "eu-west-1")
    patient = ("--give-up-after", "90s", "--rate", "3000")
    ended = refire(
        "resume", *arguments, "--workers", "3", "--max-items", "5", "--ignore", "stream-disabled", *patient
    )
    assert ended.code == 0, ended.err
    assert fake_engine.seen == [
        ResumeSettings(
            checkpoint=checkpoint,
            connection=Connection(region="eu-west-1"),
            budget=Budget(wcu_percent=40),
            pacing=PacingSettings(rate="3000"),
            tuning=Tuning(workers=3, give_up_after_s=90),
            max_items=5,
            ignore=frozenset(("stream-disabled",)),
        )
    ]


def test_canary_and_proof(refire: Callable[..., Ended], fake_engine: FakeEngine) -> None:
    """They reach the engine, for a new and a resumed run; a dry run has nothing to verify."""
    assert refire("run", "--table", "orders", "--canary", "100", "--verify").code == 0
    (settings,) = fake_engine.seen
    assert isinstance(settings, RunSettings)
    assert (settings.canary, settings.verify, settings.assume_yes) == (100, True, False)
    for option in ("--verify", "--canary=5"):
        ended = refire("run", "--table", "orders", "--dry-run", option)
        assert ended.code == 2
        assert "cannot be combined" in ended.err
