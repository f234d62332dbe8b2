"""Variables with our prefix: those of other commands, of tests and of orchestrators are no mistakes."""

from collections.abc import Callable

import pytest

from tests.cli.conftest import Ended

Refire = Callable[..., Ended]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REFIRE_MAX_WCU", "5"),
        ("REFIRE_TEST_CACHE", "x"),
        ("REFIRE_KILL_AT", "committed:1"),
        ("REFIRE_SERVICE_HOST", "10.0.0.1"),
        ("REFIRE_SANDBOX_SERVICE_PORT_HTTP", "80"),
        ("REFIRE_PORT", "tcp://10.0.0.1:80"),
        ("REFIRE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("refire_max_wuc", "5"),
    ],
)
def test_variables_that_are_accepted(
    refire: Refire, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert refire("status").code == 0


def test_help_works_with_an_unknown_variable(refire: Refire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users find the right name in the help."""
    monkeypatch.setenv("REFIRE_MAX_WUC", "5")
    assert refire("--help").code == 0
    assert refire("run", "--help").code == 0
    ended = refire("config")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "refire: unknown environment variable 'REFIRE_MAX_WUC'; did you mean REFIRE_MAX_WCU?\n"
    )
