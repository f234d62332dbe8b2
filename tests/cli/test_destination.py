"""Confirmation of a checkpoint that leads to another place than the user's configuration, before anything is sent."""

import os
import pty
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from refire_async.checkpoint import catalog
from refire_async.checkpoint.store import Store
from refire_async.delivery.ledger import Ledger
from refire_async.engine.delivering import resumed
from refire_async.settings import Connection, ResumeSettings
from tests.cli.conftest import Ended, FakeEngine
from tests.support.checkpoints import SPEC
from tests.support.delivery import make_spec

Refire = Callable[..., Ended]
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_aws(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No AWS configuration of this machine."""
    for name in [*os.environ]:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(state / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(state / "credentials"))
    state.mkdir(parents=True)
    (state / "config").write_text("[profile prod]\nregion = eu-west-1\n[profile dev]\nregion = eu-west-1\n")


def save(connection: Connection, *, table: str = "orders", attribute: str = "revision") -> Path:
    """The checkpoint of a resumable run in the state folder."""
    path = catalog.path_of("run-1")
    spec = replace(SPEC, table=table, marker=replace(SPEC.marker, attribute=attribute))
    Store.create(path, spec, connection).close()
    return path


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, typed: str) -> Iterator[list[str]]:
    """Standard input and error are a terminal with the user's answer. Yields a function for its output."""
    ours, theirs = pty.openpty()
    shown: list[str] = []
    with (
        os.fdopen(theirs, "r", closefd=False) as stdin,
        os.fdopen(theirs, "w") as stderr,
        monkeypatch.context() as patch,
    ):
        patch.setattr(sys, "stdin", stdin)
        patch.setattr(sys, "stderr", stderr)
        os.write(ours, typed.encode())
        yield shown
    with suppress(OSError):  # the end of a closed terminal
        while piece := os.read(ours, 4096):
            shown.append(piece.decode())
    os.close(ours)


SAME = [
    (Connection(), {}, ()),
    (Connection(region="eu-west-1", profile=None, endpoint_url=None), {"AWS_REGION": "eu-west-1"}, ()),
    (
        Connection(region="eu-west-1", profile=None, endpoint_url=None),
        {"AWS_DEFAULT_REGION": "eu-west-1"},
        (),
    ),
    (Connection(region="eu-west-1", profile="prod", endpoint_url=None), {"AWS_PROFILE": "prod"}, ()),
    (Connection(region="eu-west-1", profile="prod", endpoint_url=None), {}, ("--profile", "prod")),
    (
        Connection(region=None, profile=None, endpoint_url=NOWHERE),
        {"AWS_ENDPOINT_URL_DYNAMODB": f"{NOWHERE}/"},
        (),
    ),
    (Connection(region=None, profile=None, endpoint_url=NOWHERE), {"AWS_ENDPOINT_URL": NOWHERE}, ()),
    (Connection(region=None, profile=None, endpoint_url=NOWHERE), {"REFIRE_ENDPOINT_URL": NOWHERE}, ()),
    (
        Connection(region=None, profile=None, endpoint_url=NOWHERE),
        {},
        ("--endpoint-url", "http://127.0.0.1:10"),
    ),
]


@pytest.mark.parametrize(("saved", "environment", "options"), SAME)
@pytest.mark.parametrize("command", ["resume"])
def test_the_same_place_needs_no_confirmation(  # noqa: PLR0917 - fixtures and parameters
    refire: Refire,
    fake_engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    saved: Connection,
    environment: dict[str, str],
    options: tuple[str, ...],
    command: str,
) -> None:
    save(saved)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ended = refire(command, "run-1", *options)
    assert ended.code == 0, ended.err
    assert len(fake_engine.seen) == 1


OTHER = [
    (
        Connection(region=None, profile=None, endpoint_url=NOWHERE),
        {},
        f"endpoint {NOWHERE} (yours: AWS itself)",
        "--endpoint-url",
    ),
    (
        Connection(region="eu-west-1", profile=None, endpoint_url=None),
        {"AWS_REGION": "us-east-1"},
        "region eu-west-1 (yours: us-east-1)",
        "--region",
    ),
    (
        Connection(region=None, profile="prod", endpoint_url=None),
        {"AWS_PROFILE": "dev"},
        "profile prod (yours: dev)",
        "--profile",
    ),
    (
        Connection(region=None, profile="prod", endpoint_url=None),
        {},
        "profile prod (yours: none)",
        "--profile",
    ),
    (
        Connection(region=None, profile=None, endpoint_url=NOWHERE),
        {"AWS_ENDPOINT_URL": NOWHERE, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        f"endpoint {NOWHERE} (yours: AWS itself)",
        "--endpoint-url",
    ),
]


@pytest.mark.parametrize(("saved", "environment", "said", "option"), OTHER)
@pytest.mark.parametrize("command", ["resume", "verify"])
def test_without_a_terminal_it_is_refused(  # noqa: PLR0917 - fixtures and parameters
    refire: Refire,
    fake_engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    saved: Connection,
    environment: dict[str, str],
    said: str,
    option: str,
    command: str,
) -> None:
    """One line with all differences and what to do. Nothing starts."""
    save(saved)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ended = refire(command, "run-1", "--json")
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert said in ended.err
    assert f"give --yes, or {option}" in ended.err
    assert fake_engine.seen == []


@pytest.mark.parametrize(
    ("spec", "environment", "said"),
    [
        ({"attribute": "price"}, {}, "marker attribute price (yours: revision)"),
        ({"attribute": "price"}, {"REFIRE_MARKER": "stamp"}, "marker attribute price (yours: refire_run_id)"),
        ({"table": "customers"}, {"REFIRE_TABLE": "orders"}, "table customers (yours: orders)"),
        ({"table": "customers"}, {"DynamoTable": "orders"}, "table customers (yours: orders)"),
        ({"attribute": "price"}, {"REFIRE_MARKER_ATTRIBUTE": "price"}, None),
        ({"table": "orders"}, {"REFIRE_TABLE": "arn:aws:dynamodb:eu-west-1:1:table/orders"}, None),
        ({"table": "customers"}, {}, None),
    ],
)
def test_table_and_marker(  # noqa: PLR0917 - fixtures and parameters
    refire: Refire,
    fake_engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    spec: dict[str, str],
    environment: dict[str, str],
    said: str | None,
) -> None:
    """Environment and file say which table and marker the user means; a marker of the application is another."""
    save(Connection(), **spec)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ended = refire("resume", "run-1")
    assert ended.code == (0 if said is None else 2), ended.err
    assert said is None or said in ended.err
    fake_engine.seen.clear()
    assert refire("resume", "run-1", "--yes").code == 0
    assert len(fake_engine.seen) == 1


def test_of_the_file(refire: Refire, fake_engine: FakeEngine, tmp_path: Path) -> None:
    """As for a run that starts with this file."""
    save(Connection(), attribute="price")
    (tmp_path / "a.toml").write_text('[run]\nmarker-attribute = "price"\n')
    assert refire("resume", "run-1", "--config", str(tmp_path / "a.toml")).code == 0


@pytest.mark.parametrize(
    ("answer", "goes_on"), [("y\n", True), ("n\n", False), ("\n", False), ("\x04", False)]
)
def test_on_a_terminal_it_asks(
    refire: Refire, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, answer: str, *, goes_on: bool
) -> None:
    """The lines before the question have endpoint, profile, table and marker, with control characters escaped."""
    save(Connection(region=None, profile="prod", endpoint_url=NOWHERE), table="tbl", attribute="x\x1b[2Jy")
    with terminal(monkeypatch, answer) as shown:
        code = refire("resume", "run-1").code
    text = "".join(shown)
    assert code == (0 if goes_on else 3)
    assert len(fake_engine.seen) == goes_on
    assert "\x1b[2J" not in text
    for word in (
        NOWHERE,
        "prod",
        "tbl",
        r"x\x1b[2Jy",
        "Use the settings of the checkpoint of run run-1? [y/N]",
    ):
        assert word in text


def test_the_command_itself_reports_a_bad_checkpoint(
    refire: Refire, fake_engine: FakeEngine, tmp_path: Path
) -> None:
    (tmp_path / "x").touch()
    assert refire("resume", "--checkpoint", str(tmp_path / "x")).code == 0
    assert len(fake_engine.seen) == 1


def save_delivery(connection: Connection) -> Path:
    """The ledger of a resumable redrive in the state folder."""
    path = catalog.path_of("run-1")
    chosen = {"to": None, "whole_events": False, "keep": True}
    spec = replace(make_spec(), run_id="run-1", command="redrive", selection=orjson.dumps(chosen).decode())
    Ledger.create(path, spec, connection).close()
    return path


def test_a_delivery_that_leads_elsewhere_asks_too(refire: Refire) -> None:
    path = save_delivery(Connection(region="eu-west-1", endpoint_url=NOWHERE))
    before = path.read_bytes()
    ended = refire("resume", "run-1")
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert f"names endpoint {NOWHERE} (yours: AWS itself)" in ended.err
    assert "--endpoint-url" in ended.err
    assert path.read_bytes() == before


def test_a_resumed_delivery_goes_where_it_went(monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_delivery(Connection(region="eu-west-1", endpoint_url=NOWHERE))
    settings = ResumeSettings(checkpoint=path)
    assert resumed(settings, Connection()).connection == Connection(region="eu-west-1", endpoint_url=NOWHERE)
    given = Connection(region="us-east-1")
    assert resumed(settings, given).connection == Connection(region="us-east-1", endpoint_url=NOWHERE)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert resumed(settings, Connection()).connection == Connection(endpoint_url=NOWHERE)
