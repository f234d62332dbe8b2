"""The endpoints of requests equal those of botocore's own rules, over its whole endpoint data."""

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import (
    BotoCoreError,
    EndpointConnectionError,
    EndpointProviderError,
    EndpointVariantError,
)
from botocore.loaders import Loader

from refire_async.aws.botocore_errors import from_control_plane
from refire_async.aws.config import AwsSession
from refire_async.aws.endpoint import parse_endpoint
from refire_async.aws.other_services import ServiceName, Services, UnansweredError
from refire_async.aws.route import Route, route_of
from refire_async.aws.session import _streams_route, open_session
from refire_async.errors import RefireError, UsageError
from refire_async.settings import Connection

ACCOUNT = "123456789012"
ASKED = {
    "application-autoscaling": ("describe_scalable_targets", {"ServiceNamespace": "dynamodb"}),
    "cloudwatch": ("list_metrics", {}),
    "kinesis": ("list_streams", {}),
    "lambda": ("list_event_source_mappings", {}),
    "sts": ("get_caller_identity", {}),
}
"""Services, and a call of each without a resource."""

LOADER = Loader()
PARTITIONS = LOADER.load_data("partitions")
REGIONS = [region for partition in PARTITIONS["partitions"] for region in partition["regions"]]
REGIONAL = [region for region in REGIONS if not region.endswith("-global")]


@pytest.fixture
def anyio_backend() -> str:
    """One event loop, because these tests do not depend on it."""
    return "asyncio"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED")
    return monkeypatch


@dataclass(frozen=True)
class Wish:
    """The endpoint settings of the environment."""

    region: str
    fips: bool
    dual_stack: bool
    account: str | None
    mode: str | None

    def put(self, aws: pytest.MonkeyPatch) -> None:
        for name, value in {
            "AWS_USE_FIPS_ENDPOINT": str(self.fips).lower(),
            "AWS_USE_DUALSTACK_ENDPOINT": str(self.dual_stack).lower(),
            "AWS_ACCOUNT_ID": self.account,
            "AWS_ACCOUNT_ID_ENDPOINT_MODE": self.mode,
        }.items():
            if value is None:
                aws.delenv(name, raising=False)
            else:
                aws.setenv(name, value)


@functools.cache
def rule_set(service: str) -> tuple[dict[str, Any], EndpointProvider]:
    """botocore's rules of a service, as data and as an evaluator."""
    rules = LOADER.load_service_model(service, "endpoint-rule-set-1")
    return rules, EndpointProvider(rules, PARTITIONS)


def botocores(service: str, wish: Wish) -> str | None:
    """The result of botocore's rule set of a service, evaluated alone. None: no such endpoint exists."""
    rules, provider = rule_set(service)
    parameters: dict[str, Any] = {
        "Region": wish.region,
        "UseFIPS": wish.fips,
        "UseDualStack": wish.dual_stack,
        "AccountId": wish.account,
        "AccountIdEndpointMode": wish.mode or "preferred",
        "UseGlobalEndpoint": False,
    }
    known = {
        name: value for name, value in parameters.items() if name in rules["parameters"] and value is not None
    }
    try:
        return str(provider.resolve_endpoint(**known).url) + "/"
    except EndpointProviderError:
        return None


def botocore_has_a_client(service: str, wish: Wish) -> bool:
    """Whether botocore can create a client. Its older data rejects some combinations before its rules are evaluated."""
    try:
        botocore.session.Session().create_client(service, wish.region).close()
    except EndpointVariantError:
        return False
    return True


async def url_or_none(route: Callable[[], Any]) -> str | None:
    try:
        return str((await route()).endpoint.url)
    except (RefireError, BotoCoreError):
        return None


async def ours(wish: Wish) -> dict[str, str | None]:
    """The endpoint of this program for each service."""
    connection = Connection(region=wish.region)
    session = AwsSession(connection)

    async def other(service: str) -> Route:
        method, parameters = ASKED[service]
        async with session.client(service) as client:
            return await route_of(client, method, **parameters)

    async def tables() -> Route:
        async with open_session(connection, 1) as opened:
            assert opened.endpoint == opened.route.endpoint.url.rstrip("/")
            return opened.route

    async def streams() -> Route:
        return await _streams_route(
            session, connection, Route(parse_endpoint("https://x.amazonaws.com"), wish.region)
        )

    found = {service: await url_or_none(lambda service=service: other(service)) for service in ASKED}
    return found | {"dynamodb": await url_or_none(tables), "dynamodbstreams": await url_or_none(streams)}


