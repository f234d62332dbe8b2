"""Writers talk to real servers: not in the virtual time of the pipeline's tests."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
