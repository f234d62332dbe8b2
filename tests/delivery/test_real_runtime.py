"""A consumer as people write them, in AWS's own runtime: Powertools' batch processor with partial failures."""

from pathlib import Path

import pytest

from refire_async.aws.session import open_session
from refire_async.delivery.targets.opening import open_target
from refire_async.settings import Connection, DeliverySettings
from tests.support.backends import REGION
from tests.support.delivery import FakeSource, deliver, memory_ledger, records
from tests.support.environments import JudgeUnavailableError
from tests.support.lambda_runtime import FUNCTION, running_runtime

CONSUMER = """
from pathlib import Path
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

processor = BatchProcessor(event_type=EventType.DynamoDBStreams)
seen = Path(__file__).with_name("seen.txt")
refused = set()

def take(record):
    number, key = int(record.dynamodb.sequence_number), record.dynamodb.keys["pk"]
    if number in {7, 23} and number not in refused:
        refused.add(number)
        raise ValueError("not now")
    with seen.open("a") as file:
        file.write(f"{key} {number}\\n")

def handler(event, context):
    assert context.get_remaining_time_in_millis() > 0
    return process_partial_response(event=event, record_handler=take, processor=processor, context=context)
"""
HERE = Connection(region=REGION, endpoint_url="http://127.0.0.1:9")


@pytest.fixture
def anyio_backend() -> str:
    """Real time: the runtime has its own."""
    return "asyncio"


async def test_powertools_batch_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses two records once each: all are taken in the end, per key first in ascending order, none is lost.

    The records behind a refused one in its batch come again, as from the mapping itself; those before it do not.
    """
    (tmp_path / "consumer.py").write_text(CONSUMER)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SCENARIO")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "scenario")
    ledger = memory_ledger(batch_size=10, partial_failures=True, retries=3)
    source = FakeSource({"shard-1": records(range(1, 41), keys=4)}, page=40)
    try:
        with running_runtime(tmp_path, "consumer.handler") as url:
            monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", url)
            async with (
                open_session(HERE, 1) as session,
                open_target(DeliverySettings(function=FUNCTION), session, concurrency=1) as target,
            ):
                delivered = await deliver(ledger, source, target, concurrency=1)
    except JudgeUnavailableError as error:
        pytest.fail(str(error), pytrace=False)
    finally:
        ledger.close()
    counts = delivered.counts
    assert (delivered.status, counts.selected, counts.delivered, counts.failed) == ("complete", 40, 40, 0)
    assert counts.retries == 2
    seen = [line.split() for line in (tmp_path / "seen.txt").read_text().splitlines()]
    assert {int(number) for _, number in seen} == set(range(1, 41))
    for key in ("k0", "k1", "k2", "k3"):
        numbers = [int(number) for one, number in seen if one == key]
        first = list(dict.fromkeys(numbers))
        # Powertools goes on behind a record that it refuses, so that one comes late to its consumer.
        assert [number for number in first if number not in {7, 23}] == sorted(set(first) - {7, 23})
    repeated = [number for number in range(1, 41) if sum(int(one) == number for _, one in seen) > 1]
    assert repeated == [8, 9, 10, 24, 25, 26, 27, 28, 29, 30]
