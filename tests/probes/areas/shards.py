"""Reading a stream: shards, iterators, pages, and streams that are switched off."""

import time
from typing import Any

from tests.probes.by_hand import RawAnswer, send
from tests.probes.cost import Cost
from tests.probes.facts import Area, DiffersError, Seen, equal
from tests.probes.lab import Lab
from tests.probes.sources import MODEL, api, dg
from tests.probes.stream_log import Record, StreamLog
from tests.probes.tables import PK

area = Area("shards", "Reading a stream: shards, iterators, pages", tables=("simple",))

_N = {"N": "1"}
_SWITCHED = Cost(writes=10, reads=20, stream_reads=300)


@area(
    "after-sequence-number",
    assumed="An iterator AT a sequence number begins with that record, one AFTER it with the next.",
    source=api("GetShardIterator"),
    code="aws/streams.py, delivery/sources/shards.py, delivery/sources/failed_batches.py",
    rests="Every record, Resume",
    how="The first record at and after the sequence number of the first of two records of an item.",
)
def _(lab: Lab) -> Seen:
    first, second = _changed(lab)[:2]
    said = []
    for kind, wanted in (("AT_SEQUENCE_NUMBER", first), ("AFTER_SEQUENCE_NUMBER", second)):
        page = _from(lab, first["shard"], kind, SequenceNumber=first["dynamodb"]["SequenceNumber"])
        numbers = [record["dynamodb"]["SequenceNumber"] for record in page]
        said.append("right" if numbers[:1] == [wanted["dynamodb"]["SequenceNumber"]] else "wrong")
    return equal("right, right", said)


@area(
    "reading-again",
    assumed="Reading takes nothing away: TRIM_HORIZON begins with the same record each time.",
    source=dg("Change data capture for DynamoDB Streams"),
    code="verification/follower.py, delivery/sources/stream.py",
    rests="Every record, Resume, Verification",
    how="Two iterators of that type in the same shard; the first records.",
)
def _(lab: Lab) -> Seen:
    shard = lab.stream("simple").shard_of(lab.put("simple"))
    pages = [[record["eventID"] for record in _from(lab, shard, "TRIM_HORIZON")] for _ in range(2)]
    return equal("the same", "the same" if pages[0][:5] == pages[1][:5] else "others")


