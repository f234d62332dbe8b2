"""What tests of the pipeline share: time that does not pass by itself, and a checkpoint."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from refire_async.checkpoint.store import Store
from tests.support.checkpoints import new_store
from tests.support.virtual_time import VIRTUAL_TIME


@pytest.fixture
def anyio_backend() -> object:
    """Minutes of waiting in milliseconds."""
    return VIRTUAL_TIME


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new checkpoint file."""
    store = new_store(tmp_path / "a.refire")
    yield store
    store.close()
