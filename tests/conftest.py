"""Fixtures for all tests, and the selection of tests."""

import contextlib
import functools
import os
import signal
from collections.abc import Callable, Iterator

import botocore.session
import pytest

from refire_async.sandbox.config import SandboxConfig
from refire_async.sandbox.process import SandboxProcess
from tests.support import account
from tests.support.backends import Backend, BackendName, connected
from tests.support.dynamodb_local import DynamoDBLocalUnavailableError, running_dynamodb_local
from tests.support.environments import JudgeUnavailableError
from tests.support.examples import load_profile, mark_property_tests, mark_thinned, selects_soak
from tests.support.ministack import Ministack, running_ministack
from tests.support.tables import Table, create_table


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--account`: see tests/support/account.py."""
    account.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Deselect the long tests, and those that need Spark, unless `-m` selects some.

    The result of the default command does not depend on luck: there each property test draws the same few examples
    every time. `-m soak` draws many new ones.
    """
    # Some containers set it. Then each of a thousand child processes would compile the program and its libraries.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Shells start what runs in the background with SIGINT ignored, and children inherit that. Ctrl-C would do nothing.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.option.markexpr = config.option.markexpr or "not soak and not spark"
    load_profile(config.option.markexpr)
    if profile := account.profile_of(config):
        account.check_profile(profile)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """`-n auto`, as in pyproject.toml: no workers for named tests (a file or a test), three for folders.

    On two cores, two of them wait for children and servers a third of the time. On an account there are none.
    """
    if account.profile_of(config):
        return 0
    return 0 if config.args and all(".py" in argument for argument in config.args) else 3


@pytest.hookimpl(tryfirst=True)  # before `-m` is applied
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The default run has a few parameter sets of each kind; under `-m soak` the property tests run too."""
    mark_thinned(items)
    if selects_soak(config.option.markexpr):
        mark_property_tests(items)
    if account.profile_of(config):
        account.select(config, items)


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """On an account: what is made and what it costs at the most, before it is made."""
    profile = account.profile_of(config)
    return account.announcement(profile, items) if profile else []


@pytest.hookimpl(tryfirst=True)  # before the parameters of marks, so that the backend comes first in ids
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The backends: the two emulators, or the account. Tests that name one themselves keep it."""
    named = any("backend_name" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "backend_name" in metafunc.fixturenames and not named:
        names = ["account"] if account.profile_of(metafunc.config) else ["dynamodb-local", "sandbox"]
        metafunc.parametrize("backend_name", names, indirect=True, scope="session")


@pytest.fixture(scope="session", autouse=True)
def one_loader() -> Iterator[None]:
    """botocore reads its data once, not for each session: a client then takes milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", functools.cache(botocore.session.create_loader))
        yield


@pytest.fixture(scope="session")
def dynamodb_local_url() -> Iterator[str]:
    """The URL of a DynamoDB Local that runs as long as the test session.

    Each access key id has a database of its own there.
    """
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(running_dynamodb_local())
        except DynamoDBLocalUnavailableError as error:
            # Not a skip: without DynamoDB Local nothing here is proven.
            pytest.fail(str(error), pytrace=False)
        yield url


@pytest.fixture(scope="session")
def ministack() -> Iterator[Ministack]:
    """Lambda, SQS and S3 that live as long as the test session. Use unique names."""
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(running_ministack())
        except JudgeUnavailableError as error:
            pytest.fail(str(error), pytrace=False)
        yield running


@pytest.fixture(scope="session")
def sandbox_url() -> Iterator[str]:
    """The URL of a sandbox that runs as long as the test session. Use unique table names."""
    with SandboxProcess(SandboxConfig()) as sandbox:
        yield sandbox.url


@pytest.fixture(scope="session")
def backend_name(request: pytest.FixtureRequest) -> BackendName:
    """The DynamoDB to use: each test with a backend runs once with each."""
    return request.param


@pytest.fixture
def backend(backend_name: BackendName, request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A running DynamoDB; on DynamoDB Local without the tables of other tests."""
    if profile := account.profile_of(request.config):
        with account.connected_account(profile) as connection:
            yield connection
        return
    url = request.getfixturevalue(f"{backend_name.replace('-', '_')}_url")
    with connected(backend_name, url) as connection:
        yield connection


@pytest.fixture
def make_table(backend: Backend) -> Iterator[Callable[..., Table]]:
    """`create_table` on the backend; the table is deleted after the test."""
    tables: list[Table] = []

    def make(*arguments: object, **options: object) -> Table:
        tables.append(create_table(backend, *arguments, **options))
        return tables[-1]

    yield make
    for table in tables:
        table.delete()
