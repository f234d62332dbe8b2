"""The limits of autoscaling, and a run that begins without them if the service does not answer."""

import pytest

from refire_async.aws.autoscaling import max_scaled_writes
from refire_async.aws.session import open_session
from refire_async.model.capacity import TABLE
from refire_async.settings import Connection
from tests.support.moto import Moto, moto  # noqa: F401 - a fixture

HERE = Connection(region="eu-west-1", endpoint_url="http://127.0.0.1:9")


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED")
    return monkeypatch


async def test_the_largest_write_capacity_of_the_table_and_its_indexes(
    aws: pytest.MonkeyPatch,
    moto: Moto,  # noqa: F811 - the fixture
) -> None:
    """Of the scaled resources that matter; reads and other tables are left out."""
    client = moto.client("application-autoscaling")
    for resource, dimension, most in (
        ("table/orders", "table:WriteCapacityUnits", 4_000),
        ("table/orders", "table:ReadCapacityUnits", 9_000),
        ("table/orders/index/by-day", "index:WriteCapacityUnits", 700),
        ("table/orders/index/free", "index:WriteCapacityUnits", 5),
        ("table/others", "table:WriteCapacityUnits", 1),
    ):
        client.register_scalable_target(
            ServiceNamespace="dynamodb",
            ResourceId=resource,
            ScalableDimension=f"dynamodb:{dimension}",
            MinCapacity=1,
            MaxCapacity=most,
        )
    client.close()
    for name, value in moto.environment.items():
        aws.setenv(name, value)
    async with open_session(HERE, 1) as session:
        found = await max_scaled_writes(session.services, "orders", (TABLE, "by-day", "fixed"))
    assert found == {TABLE: 4_000.0, "by-day": 700.0}


async def test_without_an_answer_the_result_is_empty() -> None:
    """With an emulator, or without permission: the run begins anyway."""
    async with open_session(HERE, 1) as session:
        assert await max_scaled_writes(session.services, "orders", (TABLE,)) == {}
