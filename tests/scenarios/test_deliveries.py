"""`refire replay` and `refire redrive` from outside: a consumer with an outage gets its events, in order.

The function runs in ministack, with a file as its state; the stream is that of every backend.
"""

import contextlib
import itertools
import json
import shlex
import textwrap
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.failure_shapes import invocation_record, pipe_record, stream_record, through_sns
from tests.support.backends import on_one_backend
from tests.support.cli import Cli, Result
from tests.support.ministack import Ministack
from tests.support.tables import Table

MakeTable = Callable[..., Table]

_NUMBERS = itertools.count(1)

CONSUMER = """
import json, pathlib
FOLDER = pathlib.Path({folder!r})

def handler(event, context):
    records = event["Records"] if isinstance(event, dict) else event
    broken = FOLDER / "broken"
    bad = set(broken.read_text().split()) if broken.exists() else set()
    if "all" in bad:
        raise RuntimeError("the consumer is down")
    for record in records:
        if record["dynamodb"]["Keys"]["pk"]["S"] in bad:
            raise ValueError("poison")
    with (FOLDER / "events.jsonl").open("a") as file:
        for record in records:
            file.write(json.dumps(record) + chr(10))
"""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A function that adds up what changed, and can be broken: for all keys, or for some."""

    name: str
    arn: str
    folder: Path
    environment: dict[str, str]

    def break_for(self, *keys: str) -> None:
        """Fail for batches with these keys from now on; for `all`; for none."""
        (self.folder / "broken").write_text(" ".join(keys))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The records that it took, in order."""
        file = self.folder / "events.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def total(self) -> int:
        """The sum of new minus old: right if every change came once."""
        return sum(_amount(one, "NewImage") - _amount(one, "OldImage") for one in self.events)


def _amount(record: dict[str, Any], image: str) -> int:
    return int(record["dynamodb"].get(image, {}).get("n", {"N": "0"})["N"])


@pytest.fixture
def consumer(ministack: Ministack, tmp_path: Path) -> Consumer:
    """A function of this test alone."""
    folder = tmp_path / "consumer"
    folder.mkdir()
    name = f"delivery-{next(_NUMBERS)}"
    arn = ministack.create_function(name, textwrap.dedent(CONSUMER).format(folder=str(folder)), Timeout=20)
    return Consumer(name, arn, folder, dict(ministack.environment))


def write(table: Table, changes: Iterable[tuple[str, int]]) -> None:
    """Set `n` of items, one after the other."""
    for key, number in changes:
        table.backend.dynamodb.put_item(
            TableName=table.name, Item={"pk": {"S": key}, "n": {"N": str(number)}}
        )


def replay(cli: Cli, table: Table, consumer: Consumer, *arguments: str) -> Result:
    """`refire replay --json` to the consumer."""
    return cli.run(
        *("replay", "--table", table.name, "--function", consumer.name, "--json", *arguments),
        env=consumer.environment,
    )


def sequences(events: Iterable[dict[str, Any]]) -> dict[str, list[int]]:
    """Sequence numbers by key, in the order in which they came."""
    found: dict[str, list[int]] = {}
    for one in events:
        key, number = one["dynamodb"]["Keys"]["pk"]["S"], int(one["dynamodb"]["SequenceNumber"])
        found.setdefault(key, []).append(number)
    return found


def test_a_consumer_of_differences_is_made_whole(cli: Cli, make_table: MakeTable, consumer: Consumer) -> None:
    """It missed an hour. A touch does not bring its total back; the original events do, each once and in order."""
    table = make_table(("pk", "S"))
    write(table, ((f"k{number % 7}", number) for number in range(60)))
    right = sum(range(53, 60))

    assert cli.refire(table.name, "--run-id", "touch").code == 0
    touches = replay(cli, table, consumer, "--since", "1h", "--yes", "--where", "attribute_exists(revision)")
    assert touches.code == 0, touches.stderr
    assert consumer.total == 0, "a touch shows no difference"

    done = replay(cli, table, consumer, "--since", "1h", "--yes", "--where", "attribute_not_exists(revision)")
    assert done.code == 0, done.stderr
    assert (done.json["selected"], done.json["delivered"], done.json["failed"]) == (60, 60, 0)
    assert consumer.total == right
    assert all(numbers == sorted(set(numbers)) for numbers in sequences(consumer.events[7:]).values())
    assert "revision" not in json.dumps(consumer.events[7:]), "as they were"
    for record in consumer.events:
        assert record["eventSourceARN"].split(":table/")[1].startswith(table.name + "/stream/")