ALL = [
    Wish(*values)
    for values in product(
        REGIONAL, (False, True), (False, True), (None, ACCOUNT), (None, "preferred", "disabled", "required")
    )
]


async def compare(wishes: list[Wish], aws: pytest.MonkeyPatch) -> None:
    for wish in wishes:
        wish.put(aws)
        for service, url in (await ours(wish)).items():
            expected = botocores(service, wish)
            assert url == expected or (url is None and not botocore_has_a_client(service, wish)), (
                service,
                wish,
            )


async def test_a_sample_of_all_combinations(aws: pytest.MonkeyPatch) -> None:
    """One region of each partition, and some of all other settings."""
    draw = random.Random(14)
    firsts = {partition["id"]: list(partition["regions"])[-1] for partition in PARTITIONS["partitions"]}
    sample = [draw.choice([wish for wish in ALL if wish.region == region]) for region in firsts.values()]
    await compare([*sample, *draw.sample(ALL, 4)], aws)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("region", REGIONAL)
async def test_all_combinations_of_a_region(aws: pytest.MonkeyPatch, region: str) -> None:
    """Every combination in each region of each partition: 46 regions of 32, about 10 s a region."""
    await compare([wish for wish in ALL if wish.region == region], aws)


HERE = "eu-west-1"
PRIVATE = "https://vpce-0a-1b.dynamodb.eu-west-1.vpce.amazonaws.com"
PRIVATE_STREAMS = "https://vpce-0a-2c.streams.dynamodb.eu-west-1.vpce.amazonaws.com"
EMULATOR = "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("option", "environment", "config", "tables", "streams"),
    [
        (
            None,
            {},
            "",
            "https://dynamodb.eu-west-1.amazonaws.com",
            "https://streams.dynamodb.eu-west-1.amazonaws.com",
        ),
        (
            None,
            {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "",
            "https://dynamodb.eu-west-1.api.aws",
            "https://streams-dynamodb.eu-west-1.api.aws",
        ),
        (
            None,
            {"AWS_ACCOUNT_ID": ACCOUNT},
            "",
            f"https://{ACCOUNT}.ddb.eu-west-1.amazonaws.com",
            "https://streams.dynamodb.eu-west-1.amazonaws.com",
        ),
        (PRIVATE, {}, "", PRIVATE, "https://streams.dynamodb.eu-west-1.amazonaws.com"),
        (PRIVATE, {"AWS_ENDPOINT_URL_DYNAMODB_STREAMS": PRIVATE_STREAMS}, "", PRIVATE, PRIVATE_STREAMS),
        (
            PRIVATE,
            {},
            f"services = s\n[services s]\ndynamodb_streams =\n  endpoint_url = {PRIVATE_STREAMS}\n",
            PRIVATE,
            PRIVATE_STREAMS,
        ),
        (
            None,
            {},
            f"services = s\n[services s]\ndynamodb =\n  endpoint_url = {PRIVATE}\n",
            PRIVATE,
            "https://streams.dynamodb.eu-west-1.amazonaws.com",
        ),
        (EMULATOR, {}, "", EMULATOR, EMULATOR),
        (EMULATOR, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "", EMULATOR, EMULATOR),
        (
            EMULATOR,
            {"AWS_ENDPOINT_URL_DYNAMODB_STREAMS": "http://127.0.0.1:1"},
            "",
            EMULATOR,
            "http://127.0.0.1:1",
        ),
        (None, {"AWS_ENDPOINT_URL": EMULATOR}, "", EMULATOR, EMULATOR),
        (None, {"AWS_ENDPOINT_URL_DYNAMODB": EMULATOR}, "", EMULATOR, EMULATOR),
        (None, {}, f"endpoint_url = {EMULATOR}\n", EMULATOR, EMULATOR),
        (
            None,
            {"AWS_ENDPOINT_URL": EMULATOR, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "",
            "https://dynamodb.eu-west-1.amazonaws.com",
            "https://streams.dynamodb.eu-west-1.amazonaws.com",
        ),
        (
            EMULATOR,
            {
                "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": "http://127.0.0.1:1",
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
            },
            "",
            EMULATOR,
            EMULATOR,
        ),
    ],
)
async def test_configured_endpoints(  # noqa: PLR0917 - one column each
    aws: pytest.MonkeyPatch,
    tmp_path: Path,
    option: str | None,
    environment: dict[str, str],
    config: str,
    tables: str,
    streams: str,
) -> None:
    """By option, variable, profile or services section; streams follow the table only to an emulator."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(f"[default]\n{config}")
    for name, value in environment.items():
        aws.setenv(name, value)
    connection = Connection(region=HERE, endpoint_url=option)
    async with open_session(connection, 1) as session:
        found = await _streams_route(AwsSession(connection), connection, session.route)
        assert (session.endpoint, found.endpoint.url.rstrip("/")) == (tables, streams)


async def test_an_account_that_is_required_but_unknown(aws: pytest.MonkeyPatch) -> None:
    """One line, before the first request."""
    aws.setenv("AWS_ACCOUNT_ID_ENDPOINT_MODE", "required")
    with pytest.raises(UsageError, match="AccountIdEndpointMode is required"):
        async with open_session(Connection(region=HERE), 1):
            pass


async def test_the_region_of_the_signature(aws: pytest.MonkeyPatch) -> None:
    """Region `local` is a host of its own, signed for another region."""
    async with open_session(Connection(region="local"), 1) as session:
        assert session.route == Route(parse_endpoint("http://localhost:8000"), "us-east-1")


def test_every_partitions_hosts_are_aws() -> None:
    """Including restricted partitions: their tables are not in an emulator."""
    for region, dual_stack in product(REGIONAL, (False, True)):
        url = botocores("dynamodb", Wish(region, fips=False, dual_stack=dual_stack, account=None, mode=None))
        assert url is not None
        assert parse_endpoint(url).is_aws, url
    for url in (PRIVATE, PRIVATE_STREAMS):
        assert parse_endpoint(url).is_aws
    for url in (EMULATOR, "http://amazonaws.com.example", "http://notamazonaws.com"):
        assert not parse_endpoint(url).is_aws


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"AWS_ENDPOINT_URL_LAMBDA": EMULATOR, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"AWS_ENDPOINT_URL_LAMBDA": "https://lambda.eu-west-1.amazonaws.com"},
        {"AWS_ENDPOINT_URL_LAMBDA": "https://lambda.cn-north-1.amazonaws.com.cn"},
        {"AWS_ENDPOINT_URL_LAMBDA": "nonsense"},
        {"AWS_ENDPOINT_URL_LAMBDA": "http://[::1"},
    ],
)
@pytest.mark.parametrize("service", ["lambda", "cloudwatch"])
async def test_with_an_emulator_no_request_goes_to_aws(
    aws: pytest.MonkeyPatch, environment: dict[str, str], service: ServiceName
) -> None:
    """With any settings no client for AWS is opened."""
    for name, value in environment.items():
        aws.setenv(name, value)
    services = Services(AwsSession(Connection(region=HERE, endpoint_url=EMULATOR)), parse_endpoint(EMULATOR))
    with pytest.raises(UnansweredError):
        async with services.open(service):
            pytest.fail("it would be asked")


async def test_a_malformed_endpoint_of_another_service(aws: pytest.MonkeyPatch) -> None:
    """With a table at AWS: no request is sent, and the error is clear."""
    aws.setenv("AWS_ENDPOINT_URL_LAMBDA", "nonsense")
    services = Services(AwsSession(Connection(region=HERE)), parse_endpoint(PRIVATE))
    with pytest.raises(UnansweredError, match="nonsense"):
        async with services.open("lambda"):
            pytest.fail("it would be asked")


def test_an_error_names_the_contacted_host() -> None:
    """Not the host in the attributes of the client."""
    error = EndpointConnectionError(endpoint_url=f"https://{ACCOUNT}.ddb.eu-west-1.amazonaws.com/", error="x")
    said = from_control_plane(error, "DescribeTable", "dynamodb.eu-west-1.amazonaws.com").message
    assert f"{ACCOUNT}.ddb.eu-west-1.amazonaws.com" in said
