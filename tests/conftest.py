"""Fixtures that every test may use."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.dynamodb_local import DynamoDBLocalUnavailableError, running_dynamodb_local


@pytest.fixture(scope="session")
def dynamodb_local_url() -> Iterator[str]:
    """The URL of a DynamoDB Local that lives as long as the test session. Use unique table names."""
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(running_dynamodb_local())
        except DynamoDBLocalUnavailableError as error:
            # Not a skip: without the judge nothing here is proven.
            pytest.fail(str(error), pytrace=False)
        yield url
