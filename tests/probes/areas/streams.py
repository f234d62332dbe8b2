"""Stream records: what they hold, and in which order they come."""

import time
from itertools import pairwise

from tests.probes.cost import Cost
from tests.probes.facts import Area, Seen, equal
from tests.probes.lab import Lab
from tests.probes.sources import LOCALSTACK, api, dg
from tests.probes.stream_log import Record
from tests.probes.tables import PK

area = Area("streams", "Stream records: what they hold, and their order", tables=("simple",))

_N = {"N": "1"}
_SWITCHED = Cost(writes=10, reads=20, stream_reads=300)


@area(
    "record-members",
    assumed="A record has these members and no others; eventVersion is 1.1.",
    source=api("Record, StreamRecord"),
    code="preflight/record.py, delivery/sources/slicing.py, aws/streams.py",
    rests="Every record, Verification, Check",
    how="Put an item and change it; the names of the members of the second record.",
)
def _(lab: Lab) -> Seen:
    record = _changed(lab)[1]
    outer = sorted(set(record) - {"shard", "dynamodb"})
    inner = sorted(record["dynamodb"])
    return equal(
        "awsRegion, eventID, eventName, eventSource, eventVersion: aws:dynamodb 1.1; ApproximateCreationDateTime, "
        "Keys, NewImage, OldImage, SequenceNumber, SizeBytes, StreamViewType",
        f"{', '.join(outer)}: {record.get('eventSource')} {record.get('eventVersion')}; {', '.join(inner)}",
    )


@area(
    "both-images",
    assumed="With NEW_AND_OLD_IMAGES a MODIFY has the whole item before and after.",
    source=dg("Change data capture for DynamoDB Streams"),
    code="verification/observed.py, delivery/patterns.py",
    rests="Verification, Every record",
    how="Put an item with v 1, set v to 2; v in both images of the second record, and the hash key in both.",
)
def _(lab: Lab) -> Seen:
    record = _changed(lab)[1]["dynamodb"]
    images = [record[name] for name in ("OldImage", "NewImage")]
    return equal(
        "1, 2, keys in both",
        [
            *(image["v"]["N"] for image in images),
            "keys in both" if all(PK in image for image in images) else "no keys",
        ],
    )