@on_one_backend
def test_nothing_is_invoked_without_a_yes(cli: Cli, make_table: MakeTable, consumer: Consumer) -> None:
    """Without a terminal it asks for --yes (2); a dry run counts and shows three records."""
    table = make_table(("pk", "S"))
    write(table, [("a", 1), ("b", 2), ("a", 3)])
    refused = replay(cli, table, consumer, "--since", "1h")
    assert (refused.code, len(refused.error_lines)) == (2, 1), refused.stderr
    assert "3 records" in refused.stderr
    assert "--yes" in refused.stderr
    looked = cli.run(
        *("replay", "--table", table.name, "--function", consumer.name, "--since", "1h", "--dry-run"),
        env=consumer.environment,
    )
    assert looked.code == 0, looked.stderr
    assert looked.stdout.count('"eventName"') == 3
    assert "3 (2 INSERT, 1 MODIFY)" in looked.stdout
    assert consumer.events == []


@on_one_backend
def test_what_fails_is_listed_and_redriven(cli: Cli, make_table: MakeTable, consumer: Consumer) -> None:
    """A poisoned key fails with exit code 4; its records are in a file of mode 0600, which redrive delivers."""
    table = make_table(("pk", "S"))
    write(table, ((f"k{number % 5}", number) for number in range(25)))
    consumer.break_for("k3")
    ended = replay(
        cli, table, consumer, "--since", "1h", "--yes", "--bisect", "--retries", "0", "--batch-size", "10"
    )
    assert ended.code == 4, ended.stderr
    assert (ended.json["selected"], ended.json["delivered"], ended.json["failed"]) == (25, 20, 5)
    failed = Path(ended.json["failed_records_file"])
    assert failed.stat().st_mode & 0o777 == 0o600

    consumer.break_for()
    again = cli.run(
        "redrive", str(failed), "--function", consumer.name, "--yes", "--json", env=consumer.environment
    )
    assert again.code == 0, again.stderr
    assert (again.json["delivered"], again.json["failed"]) == (5, 0)
    found = sequences(consumer.events)
    assert {key: len(numbers) for key, numbers in found.items()} == {f"k{number}": 5 for number in range(5)}
    assert found["k3"] == sorted(found["k3"])


