"""Sources read from real servers; what needs virtual time runs in a loop of its own."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The usual loop for every `async def` test here."""
    return "asyncio"
