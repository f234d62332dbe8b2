"""The public API as in docs/python.md: every example runs unchanged, with both backends."""

import ast
import asyncio
import inspect
import re
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import refire_async
from tests.support.backends import REGION, Backend
from tests.support.rows import hash_rows
from tests.support.tables import Table

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
ITEMS = 60


@dataclass(frozen=True)
class Orders:
    """A table with items, and a folder for checkpoints."""

    table: Table
    folder: Path

    def example(self, heading: str) -> str:
        """The code block under a heading of the page, for this table and this folder."""
        section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
        (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        return str(code).replace('"orders"', f'"{self.table.name}"').replace("/mnt/refire", str(self.folder))

    def check_once(self) -> None:
        """Every item has fired once."""
        fired = [
            [change for change in changes if change.event == "MODIFY"]
            for changes in self.table.changes().values()
        ]
        assert [len(changes) for changes in fired] == [1] * ITEMS


@pytest.fixture
def orders(
    make_table: Callable[..., Table], backend: Backend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Orders:
    table = make_table()
    table.fill(hash_rows(ITEMS))
    environment = {
        "AWS_ENDPOINT_URL_DYNAMODB": backend.url,
        "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": backend.url,
        "AWS_ACCESS_KEY_ID": backend.access_key,
        "AWS_SECRET_ACCESS_KEY": "scenario",
        "AWS_REGION": REGION,
        "XDG_STATE_HOME": str(tmp_path),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Orders(table, tmp_path)


def run_code(code: str) -> dict[str, Any]:
    """Run an example as a module, and return its names."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, str(PAGE), "exec"), names)
    return names


def test_an_async_program(orders: Orders, capsys: pytest.CaptureFixture[str]) -> None:
    run_code(orders.example("An async program"))
    assert f"complete: {ITEMS} items touched\n" in capsys.readouterr().out
    orders.check_once()


def test_an_airflow_task(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow is large: a decorator that only calls the function replaces its own."""
    sdk = types.ModuleType("airflow.sdk")
    sdk.task = lambda **_options: lambda function: function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "airflow", types.ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    refire_orders = run_code(orders.example("An Airflow task"))["refire_orders"]
    summary = refire_orders("nightly")
    assert (summary["status"], summary["touched"]) == ("complete", ITEMS)
    orders.check_once()


@dataclass
class LambdaContext:
    """The context of a Lambda function with this remaining time."""

    seconds: float

    def get_remaining_time_in_millis(self) -> int:
        return round(self.seconds * 1000)


def test_a_lambda_function_is_continued_by_the_next_invocation(orders: Orders) -> None:
    handler = run_code(
        orders.example("A Lambda function that continues in the next invocation")
        .replace("RunSettings(", "RunSettings(budget=Budget(max_wcu=5.0), ")
        .replace("from refire_async import ", "from refire_async import Budget, ")
    )["handler"]
    first = handler({}, LambdaContext(36.0))
    assert first["status"] == "stopped"
    assert 0 < first["touched"] < ITEMS
    second = handler({}, LambdaContext(600.0))
    assert (second["status"], second["touched"]) == ("complete", ITEMS)
    orders.check_once()


def test_a_notebook_cell(orders: Orders, capsys: pytest.CaptureFixture[str]) -> None:
    """A cell awaits at its top level, in asyncio's running loop."""
    code = compile(
        orders.example("A notebook cell with progress"), str(PAGE), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    names: dict[str, Any] = {"__name__": "__main__"}

    async def cell() -> None:
        await types.FunctionType(code, names)()

    asyncio.run(cell())
    out = capsys.readouterr().out
    assert f"\r{ITEMS} items written" in out
    assert "complete after" in out
    orders.check_once()


def test_a_replay_into_a_file(
    orders: Orders, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(orders.folder)
    run_code(orders.example("A replay into a file"))
    assert f"complete: {ITEMS} records\n" in capsys.readouterr().out
    assert len((orders.folder / "events.jsonl").read_text().splitlines()) == ITEMS


def test_every_public_name_exists_and_is_listed() -> None:
    for name in refire_async.__all__:
        assert getattr(refire_async, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'touch'"):
        _ = refire_async.touch
    assert set(refire_async.__all__) <= set(dir(refire_async))


def test_optional_parameters_are_keyword_only() -> None:
    for function in (
        refire_async.run,
        refire_async.resume,
        refire_async.check,
        refire_async.plan,
        refire_async.verify,
        refire_async.replay,
        refire_async.redrive,
    ):
        first, *others = inspect.signature(function).parameters.values()
        assert first.name == "settings"
        assert all(one.kind is one.KEYWORD_ONLY and one.default is not one.empty for one in others), function


def test_importing_the_package_loads_nothing_heavy() -> None:
    """`refire --help` must stay fast, and a program that imports the package loads only what it uses."""
    program = (
        "import sys, refire_async; print(sorted({'aioboto3', 'anyio', 'orjson', 'click'} & set(sys.modules)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert loaded.strip() == "[]"