@dataclass(frozen=True, slots=True)
class FailureQueue:
    """A queue for failed batches."""

    url: str
    client: Any

    def send(self, record: dict[str, Any]) -> None:
        """Put the record of a failed batch."""
        self.client.send_message(QueueUrl=self.url, MessageBody=json.dumps(record))

    @property
    def left(self) -> int:
        """Messages that can be received now or later."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


def failed_batches(table: Table, size: int) -> list[dict[str, Any]]:
    """What a mapping leaves behind of all records of the table, in batches of one shard each."""
    streams = table.backend.streams
    arn = table.backend.dynamodb.describe_table(TableName=table.name)["Table"]["LatestStreamArn"]
    batches = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        numbers: list[str] = []
        for _ in range(4):
            answer = streams.get_records(ShardIterator=iterator)
            numbers += [record["dynamodb"]["SequenceNumber"] for record in answer["Records"]]
            iterator = answer.get("NextShardIterator")
            if iterator is None:
                break
        for begin in range(0, len(numbers), size):
            part = numbers[begin : begin + size]
            record = invocation_record(1, 2)
            record["DDBStreamBatchInfo"] |= {
                "shardId": shard["ShardId"],
                "startSequenceNumber": part[0],
                "endSequenceNumber": part[-1],
                "batchSize": len(part),
                "streamArn": arn,
            }
            batches.append(record)
    return batches


@pytest.fixture
def queue(ministack: Ministack) -> Any:
    """A queue of this test alone."""
    with contextlib.closing(ministack.client("sqs")) as client:
        yield FailureQueue(client.create_queue(QueueName=f"failed-{next(_NUMBERS)}")["QueueUrl"], client)


def test_a_queue_of_failed_batches(
    cli: Cli, make_table: MakeTable, consumer: Consumer, queue: FailureQueue
) -> None:
    """Both kinds of records, SNS, an overlap: each record is delivered once, and the messages are gone.

    The message of a batch that the stream no longer has stays, and is counted as lost.
    """
    table = make_table(("pk", "S"))
    write(table, ((f"k{number % 7}", number) for number in range(40)))
    batches = failed_batches(table, 5)
    for number, record in enumerate(batches):
        record["requestContext"]["functionArn"] = consumer.arn
        pipe = pipe_record(1, 2) | {"DDBStreamBatchInfo": record["DDBStreamBatchInfo"]}
        queue.send((record, through_sns(record), pipe)[number % 3])
    queue.send(batches[0])  # twice
    gone = json.loads(json.dumps(batches[-1]))
    gone["DDBStreamBatchInfo"] |= {"shardId": "shardId-00000000000000000001-aaaaaaaa", "batchSize": 6}
    queue.send(gone)

    ended = cli.run("redrive", queue.url, "--yes", "--json", env=consumer.environment)
    assert ended.code == 4, ended.stderr
    counts = ended.json
    assert (counts["delivered"], counts["failed"], counts["lost"]) == (40, 0, 6)
    assert (counts["messages"], counts["messages_deleted"]) == (len(batches) + 2, len(batches) + 1)
    assert queue.left == 1
    found = sequences(consumer.events)
    assert sum(map(len, found.values())) == 40
    assert all(numbers == sorted(set(numbers)) for numbers in found.values())


@on_one_backend
def test_a_message_whose_records_fail_stays(
    cli: Cli, make_table: MakeTable, consumer: Consumer, queue: FailureQueue
) -> None:
    """It can be received at once; with --keep every message stays."""
    table = make_table(("pk", "S"))
    write(table, ((f"k{number}", number) for number in range(10)))
    for record in failed_batches(table, 100):
        record["requestContext"]["functionArn"] = consumer.arn
        queue.send(record)
    sent = queue.left
    kept = cli.run("redrive", queue.url, "--yes", "--keep", "--json", env=consumer.environment)
    assert (kept.code, kept.json["messages_deleted"], queue.left) == (0, 0, sent), kept.stderr
    consumer.break_for("all")
    failed = cli.run("redrive", queue.url, "--yes", "--retries", "0", "--json", env=consumer.environment)
    assert (failed.code, failed.json["failed"], queue.left) == (4, 10, sent), failed.stderr
    assert len(queue.client.receive_message(QueueUrl=queue.url).get("Messages", [])) == 1


def test_killed_and_resumed(cli: Cli, make_table: MakeTable) -> None:
    """`kill -9` in mid-delivery: the resume delivers the rest; what came twice is named."""
    table = make_table(("pk", "S"))
    write(table, ((f"k{number % 9}", number) for number in range(90)))
    handler = cli.home / "slow.py"
    handler.write_text(
        "import json, pathlib, time\n"
        "def handler(event, context):\n"
        "    with open('came.jsonl', 'a') as file:\n"
        "        for record in event['Records']:\n"
        "            file.write(json.dumps(record) + chr(10))\n"
        "    time.sleep(0.05)  # so that the kill comes between two batches\n"
    )
    came = cli.home / "came.jsonl"
    running = cli.start(
        *("replay", "--table", table.name, "--since", "1h", "--to", "python:slow.handler", "--run-id", "r"),
        *("--batch-size", "3", "--concurrency", "1", "--json"),
    )
    running.wait_until(lambda: came.exists() and len(came.read_text().splitlines()) > 12)
    running.kill()
    before = time.time()
    ended = cli.resume("r")
    assert ended.code == 0, ended.stderr
    assert ended.json["selected"] == ended.json["delivered"] == 90
    found = sequences(map(json.loads, came.read_text().splitlines()))
    assert sum(len(set(numbers)) for numbers in found.values()) == 90
    twice = sum(len(numbers) - len(set(numbers)) for numbers in found.values())
    assert twice in (0, 3)
    assert not twice or "may have run twice" in ended.stderr
    assert time.time() - before < 60
    again = cli.resume("r")
    assert again.code == 11


@on_one_backend
def test_the_command_for_failed_records_works_as_it_is_printed(cli: Cli, make_table: MakeTable) -> None:
    """Pasted into a shell, it delivers them to the same target at the same place; a file as target is another one."""
    table = make_table(("pk", "S"))
    write(table, [("a", 1), ("b", 2)])
    handler = cli.home / "billing.py"
    handler.write_text("def handler(event, context):\n    raise ValueError('a bug')\n")
    failed = cli.run(
        *("replay", "--table", table.name, "--since", "1h", "--to", "python:billing.handler"),
        *("--retries", "0", "--yes"),
    )
    assert failed.code == 4, failed.stderr
    (line,) = [line for line in failed.stdout.splitlines() if "again once the causes are fixed" in line]
    handler.write_text("def handler(event, context):\n    pass\n")
    command = shlex.split(line.partition(": ")[2])
    assert command[0] == "refire"
    again = cli.run(*command[1:], "--json")
    assert (again.code, again.json["delivered"]) == (0, 2), again.stderr


@on_one_backend
def test_a_dry_run_plans_for_programs(cli: Cli, make_table: MakeTable) -> None:
    """The line before the summary has what bounds the time, and the cost: a local handler costs nothing but reading."""
    table = make_table(("pk", "S"))
    write(table, ((f"k{number}", number) for number in range(50)))
    (cli.home / "billing.py").write_text(
        "def handler(event, context):\n    raise ValueError('never called')\n"
    )
    dry = cli.run(
        *("replay", "--table", table.name, "--since", "1h", "--to", "python:billing.handler"),
        *("--batch-size", "10", "--parallelization", "1", "--max-rate", "5", "--dry-run", "--json"),
    )
    assert dry.code == 0, dry.stderr
    plan, summary = (json.loads(line) for line in dry.stdout.splitlines()[-2:])
    assert (plan["event"], plan["run_id"]) == ("plan", summary["run_id"])
    assert plan["records"] == summary["selected"] == 50
    assert plan["invocations"] == summary["invocations"] >= 5, "more with several shards"
    assert (plan["seconds"], plan["bound_by"]) == (10.0, "--max-rate")
    assert plan["cost"]["requests"] == 0 < plan["cost"]["reads"] == plan["cost"]["total"]


@on_one_backend
def test_a_target_that_cannot_be_used_leaves_nothing(cli: Cli, make_table: MakeTable) -> None:
    """One line, exit code 2, and no delivery to resume."""
    table = make_table(("pk", "S"))
    write(table, [("a", 1)])
    refused = cli.run(
        "replay", "--table", table.name, "--since", "1h", "--to", "python:missing.handler", "--json"
    )
    assert (refused.code, len(refused.error_lines)) == (2, 1), refused.stderr
    assert cli.run("status", "--json").json == {"runs": [], "deliveries": []}


@on_one_backend
def test_stale_images_stop_a_live_consumer(
    cli: Cli, make_table: MakeTable, consumer: Consumer, ministack: Ministack
) -> None:
    """A record whose key has a later one would set the consumer back: a stop, unless the last per key is wanted."""
    table = make_table(("pk", "S"))
    write(table, [("a", 1), ("b", 1), ("a", 2)])
    arn = table.backend.dynamodb.describe_table(TableName=table.name)["Table"]["LatestStreamArn"]
    with contextlib.closing(ministack.client("lambda")) as client:
        client.create_event_source_mapping(
            FunctionName=consumer.name, EventSourceArn=arn, StartingPosition="LATEST"
        )
    refused = replay(cli, table, consumer, "--since", "1h", "--yes", "--event", "INSERT")
    assert refused.code == 10, refused.stderr
    assert "stale-images" in refused.stderr
    assert consumer.events == []
    latest = replay(cli, table, consumer, "--since", "1h", "--yes", "--event", "INSERT", "--latest-per-key")
    assert (latest.code, latest.json["delivered"]) == (0, 1), latest.stderr
    everything = replay(cli, table, consumer, "--since", "1h", "--yes")
    assert (everything.code, everything.json["delivered"]) == (0, 3), everything.stderr
    assert "mapping-reads" in everything.stdout


@on_one_backend
def test_a_range_that_holds_more_than_its_batch(
    cli: Cli, make_table: MakeTable, consumer: Consumer, queue: FailureQueue
) -> None:
    """With several lanes, the range of a failed batch also holds other batches' records: redrive reports them."""
    table = make_table(("pk", "S"))
    write(table, ((f"k{number}", number) for number in range(12)))
    for record in failed_batches(table, 100):
        record["requestContext"]["functionArn"] = consumer.arn
        record["DDBStreamBatchInfo"]["batchSize"] = 1
        queue.send(record)
    looked = cli.run("redrive", queue.url, "--dry-run", env=consumer.environment)
    assert looked.code == 0, looked.stderr
    assert "records and its batches had 1" in looked.stdout
    assert consumer.events == []


