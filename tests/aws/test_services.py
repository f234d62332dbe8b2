"""Other services: asked within a bound, and never about somebody else's account."""

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
    """What is said where Lambda does not answer."""
    async with open_session(HERE, 1) as session:
        with pytest.raises(UnansweredError) as caught:
            async with session.services.open("lambda", timeout_s) as client:
                await client.list_event_source_mappings()
    return str(caught.value)


async def test_a_service_with_an_endpoint_of_its_own_is_asked(
    aws: pytest.MonkeyPatch,
    moto: Moto,  # noqa: F811 - the fixture
) -> None:
    """Also beside a table in an emulator."""
    for name, value in moto.environment.items():
        aws.setenv(name, value)
    async with open_session(HERE, 1) as session, session.services.open("lambda", 60.0) as client:
        assert (await client.list_event_source_mappings())["EventSourceMappings"] == []


async def test_beside_an_emulator_the_real_aws_is_not_asked() -> None:
    """Its answers would be about tables of the same name elsewhere."""
    assert "--endpoint-url" in await why_unanswered()


async def test_silence_ends_in_time(aws: pytest.MonkeyPatch) -> None:
    """A service that accepts and says nothing."""
    async with RawServer(script=deque([say_nothing])) as server:
        aws.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
        assert "within 0.3 s" in await why_unanswered(0.3)


async def test_refusal_names_the_code(aws: pytest.MonkeyPatch) -> None:
    """The code, not the message: that may name roles and accounts."""
    body = b'{"Message":"arn:aws:iam::1:role/PLANTED may not","Code":"AccessDeniedException"}'
    async with RawServer(script=deque([reply(body, status=403)])) as server:
        aws.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
        said = await why_unanswered()
    assert "AccessDeniedException" in said
    assert "PLANTED" not in said


async def test_nobody_there(aws: pytest.MonkeyPatch) -> None:
    """A closed port, tried again by the client within the bound."""
    aws.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9")
    assert "lambda" in await why_unanswered()
