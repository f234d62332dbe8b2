"""Messages of an SQS queue: received, kept from other receivers, deleted. Over one aioboto3 client."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from refire_async.aws.endpoint import parse_endpoint
from refire_async.aws.http_backend import CALL_S
from refire_async.aws.other_services import Services, UnansweredError, asking, reading
from refire_async.aws.queue_names import QueueName
from refire_async.aws.route import Route, route_of
from refire_async.errors import RefusedError

BATCH = 10
"""Messages of a call at most (Amazon SQS API reference: ReceiveMessage, DeleteMessageBatch)."""

LONGEST_VISIBILITY_S = 12 * 3600
"""Seconds for which a message can be kept from other receivers, counted from when it was received."""

_WAIT_S = 5
"""Seconds of a long poll. SQS waits up to 20, a call of our clients has 10 for its answer."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was received. `receipt` is for this time that it was received; bodies are not in the repr.

    `received` counts how often it was received, this time included; `sent_at` is in seconds since the epoch.
    """

    id: str
    receipt: str = field(repr=False)
    body: str = field(repr=False)
    received: int = 1
    sent_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAttributes:
    """What a queue says of itself. The counts are approximate (API reference: GetQueueAttributes).

    `messages` can be received now, `in_flight` are with a receiver, `delayed` come later. `visibility_s` is for how
    long a message that was received is hidden from other receivers.
    """

    arn: str
    messages: int
    in_flight: int
    delayed: int
    visibility_s: int
    retention_s: int


_ATTRIBUTES = {
    "messages": "ApproximateNumberOfMessages",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
    "visibility_s": "VisibilityTimeout",
    "retention_s": "MessageRetentionPeriod",
}


class Queue:
    """A queue. Every method raises UnansweredError where SQS does not answer or refuses. `open_queue` makes one."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self.url = url

    async def attributes(self) -> QueueAttributes:
        """How many messages there are, and the queue's settings."""
        async with asking("sqs", CALL_S):
            answer = await self._client.get_queue_attributes(
                QueueUrl=self.url, AttributeNames=["QueueArn", *_ATTRIBUTES.values()]
            )
        with reading("sqs"):
            return parse_attributes(answer.get("Attributes") or {})

    async def receive(self, most: int = BATCH, *, visibility_s: int | None = None) -> list[Message]:
        """Up to `most` messages (at most 10). Waits a few seconds for the first one; none: the queue may be empty.

        They are hidden from other receivers for `visibility_s`, or as long as the queue says.
        """
        hidden = {} if visibility_s is None else {"VisibilityTimeout": _visibility(visibility_s)}
        async with asking("sqs", CALL_S):
            answer = await self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=min(max(most, 1), BATCH),
                WaitTimeSeconds=_WAIT_S,
                AttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                **hidden,
            )
        with reading("sqs"):
            return [parse_message(entry) for entry in answer.get("Messages") or ()]

    async def delete(self, messages: Iterable[Message]) -> list[Message]:
        """Delete messages. Returns those that SQS did not delete: their receipt has expired, or it failed."""
        return await self._in_batches(self._client.delete_message_batch, messages, {})

    async def extend(self, messages: Iterable[Message], visibility_s: int) -> list[Message]:
        """Hide messages from other receivers for so many seconds from now. Returns those that SQS did not hide."""
        more = {"VisibilityTimeout": _visibility(visibility_s)}
        return await self._in_batches(self._client.change_message_visibility_batch, messages, more)

    async def _in_batches(
        self, operation: Any, messages: Iterable[Message], more: dict[str, Any]
    ) -> list[Message]:
        left, refused = iter(messages), []
        while batch := list(islice(left, BATCH)):
            entries = [
                {"Id": str(number), "ReceiptHandle": message.receipt, **more}
                for number, message in enumerate(batch)
            ]
            async with asking("sqs", CALL_S):
                answer = await operation(QueueUrl=self.url, Entries=entries)
            refused += _others(batch, answer.get("Successful") or ())
        return refused


def _others(batch: Sequence[Message], successful: Iterable[dict[str, Any]]) -> list[Message]:
    """The messages of a batch that the answer does not name as successful."""
    done = {entry.get("Id") for entry in successful}
    return [message for number, message in enumerate(batch) if str(number) not in done]


def _visibility(seconds: int) -> int:
    return min(max(seconds, 0), LONGEST_VISIBILITY_S)


def parse_message(entry: dict[str, Any]) -> Message:
    """A message in an answer to ReceiveMessage. Raises LookupError where it lacks what every message has."""
    attributes = entry.get("Attributes") or {}
    sent_ms = _number(attributes.get("SentTimestamp"))
    return Message(
        id=entry["MessageId"],
        receipt=entry["ReceiptHandle"],
        body=entry["Body"],
        received=_number(attributes.get("ApproximateReceiveCount")) or 1,
        sent_at=None if sent_ms is None else sent_ms / 1000,
    )


def parse_attributes(attributes: dict[str, str]) -> QueueAttributes:
    """The Attributes of an answer to GetQueueAttributes. Raises LookupError where it lacks what every queue has."""
    return QueueAttributes(
        arn=attributes["QueueArn"],
        **{name: _number(attributes.get(theirs)) or 0 for name, theirs in _ATTRIBUTES.items()},
    )


def _number(text: str | None) -> int | None:
    """A count or a time, which SQS writes as text."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 16 else None


@asynccontextmanager
async def open_queue(services: Services, name: QueueName) -> AsyncIterator[Queue]:
    """The queue, in the region of the session or the emulator that is set for SQS.

    Raises:
        RefusedError: there is no client of SQS, or the queue is not where its requests go.
        UsageError: a malformed endpoint.
    """
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(services.connect("sqs"))
            route = await route_of(client, "receive_message", QueueUrl="any")
        except UnansweredError as error:
            raise RefusedError(
                f"the queue {name} cannot be read: {error}", "check --region and AWS_ENDPOINT_URL_SQS"
            ) from error
        _refuse_other_places(name, route)
        yield Queue(client, name.url or f"{route.endpoint.url}{name.account}/{name.name}")


def _refuse_other_places(name: QueueName, route: Route) -> None:
    """Raises RefusedError for a queue that is not where requests for SQS go."""
    at_aws = route.endpoint.is_aws
    if name.region not in (None, route.region) and at_aws:
        raise RefusedError(
            f"the queue {name} is in {name.region}, and this session is in {route.region}",
            f"give --region {name.region}",
        )
    if name.url is None:
        return
    scheme, _, rest = name.url.partition("://")
    origin = parse_endpoint(f"{scheme}://{rest.partition('/')[0]}")
    if origin.is_aws and not at_aws:
        raise RefusedError(
            f"the queue {name} is at AWS, and requests for SQS go to {route.endpoint.host}",
            "unset AWS_ENDPOINT_URL_SQS",
        )
    if at_aws and not origin.is_aws:
        raise RefusedError(
            f"the queue {name} is in an emulator, and requests for SQS go to AWS",
            f"set AWS_ENDPOINT_URL_SQS to {origin.url.rstrip('/')}",
        )