@on_one_backend
def test_failed_batches_in_s3_are_exact(
    cli: Cli, make_table: MakeTable, consumer: Consumer, ministack: Ministack
) -> None:
    """An object has the event itself, as an object or as a text: it is delivered without the stream, and stays."""
    table = make_table(("pk", "S"))
    bucket = f"failures-{next(_NUMBERS)}"
    with contextlib.closing(ministack.client("s3")) as client:
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        for number in range(6):
            first = number * 10 + 1
            event: Any = {"Records": [stream_record(first, "a"), stream_record(first + 3, "b")]}
            record = invocation_record(
                first, first + 3, 2, payload=event if number % 2 else json.dumps(event)
            )
            record["requestContext"]["functionArn"] = consumer.arn
            key = f"aws/lambda/uuid/shard/2026/11/30/2026-11-30T00.00.0{number}-{number}"
            client.put_object(Bucket=bucket, Key=key, Body=json.dumps(record))
        ended = cli.run(
            *("redrive", f"s3://{bucket}/aws/lambda/", "--yes", "--json"),
            *("--function", consumer.name),
            env=consumer.environment,
        )
        assert ended.code == 0, ended.stderr
        assert (ended.json["delivered"], ended.json["lost"], ended.json["messages"]) == (12, 0, 0)
        assert len(client.list_objects_v2(Bucket=bucket)["Contents"]) == 6
    found = sequences(consumer.events)
    assert found == {"a": [1, 11, 21, 31, 41, 51], "b": [4, 14, 24, 34, 44, 54]}
    assert table.items() == {}


