"""What tests of the sandbox share."""

from collections.abc import Iterator

import pytest

from tests.sandbox.language_judge import Judge


@pytest.fixture(scope="module")
def judge(dynamodb_local_url: str) -> Iterator[Judge]:
    """A table of DynamoDB Local."""
    judge = Judge(dynamodb_local_url)
    yield judge
    judge.close()
