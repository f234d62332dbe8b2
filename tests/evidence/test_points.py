"""The failpoints: each is in the code, and without the variable they have no effect."""

import re
from pathlib import Path

import pytest

import refire_async
from refire_async import failpoints

CALL = re.compile(r'\breached\("([a-z-]+)"\)')
SOURCES = [path for path in Path(refire_async.__file__).parent.rglob("*.py") if path.name != "failpoints.py"]


IN_EACH_STORE = ("commit-begun", "commit-pending", "committed")
"""A run's state is committed to a file or to a table."""


def test_every_point_is_somewhere() -> None:
    """The table of points and the calls in the program have the same points, each once, or once in each store."""
    found = [name for path in SOURCES for name in CALL.findall(path.read_text())]
    every = [*failpoints.POINTS, *failpoints.DELIVERY_POINTS, *failpoints.MAPPING_POINTS, *IN_EACH_STORE]
    assert sorted(found) == sorted(every)


def test_unarmed() -> None:
    """Without the variable there is nothing to call."""
    assert failpoints.reached is None


@pytest.mark.parametrize("text", ["", "page-read", "page-read:", "page-read:0", "page-read:-1", "nowhere:1"])
def test_odd_values_are_refused(text: str) -> None:
    """A misspelt point would never kill, and a test that relies on it would prove nothing."""
    with pytest.raises(ValueError, match="REFIRE_KILL_AT"):
        failpoints.arm(text)