@area(
    "insert-and-remove-images",
    assumed="An INSERT has no old image, and a REMOVE no new one.",
    source=dg("Change data capture for DynamoDB Streams"),
    code="delivery/sources/made.py, verification/observed.py",
    rests="Every record, Verification",
    how="Put an item and delete it; the images of both records.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    lab.dynamodb.delete_item(TableName=lab.table("simple"), Key={PK: {"S": key}})
    records = lab.stream("simple").of(key, 2)
    return equal(
        "INSERT NewImage, REMOVE OldImage",
        [f"{record['eventName']} {' '.join(_images(record))}" for record in records],
    )


@area(
    "keys-only",
    assumed="With KEYS_ONLY a record has keys and no images.",
    source=dg("Change data capture for DynamoDB Streams"),
    code="verification/observed.py, preflight/table.py",
    rests="Verification, Check",
    how="Put an item into a table with such a stream and change it; the images, and the view type in the record.",
    tables=("keys-stream",),
)
def _(lab: Lab) -> Seen:
    key = lab.put("keys-stream", v=_N)
    lab.change("keys-stream", key, "SET v = :n", values={"n": {"N": "2"}})
    record = lab.stream("keys-stream").of(key, 2)[1]
    return equal(
        "MODIFY, no images, KEYS_ONLY",
        f"{record['eventName']}, {' '.join(_images(record)) or 'no images'}, {record['dynamodb']['StreamViewType']}",
    )


@area(
    "order-of-an-item",
    assumed="The records of an item come in the order of its changes, with rising sequence numbers of up to 40 digits.",
    source=dg("Change data capture for DynamoDB Streams"),
    code="delivery/lanes.py, verification/follower.py, aws/streams.py",
    rests="Order, Verification",
    how="Ten updates of one item; the values in the records, and their sequence numbers.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", v=_N)
    for n in range(2, 12):
        lab.change("simple", key, "SET v = :n", values={"n": {"N": str(n)}})
    records = lab.stream("simple").of(key, 11)
    values = [int(record["dynamodb"]["NewImage"]["v"]["N"]) for record in records]
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    rising = all(int(one) < int(two) for one, two in pairwise(numbers))
    digits = all(number.isdigit() and len(number) <= 40 for number in numbers)
    return equal(
        "in order, numbers rise",
        f"{'in order' if values == list(range(1, 12)) else 'not in order'}, "
        f"numbers {'rise' if rising and digits else 'do not rise'}",
    )


@area(
    "one-shard-of-a-key",
    assumed="All records of an item are in one shard unless that shard was split.",
    source=dg("Change data capture for DynamoDB Streams: shards"),
    code="delivery/lanes.py, delivery/sources/shards.py",
    rests="Order",
    how="Three changes of an item; the shards of their records.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    for n in range(2):
        lab.change("simple", key, "SET v = :n", values={"n": {"N": str(n)}})
    shards = {record["shard"] for record in lab.stream("simple").of(key, 3)}
    return equal("1 shard", f"{len(shards)} shard{'s' if len(shards) > 1 else ''}")


@area(
    "whole-seconds",
    assumed="ApproximateCreationDateTime is a number of whole seconds, near the time of the write.",
    source=api("StreamRecord"),
    code="delivery/sources/slicing.py, pacing/rate_estimate.py, verification/follower.py",
    rests="Verification, Every record",
    how="The member of a new record in the JSON of the answer, and its distance to this machine's clock.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    record = lab.stream("simple").of(key, 1)[0]
    made = record["dynamodb"]["ApproximateCreationDateTime"]
    near = abs(made.timestamp() - time.time()) < 120
    return equal(
        "whole, near", f"{'fractions' if made.microsecond else 'whole'}, {'near' if near else 'far'}"
    )


@area(
    "size-counts-keys-and-images",
    assumed="SizeBytes counts the keys and both images.",
    source="tried on DynamoDB Local; DynamoDB API Reference: StreamRecord",
    code="delivery/sources/made.py, sandbox/operations/stream_reads.py",
    rests="Sandbox",
    how="Put an item with 100 bytes of text and change it to 200; SizeBytes of the second record.",
    believed={"ministack": "DynamoDB Local: ministack tells 0"},
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", t={"S": "x" * 100})
    lab.change("simple", key, "SET t = :t", values={"t": {"S": "x" * 200}})
    record = lab.stream("simple").of(key, 2)[1]
    keys = len(PK) + len(key)
    return equal(str(3 * keys + 2 + 300), str(record["dynamodb"]["SizeBytes"]))


@area(
    "binary-and-numbers",
    assumed="Records carry numbers as text and binary values as base64, in the form of the API.",
    source=LOCALSTACK,
    code="delivery/sources/slicing.py, verification/encoding.py",
    rests="Every record, Verification",
    how="Put an item with a number, a binary value and a set; the image of its record.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", n={"N": "1.50"}, b={"B": b"\x00\xff"}, s={"NS": ["2"]})
    image = lab.stream("simple").of(key, 1)[0]["dynamodb"]["NewImage"]
    return equal(
        "N 1.5, B AP8=, NS 2",
        f"N {image['n']['N']}, B {'AP8=' if image['b']['B'] == bytes([0, 255]) else 'other'}, "
        f"NS {' '.join(image['s']['NS'])}",
    )


@area(
    "no-identity-on-own-writes",
    assumed="Records of writes by users have no userIdentity: only deletions by time to live have one.",
    source=dg("DynamoDB Streams and Time to Live"),
    code="preflight/record.py, delivery/patterns.py",
    rests="Check, Every record",
    how="Put and delete an item; whether a record has the member.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    lab.dynamodb.delete_item(TableName=lab.table("simple"), Key={PK: {"S": key}})
    found = [record.get("userIdentity") for record in lab.stream("simple").of(key, 2)]
    return equal("none, none", ["some" if one else "none" for one in found])


@area(
    "replaced-item-is-modify",
    assumed="A PutItem over an item leaves a MODIFY.",
    source=dg("Change data capture for DynamoDB Streams"),
    code="verification/reconcile.py, delivery/sources/made.py",
    rests="Verification",
    how="Put an item twice with different values; the records.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", v=_N)
    lab.dynamodb.put_item(TableName=lab.table("simple"), Item={PK: {"S": key}, "v": {"N": "2"}})
    return equal("INSERT, MODIFY", [record["eventName"] for record in lab.stream("simple").of(key, 2)])


@area(
    "transaction-records",
    assumed="Each write of a transaction leaves a record of its own, as a single write does.",
    source=dg("Amazon DynamoDB Transactions: streams"),
    code="verification/reconcile.py, sandbox/operations/transact_items.py",
    rests="Verification, Sandbox",
    how="Put two items in one transaction; the records of both.",
)
def _(lab: Lab) -> Seen:
    keys = [lab.key(), lab.key()]
    puts = [{"Put": {"TableName": lab.table("simple"), "Item": {PK: {"S": key}}}} for key in keys]
    lab.attempt(lab.dynamodb.transact_write_items, TransactItems=puts)
    return equal("INSERT, INSERT", [lab.stream("simple").of(key, 1)[0]["eventName"] for key in keys])


@area(
    "view-type-is-fixed",
    assumed="The view type of an enabled stream cannot be changed: ValidationException.",
    source=dg("Change data capture for DynamoDB Streams: enabling"),
    code="preflight/table.py, sandbox/operations/update_table.py",
    rests="Check, Sandbox",
    how="UpdateTable with another view type while the stream is enabled.",
    tables=("keys-stream",),
    believed={"ministack": "the service, after its documentation: ministack changes it"},
)
def _(lab: Lab) -> Seen:
    answer = lab.attempt(
        lab.dynamodb.update_table,
        TableName=lab.table("keys-stream"),
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    return equal("ValidationException", answer.said)


area.untried(
    "time-to-live-identity",
    assumed="Deletions by time to live have userIdentity Service, dynamodb.amazonaws.com.",
    source=dg("DynamoDB Streams and Time to Live"),
    code="delivery/sources/slicing.py, delivery/patterns.py",
    rests="Every record",
    reason="expired items are deleted within days, no sooner",
)


def _changed(lab: Lab) -> list[Record]:
    """The two records of one item that was put with v 1 and changed to 2. Other items may have records between."""

    def make() -> list[Record]:
        key = lab.put("simple", v=_N)
        lab.change("simple", key, "SET v = :n", values={"n": {"N": "2"}})
        return lab.stream("simple").of(key, 2)

    records: list[Record] = lab.once("changed", make)
    return records


def _images(record: Record) -> list[str]:
    return [name for name in ("OldImage", "NewImage") if name in record["dynamodb"]]
