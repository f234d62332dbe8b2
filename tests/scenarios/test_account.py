"""`pytest tests/scenarios --account PROFILE`, tried with a profile whose endpoint is the sandbox."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.account import TABLE_PREFIX
from tests.support.backends import Backend, on_one_backend

pytestmark = on_one_backend

Pytest = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_pytest(tmp_path: Path, backend: Backend) -> Pytest:
    """Runs tests of test_touch.py in a child whose AWS configuration has one profile, `test`."""
    config = tmp_path / "config"
    config.write_text(
        f"[profile test]\nregion = eu-west-1\nendpoint_url = {backend.url}\n"
        "aws_access_key_id = TEST\naws_secret_access_key = secret\n"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "tests/scenarios/test_touch.py",
                "-p",
                "no:cacheprovider",
                *arguments,
            ],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": os.devnull},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    return run


def test_scenarios_run_on_an_account(run_pytest: Pytest, backend: Backend) -> None:
    """The tests that fit run once, on tables that are gone afterwards. Number and cost come first."""
    before = set(backend.dynamodb.list_tables()["TableNames"])
    done = run_pytest("--account", "test", "-k", "existing or empty")
    assert done.returncode == 0, done.stdout + done.stderr
    head, _, rest = done.stdout.partition("cost: at most $")
    assert f"account of profile test: 2 tests make tables {TABLE_PREFIX}" in head
    assert "in the dearest region" in rest
    assert "2 passed" in rest
    assert set(backend.dynamodb.list_tables()["TableNames"]) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--account", "other"), "--account other: "),
        (("--account", "test", "--account-dollars", "0.001"), "more than --account-dollars 0.001"),
    ],
)
def test_no_test_runs(run_pytest: Pytest, arguments: tuple[str, ...], said: str) -> None:
    """A profile that is missing, or a cost above the bound, is a usage error."""
    done = run_pytest(*arguments)
    assert done.returncode == 4, done.stdout
    assert said in done.stdout + done.stderr
    assert "passed" not in done.stdout
