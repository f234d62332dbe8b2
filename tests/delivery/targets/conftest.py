"""Targets do real work in threads, pipes and connections: on each kind of loop, in real time."""

import pytest


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Loops differ in how they wait for pipes."""
    return "asyncio", {"use_uvloop": request.param}
