"""SQS queues, to which Lambda sends what it has given up: how messages are received, hidden and deleted."""

import json
import time
from typing import Any

from tests.probes.cost import NOTHING, Cost
from tests.probes.facts import Area, Seen, equal
from tests.probes.lab import Lab
from tests.probes.sources import sqs_api

area = Area("queues", "Queues", services=("sqs",))

_FEW = NOTHING + Cost(writes=0, reads=0, stream_reads=0, queue_requests=20)


@area(
    "hidden",
    assumed="A message that was received is hidden from other receivers until its visibility timeout ends.",
    source=sqs_api("ReceiveMessage"),
    code="aws/queues.py, delivery/sources/failures.py",
    rests="Every record, Repeats",
    how="Receive a message, then try to receive it again at once.",
    cost=_FEW,
)
def _(lab: Lab) -> Seen:
    url = _sent(lab, "one")
    first = _receive(lab, url)
    return equal(
        "1 message, 0 messages", [f"{len(first)} message", f"{len(_receive(lab, url, wait_s=0))} messages"]
    )


@area(
    "visible-again",
    assumed="A visibility timeout of 0 shows the message again; ApproximateReceiveCount counts each time.",
    source=sqs_api("ChangeMessageVisibility"),
    code="aws/queues.py, delivery/sources/failures.py",
    rests="Every record",
    how="Receive, set the timeout to 0 by ChangeMessageVisibilityBatch, receive again; the counts.",
    cost=_FEW,
)
def _(lab: Lab) -> Seen:
    url = _sent(lab, "one")
    (message,) = _receive(lab, url)
    entry = {"Id": "0", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
    lab.consumers.queues.change_message_visibility_batch(QueueUrl=url, Entries=[entry])
    (again,) = _receive(lab, url)
    return equal("1, 2", [one["Attributes"]["ApproximateReceiveCount"] for one in (message, again)])


@area(
    "deleted",
    assumed="DeleteMessageBatch names what it deleted and what not; a deleted message does not come again.",
    source=sqs_api("DeleteMessageBatch"),
    code="aws/queues.py, delivery/sources/failures.py",
    rests="Every record, No harm",
    how="Delete one message by its receipt and one by a receipt that SQS did not give; the ids in both lists.",
    cost=_FEW,
)
def _(lab: Lab) -> Seen:
    url = _sent(lab, "one")
    (message,) = _receive(lab, url)
    entries = [
        {"Id": "good", "ReceiptHandle": message["ReceiptHandle"]},
        {"Id": "bad", "ReceiptHandle": "nothing"},
    ]
    answer = lab.consumers.queues.delete_message_batch(QueueUrl=url, Entries=entries)
    ids = [[entry["Id"] for entry in answer.get(name, ())] for name in ("Successful", "Failed")]
    return equal(
        "good deleted, bad failed", f"{' '.join(ids[0])} deleted, {' '.join(ids[1]) or 'none'} failed"
    )


@area(
    "attributes",
    assumed="A queue tells ARN, number of messages, visibility timeout and retention as text: 30 s, 4 days.",
    source=sqs_api("GetQueueAttributes"),
    code="aws/queues.py",
    rests="Every record, Honest end of a delivery",
    how="The attributes of a new queue with one message.",
    cost=_FEW,
)
def _(lab: Lab) -> Seen:
    url = _sent(lab, "one")
    names = ["ApproximateNumberOfMessages", "VisibilityTimeout", "MessageRetentionPeriod"]

    def look() -> list[Any] | None:
        shown = lab.consumers.queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn", *names])[
            "Attributes"
        ]
        found = [shown.get(name) for name in names]
        return (
            [*found, "ARN" if shown.get("QueueArn", "").startswith("arn:") else "none"]
            if found[0] != "0"
            else None
        )

    return equal("1, 30, 345600, ARN", lab.wait("the message in the count", look))


@area(
    "at-most-10",
    assumed="ReceiveMessage takes at most 10 messages a call; asking for 11 is refused.",
    source=sqs_api("ReceiveMessage"),
    code="aws/queues.py",
    rests="Every record",
    how="MaxNumberOfMessages 10 and 11.",
    cost=_FEW,
)
def _(lab: Lab) -> Seen:
    url = lab.consumers.queue()
    said = [
        lab.attempt(lab.consumers.queues.receive_message, QueueUrl=url, MaxNumberOfMessages=most).code
        for most in (10, 11)
    ]
    return equal("accepted, refused", ["refused" if code else "accepted" for code in said])


@area(
    "sent-time",
    assumed="SentTimestamp is the time of sending in milliseconds; the body comes back as it was sent.",
    source=sqs_api("ReceiveMessage"),
    code="aws/queues.py, delivery/sources/failures.py",
    rests="Every record",
    how="Send a JSON text and receive it; time and body.",
    cost=_FEW,
)
def _(lab: Lab) -> Seen:
    body = json.dumps({"DDBStreamBatchInfo": {"shardId": "é"}})
    (message,) = _receive(lab, _sent(lab, body))
    near = abs(int(message["Attributes"]["SentTimestamp"]) / 1000 - time.time()) < 300
    return equal(
        "near, the same body",
        ["near" if near else "far", "the same body" if message["Body"] == body else "another body"],
    )


def _sent(lab: Lab, body: str) -> str:
    """The URL of a new queue with one message."""
    url = lab.consumers.queue()
    lab.consumers.queues.send_message(QueueUrl=url, MessageBody=body)
    return url


def _receive(lab: Lab, url: str, wait_s: int = 5) -> list[dict[str, Any]]:
    answer = lab.consumers.queues.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        WaitTimeSeconds=wait_s,
        AttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
    )
    found: list[dict[str, Any]] = answer.get("Messages", [])
    return found
