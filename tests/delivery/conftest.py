"""Deliveries in tests wait on a clock that jumps."""

from typing import Any

import pytest

from tests.support.virtual_time import VIRTUAL_TIME


@pytest.fixture
def anyio_backend() -> Any:
    """Virtual time for every `async def` test here."""
    return VIRTUAL_TIME