@on_one_backend
@pytest.mark.parametrize("size", [pytest.param(500, marks=pytest.mark.soak)])
def test_hundreds_of_failed_batches(
    cli: Cli, make_table: MakeTable, consumer: Consumer, queue: FailureQueue, size: int
) -> None:
    """500 messages, with filters applied again, overlaps, and 30 batches that are gone."""
    table = make_table(("pk", "S"))
    write(table, ((f"k{number % 97}", number) for number in range(1_500)))
    batches = failed_batches(table, 4)
    messages = list(itertools.islice(itertools.cycle(batches), size - 30))
    for number, record in enumerate(messages):
        record["requestContext"]["functionArn"] = consumer.arn
        queue.send(through_sns(record) if number % 2 else record)
    for _ in range(30):
        gone = json.loads(json.dumps(batches[0]))
        gone["DDBStreamBatchInfo"] |= {"shardId": "shardId-00000000000000000001-aaaaaaaa"}
        queue.send(gone)
    pattern = json.dumps({"dynamodb": {"Keys": {"pk": {"S": [{"anything-but": ["k3"]}]}}}})
    ended = cli.run(
        *("redrive", queue.url, "--yes", "--json", "--filter-pattern", pattern), env=consumer.environment
    )
    assert ended.code == 4, ended.stderr
    wanted = sum(number % 97 != 3 for number in range(1_500))
    assert (ended.json["delivered"], ended.json["failed"]) == (wanted, 0)
    assert (ended.json["messages"], ended.json["messages_deleted"], queue.left) == (size, size - 30, 30)
    found = sequences(consumer.events)
    assert "k3" not in found
    assert all(numbers == sorted(set(numbers)) for numbers in found.values())


@on_one_backend
def test_what_is_no_failed_batch_can_be_passed_over(cli: Cli, make_table: MakeTable) -> None:
    """One line names the place and the option; with the option the rest is delivered."""
    table = make_table(("pk", "S"))
    write(table, [("a", 1), ("b", 2)])
    source = cli.home / "failed.jsonl"
    source.write_text("".join(json.dumps(one) + "\n" for one in ({}, *failed_batches(table, 100))))
    refused = cli.run("redrive", str(source), "--to", "events.jsonl", "--json")
    assert (refused.code, len(refused.error_lines)) == (2, 1), refused.stderr
    assert "line 1 is not the record of a failed batch" in refused.stderr
    assert "--ignore bad-failure-records" in refused.stderr
    ended = cli.run(
        "redrive", str(source), "--to", "events.jsonl", "--json", "--ignore", "bad-failure-records"
    )
    assert (ended.code, ended.json["delivered"]) == (0, 2), ended.stderr
