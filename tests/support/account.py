"""An AWS account as a backend of the scenarios: `pytest tests/scenarios --account PROFILE`.

Only tests with the marker `on_account(writes)` run then, each on small tables of its own, on demand. What they can cost
is the sum of their write units, with as much again for reads; it is printed before anything is made, and bounded.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from tests.probes.cost import Cost, total
from tests.probes.resources import PREFIX
from tests.support.backends import Backend

TABLE_PREFIX = f"{PREFIX}scenario-"
"""With the tag of the probes: `python -m tests.probes --clean` takes away what a killed session leaves."""

QUIET_S = 5.0
"""So long a stream of the service must have been silent before it counts as read to its end."""

_EMULATED_QUIET_S = 0.2
_MARKER = "on_account"


def add_options(parser: pytest.Parser) -> None:
    """`--account` and its bound."""
    group = parser.getgroup("account", "an AWS account as the backend of scenarios")
    group.addoption(
        "--account", metavar="PROFILE", help="run the scenarios that fit on the account of this profile"
    )
    group.addoption(
        "--account-dollars", metavar="D", type=float, default=1.0, help="refuse if they may cost more (1)"
    )


def profile_of(config: pytest.Config) -> str | None:
    """The profile of `--account`."""
    profile: str | None = config.getoption("--account", default=None)
    return profile


def check_profile(profile: str) -> None:
    """Raises UsageError for a profile without region or credentials."""
    try:
        session = boto3.Session(profile_name=profile)
        problem = "no region" if session.region_name is None else ""
        problem = problem or ("no credentials" if session.get_credentials() is None else "")
    except BotoCoreError as error:
        problem = str(error)
    if problem:
        raise pytest.UsageError(f"--account {profile}: {problem}")


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that fit. Raises UsageError if they may cost more than the bound."""
    chosen = [item for item in items if item.get_closest_marker(_MARKER) and _on_account(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen
    most, bound = cost_of(items).dollars, config.getoption("--account-dollars")
    if most > bound:
        raise pytest.UsageError(f"these tests may cost ${most:.2f}, more than --account-dollars {bound:g}")


def _on_account(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("backend_name") == "account"


def cost_of(items: list[pytest.Item]) -> Cost:
    """What these tests consume at the most."""
    return total([_cost(item) for item in items])


def _cost(item: pytest.Item) -> Cost:
    marker = item.get_closest_marker(_MARKER)
    writes = int(marker.args[0]) if marker is not None else 0
    return Cost(writes=writes, reads=2 * writes + 1000, stream_reads=2000)


def announcement(profile: str, items: list[pytest.Item]) -> list[str]:
    """What is going to happen, in two lines."""
    return [
        f"account of profile {profile}: {len(items)} tests make tables {TABLE_PREFIX}…, on demand, and delete them",
        f"cost: at most ${cost_of(items).dollars:.4f} in the dearest region",
    ]


@contextlib.contextmanager
def connected_account(profile: str) -> Iterator[Backend]:
    """The account as a backend. Its endpoint is the profile's, which may name an emulator."""
    session = boto3.Session(profile_name=profile)
    config = Config(max_pool_connections=16, retries={"max_attempts": 8, "mode": "standard"})
    with contextlib.ExitStack() as stack:
        clients = [session.client(service, config=config) for service in ("dynamodb", "dynamodbstreams")]
        for client in clients:
            stack.callback(client.close)
        at_aws = "amazonaws.com" in clients[0].meta.endpoint_url
        quiet_s = QUIET_S if at_aws else _EMULATED_QUIET_S
        yield Backend("account", "", "", *clients, profile=profile, quiet_s=quiet_s)


def environment_of(profile: str) -> dict[str, str]:
    """What makes the program under test use the profile: the user's own files, where SSO has its tokens too."""
    home = Path.home()
    files = {
        "AWS_CONFIG_FILE": home / ".aws/config",
        "AWS_SHARED_CREDENTIALS_FILE": home / ".aws/credentials",
    }
    return {
        "HOME": str(home),
        "AWS_PROFILE": profile,
        **{name: os.environ.get(name, str(default)) for name, default in files.items()},
    }
