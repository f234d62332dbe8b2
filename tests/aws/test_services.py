"""Other services: called with a timeout, and never for another account."""

from collections import deque

import pytest

from refire_async.aws.other_services import UnansweredError
from refire_async.aws.session import open_session
from refire_async.settings import Connection
from tests.aws.raw_server import RawServer, reply, say_nothing
from tests.support.moto import Moto, moto  # noqa: F401 - a fixture

HERE = Connection(region="eu-west-1", endpoint_url="http://127.0.0.1:9")


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED")
    return monkeypatch


async def why_unanswered(timeout_s: float = 3.0) -> str:
    """The message if Lambda does not answer."""
    async with open_session(HERE, 1) as session:
        with pytest.raises(UnansweredError) as caught:
            async with session.services.open("lambda", timeout_s) as client:
                await client.list_event_source_mappings()
    return str(caught.value)


async def test_a_service_with_an_endpoint_of_its_own_is_called(
    aws: pytest.MonkeyPatch,
    moto: Moto,  # noqa: F811 - the fixture
) -> None:
    """Also with a table in an emulator."""
    for name, value in moto.environment.items():
        aws.setenv(name, value)
    async with open_session(HERE, 1) as session, session.services.open("lambda", 60.0) as client:
        assert (await client.list_event_source_mappings())["EventSourceMappings"] == []


async def test_with_an_emulator_aws_is_not_called() -> None:
    """Its answers would belong to tables of the same name elsewhere."""
    assert "--endpoint-url" in await why_unanswered()


async def test_a_silent_service_times_out(aws: pytest.MonkeyPatch) -> None:
    """A service that accepts connections and sends no answer."""
    async with RawServer(script=deque([say_nothing])) as server:
        aws.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
        assert "within 0.3 s" in await why_unanswered(0.3)


async def test_an_error_contains_the_code(aws: pytest.MonkeyPatch) -> None:
    """The code, not the message, which may name roles and accounts."""
    body = b'{"Message":"arn:aws:iam::1:role/PLANTED may not","Code":"AccessDeniedException"}'
    async with RawServer(script=deque([reply(body, status=403)])) as server:
        aws.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
        said = await why_unanswered()
    assert "AccessDeniedException" in said
    assert "PLANTED" not in said


async def test_a_closed_port(aws: pytest.MonkeyPatch) -> None:
    """The client retries within the timeout."""
    aws.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9")
    assert "lambda" in await why_unanswered()