@area(
    "latest",
    assumed="An iterator LATEST returns only what is written after it was made.",
    source=api("GetShardIterator"),
    code="verification/follower.py, sandbox/operations/stream_reads.py",
    rests="Sandbox",
    how="Put an item, make the iterator, change the item; the events that it returns of the item.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    stream = lab.stream("simple")
    iterator = stream.iterator(stream.shard_of(key), "LATEST")
    lab.change("simple", key, "SET v = :n", values={"n": _N})
    return equal("MODIFY", [record["eventName"] for record in _follow(lab, iterator, key)])


@area(
    "open-shard-goes-on",
    assumed="An answer without records has a NextShardIterator as long as the shard is open.",
    source=api("GetRecords"),
    code="aws/streams.py, delivery/sources/shards.py",
    rests="Every record, Verification",
    how="Read a shard to its newest record and once more.",
)
def _(lab: Lab) -> Seen:
    stream = lab.stream("simple")
    iterator = stream.iterator(stream.shard_of(lab.put("simple")), "LATEST")
    page = lab.streams.get_records(ShardIterator=iterator)
    return equal(
        "0 records, an iterator",
        f"{len(page['Records'])} records, {'an' if page.get('NextShardIterator') else 'no'} iterator",
    )


@area(
    "get-records-limit",
    assumed="GetRecords returns at most Limit records; a Limit above 1,000 is a ValidationException.",
    source=api("GetRecords"),
    code="aws/streams.py, sandbox/operations/stream_reads.py",
    rests="Sandbox",
    how="Limit 1 in a shard with more, and Limit 1,001.",
    believed={"ministack": "the service, after its API Reference: ministack does not check"},
)
def _(lab: Lab) -> Seen:
    shard = _changed(lab)[0]["shard"]
    stream = lab.stream("simple")
    said = []
    for limit in (1, 1001):
        answer = lab.attempt(
            lab.streams.get_records, ShardIterator=stream.iterator(shard, "TRIM_HORIZON"), Limit=limit
        )
        said.append(answer.code or f"{len(answer.body['Records'])} record")
    return equal("1 record, ValidationException", said)


@area(
    "iterator-by-time",
    assumed="AT_TIMESTAMP begins at a time, and a time before the oldest record at TRIM_HORIZON.",
    source=f"{MODEL} since 1.43.116 (2026-10)",
    code="aws/streams.py, delivery/sources/shards.py",
    rests="Every record",
    how="An iterator at an hour ago in a shard of this session; whether its first record is that of TRIM_HORIZON.",
    believed={
        "dynamodb-local": "the service, after its API model; where it is refused the program reads from TRIM_HORIZON",
        "ministack": "the service, after its API model; where it is refused the program reads from TRIM_HORIZON",
    },
)
def _(lab: Lab) -> Seen:
    stream = lab.stream("simple")
    shard = stream.shard_of(lab.put("simple"))
    oldest = _from(lab, shard, "TRIM_HORIZON")[0]["eventID"]
    answer = _iterator_by_time(lab, shard, time.time() - 3600)
    if answer.status != 200:
        return Seen(False, answer.said)
    found = lab.streams.get_records(ShardIterator=answer.parsed["ShardIterator"])["Records"]
    return equal("the same", "the same" if found and found[0]["eventID"] == oldest else "another")


@area(
    "iterator-in-the-future",
    assumed="A Timestamp in the future is a ValidationException.",
    source=f"{MODEL} since 1.43.116 (2026-10)",
    code="aws/streams.py",
    rests="Every record",
    how="AT_TIMESTAMP with a time an hour ahead.",
)
def _(lab: Lab) -> Seen:
    shard = lab.stream("simple").shard_of(lab.put("simple"))
    return equal("ValidationException", _iterator_by_time(lab, shard, time.time() + 3600).said)


@area(
    "describe-stream",
    assumed="DescribeStream names status, view type, keys and shards; an open shard has no last sequence number.",
    source=api("DescribeStream"),
    code="aws/streams.py, aws/control_plane.py",
    rests="Every record, Check",
    how="The description of the stream of a new table.",
)
def _(lab: Lab) -> Seen:
    stream = lab.stream("simple")
    described = lab.streams.describe_stream(StreamArn=stream.arn)["StreamDescription"]
    numbers = described["Shards"][-1]["SequenceNumberRange"]
    keys = " ".join(entry["AttributeName"] for entry in described["KeySchema"])
    return equal(
        f"ENABLED, NEW_AND_OLD_IMAGES, {PK}, StartingSequenceNumber",
        [described["StreamStatus"], described["StreamViewType"], keys, *sorted(numbers)],
    )


@area(
    "describe-stream-start",
    assumed="DescribeStream behind the last shard returns none, and no LastEvaluatedShardId.",
    source=api("DescribeStream"),
    code="aws/streams.py",
    rests="Every record",
    how="ExclusiveStartShardId with the last shard of the stream.",
)
def _(lab: Lab) -> Seen:
    stream = lab.stream("simple")
    last = stream.shards()[-1]["ShardId"]
    described = lab.streams.describe_stream(StreamArn=stream.arn, ExclusiveStartShardId=last)[
        "StreamDescription"
    ]
    return equal(
        "0 shards, no key",
        f"{len(described['Shards'])} shards, {'a' if 'LastEvaluatedShardId' in described else 'no'} key",
    )


@area(
    "unknown-iterator",
    assumed="A shard iterator that the service did not make is a ValidationException.",
    source=api("GetRecords"),
    code="aws/errors.py",
    rests="Sandbox",
    how="GetRecords with an iterator of another form.",
)
def _(lab: Lab) -> Seen:
    return equal("ValidationException", lab.attempt(lab.streams.get_records, ShardIterator="nothing").said)


@area(
    "unknown-stream",
    assumed="A stream or shard that is missing is a ResourceNotFoundException.",
    source=api("DescribeStream, GetShardIterator"),
    code="aws/error_hints.py, delivery/sources/shards.py",
    rests="Honest end of a delivery, Check",
    how="DescribeStream of a stream with another label; GetShardIterator of another shard.",
)
def _(lab: Lab) -> Seen:
    stream = lab.stream("simple")
    label = "2020-01-01T00:00:00.000"
    other = lab.attempt(lab.streams.describe_stream, StreamArn=f"{stream.arn.rpartition('/')[0]}/{label}")
    shard = stream.shards()[0]["ShardId"]
    shard = shard[:-4] + ("0000" if shard[-4:] != "0000" else "1111")
    missing = lab.attempt(
        lab.streams.get_shard_iterator, StreamArn=stream.arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )
    return equal("ResourceNotFoundException, ResourceNotFoundException", [other.said, missing.said])


@area(
    "disabled-stream-is-readable",
    assumed="A disabled stream can be read on; its shards end: no NextShardIterator behind the last record.",
    source=dg("Change data capture for DynamoDB Streams: disabling"),
    code="aws/streams.py, delivery/sources/stream.py",
    rests="Every record, Verification",
    how="Disable a stream and read the record of a write before; whether the shards end.",
    tables=("changing",),
    cost=_SWITCHED,
)
def _(lab: Lab) -> Seen:
    records, ended, *_ = _switched(lab)
    return equal(
        "1 record, all shards end", f"{records} record, {'all shards end' if ended else 'a shard stays open'}"
    )


@area(
    "new-stream-new-arn",
    assumed="A stream that is enabled again is a new one with another ARN; ListStreams still names the old one.",
    source=dg("Change data capture for DynamoDB Streams: enabling"),
    code="aws/control_plane.py, verification/verifier.py, delivery/sources/stream.py, preflight/table.py",
    rests="Every record, Verification",
    how="Disable a stream and enable it with another view type; LatestStreamArn, and the streams of the table.",
    tables=("changing",),
    cost=_SWITCHED,
    believed={"ministack": "the service, after its documentation: ministack lists the newest stream only"},
)
def _(lab: Lab) -> Seen:
    _, _, old, new = _switched(lab)
    listed = [
        entry["StreamArn"] for entry in lab.streams.list_streams(TableName=lab.table("changing"))["Streams"]
    ]
    return equal(
        "another ARN, both listed",
        f"{'another' if new not in {old, None} else 'the same'} ARN, "
        f"{'both' if {old, new} <= set(listed) else 'not both'} listed",
    )


area.untried(
    "trimmed-after-24-hours",
    assumed="Records are kept for 24 hours; a position before that is a TrimmedDataAccessException.",
    source=dg("Change data capture for DynamoDB Streams: data retention"),
    code="aws/error_hints.py, delivery/sources/shards.py, verification/verifier.py",
    rests="Every record, Honest end of a delivery, Verification",
    reason="it takes a day",
)
area.untried(
    "iterators-expire",
    assumed="A shard iterator lives 15 minutes; then it is an ExpiredIteratorException, and a new one can be made.",
    source=api("GetRecords"),
    code="aws/streams.py, aws/errors.py",
    rests="Every record, Verification",
    reason="it takes 15 minutes; the sandbox's clock is moved in its own tests",
)
area.untried(
    "parents-before-children",
    assumed="A shard that splits is closed, and its children name it; an item's older records are in the parent.",
    source=dg("Change data capture for DynamoDB Streams: shards"),
    code="aws/streams.py, delivery/sources/shards.py",
    rests="Order, Verification",
    reason="the service gives no way to split a shard; the sandbox splits in its own tests",
)
area.untried(
    "two-readers",
    assumed="At most two readers of a shard, and five GetRecords calls a second, are served without throttling.",
    source=dg("Change data capture for DynamoDB Streams: readers"),
    code="verification/follower.py, delivery/sources/stream.py",
    rests="Verification, Every record",
    reason="the service throttles at its own discretion; a probe would depend on luck",
)


def _changed(lab: Lab) -> list[Record]:
    """The two records of one item that was put with v 1 and changed to 2. Other items may have records between."""

    def make() -> list[Record]:
        key = lab.put("simple", v=_N)
        lab.change("simple", key, "SET v = :n", values={"n": {"N": "2"}})
        return lab.stream("simple").of(key, 2)

    records: list[Record] = lab.once("changed", make)
    return records


def _from(lab: Lab, shard: str, kind: str, **more: Any) -> list[Record]:
    """The first page with records from an iterator of this kind."""
    iterator = lab.stream("simple").iterator(shard, kind, **more)

    def look() -> list[Record] | None:
        nonlocal iterator
        page = lab.streams.get_records(ShardIterator=iterator)
        iterator = page.get("NextShardIterator")
        return page["Records"] or None

    found: list[Record] = lab.wait("a record", look)
    return found


def _follow(lab: Lab, iterator: str | None, key: str) -> list[Record]:
    """The first records of this item from the iterator on."""

    def look() -> list[Record] | None:
        nonlocal iterator
        page = lab.streams.get_records(ShardIterator=iterator)
        iterator = page.get("NextShardIterator")
        return [record for record in page["Records"] if record["dynamodb"]["Keys"][PK]["S"] == key] or None

    found: list[Record] = lab.wait("a record", look)
    return found


def _iterator_by_time(lab: Lab, shard: str, timestamp: float) -> RawAnswer:
    """By hand: not every botocore knows the member Timestamp."""
    wanted = {
        "StreamArn": lab.stream("simple").arn,
        "ShardId": shard,
        "ShardIteratorType": "AT_TIMESTAMP",
        "Timestamp": timestamp,
    }
    return send(lab.clients, "dynamodbstreams", "GetShardIterator", wanted)


def _switched(lab: Lab) -> tuple[int, bool, str, str | None]:
    """Disable a stream with one record and enable it anew: records and end of the old one, both ARNs."""

    def make() -> tuple[int, bool, str, str | None]:
        name = lab.table("changing")
        key = lab.put("changing")
        old = lab.stream("changing")
        old.of(key, 1)
        _set_stream(lab, name, StreamEnabled=False)
        again = lab.stream_at(old.arn)
        records = len(again.of(key, 1))
        ended = _ends(lab, again)
        _set_stream(lab, name, StreamEnabled=True, StreamViewType="NEW_IMAGE")
        return records, ended, old.arn, lab.wait_for_table(name).get("LatestStreamArn")

    found: tuple[int, bool, str, str | None] = lab.once("switched", make)
    return found


def _set_stream(lab: Lab, name: str, **specification: Any) -> None:
    answer = lab.attempt(lab.dynamodb.update_table, TableName=name, StreamSpecification=specification)
    if answer.code:
        raise DiffersError(f"UpdateTable is refused: {answer.code}")
    lab.wait_for_table(name)


def _ends(lab: Lab, stream: StreamLog) -> bool:
    """Whether every shard of the stream comes to an end within the lab's time."""
    for shard in stream.shards():
        iterator = stream.iterator(shard["ShardId"], "TRIM_HORIZON")
        deadline = time.monotonic() + lab.timeout_s
        while iterator is not None:
            if time.monotonic() > deadline:
                return False
            iterator = lab.streams.get_records(ShardIterator=iterator).get("NextShardIterator")
            time.sleep(stream.polls_s)
    return True
