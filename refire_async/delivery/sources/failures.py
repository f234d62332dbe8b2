"""Where failed batches are kept: a queue, a prefix in S3, a file. They are collected, and settled when delivered."""

import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, BinaryIO, Protocol

import anyio
import orjson
from anyio import to_thread

from refire_async.aws.objects import list_objects, parse_prefix
from refire_async.aws.other_services import Services, UnansweredError
from refire_async.aws.queue_names import is_queue, parse_queue
from refire_async.aws.queues import Message, Queue, open_queue
from refire_async.delivery.failed_batch import FailedBatch, Range, parse_failures
from refire_async.errors import RefusedError, UsageError
from refire_async.events import Emit, MessageSettled
from refire_async.model.delivery import DeliveryCounts
from refire_async.model.stop import StopRequest
from refire_async.sources.chunks import chunks
from refire_async.sources.unpacking import Unpacker

LARGEST_DOCUMENT = 64 << 20
"""Bytes of a file or object that is one document, or of a line. An event has 6 MB, as escaped text up to six times."""

BAD_RECORDS = "bad-failure-records"
"""The finding that lets --ignore pass over what is no record of a failed batch."""

HIDDEN_S = 300
"""Seconds for which messages are hidden from other receivers; extended every third of that."""


class Failures(Protocol):
    """A place with records of failed batches."""

    async def collect(self, stop: StopRequest, ignored: frozenset[str]) -> list[FailedBatch]:
        """All failed batches. Raises RefireError for what is no such record, unless that is ignored."""
        ...

    def count_in(self, counts: DeliveryCounts) -> None:
        """Count messages in `counts` from now on."""
        ...

    async def settle(self, one: Range, delivered: bool) -> None:  # noqa: FBT001 - the interface of FailedBatches
        """Every record of the range is settled; whether all were delivered."""
        ...


@asynccontextmanager
async def open_failures(
    services: Services, source: str, emit: Emit, *, keep: bool
) -> AsyncIterator[Failures]:
    """The place that `source` names: a queue's URL or ARN, `s3://bucket/prefix`, a path or `-`.

    Raises:
        RefusedError: it cannot be read.
    """
    async with AsyncExitStack() as stack:
        payloads = stack.enter_context(tempfile.TemporaryFile(prefix="refire-"))  # noqa: SIM115
        store = _Payloads(payloads)
        if is_queue(source):
            queue = await stack.enter_async_context(open_queue(services, parse_queue(source)))
            yield await stack.enter_async_context(_held(QueueFailures(queue, store, emit, keep=keep)))
            return
        client = None
        if source.startswith("s3://"):
            try:
                client = await stack.enter_async_context(services.open("s3", None))
            except UnansweredError as error:
                raise RefusedError(str(error), "check AWS_ENDPOINT_URL_S3") from error
        yield FileFailures(source, client, store)


class _Payloads:
    """Records of failed batches in a temporary file, since there can be gigabytes of them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = 0

    def keep(self, batch: FailedBatch) -> FailedBatch:
        """The batch with its records in the file."""
        if batch.load is None:
            return batch
        text = orjson.dumps(batch.load())
        self._file.seek(self._end)
        self._file.write(text)
        begin, self._end = self._end, self._end + len(text)
        return replace(batch, load=partial(self._load, begin, len(text)))

    def _load(self, begin: int, size: int) -> list[dict[str, Any]]:
        self._file.seek(begin)
        records: list[dict[str, Any]] = orjson.loads(self._file.read(size))
        return records


class _Collector:
    """Failed batches as they are found, and what is none."""

    def __init__(self, store: _Payloads, ignored: frozenset[str]) -> None:
        self._store = store
        self._ignores = BAD_RECORDS in ignored
        self.batches: list[FailedBatch] = []

    def add(self, text: bytes | str, where: str) -> list[FailedBatch]:
        """The failed batches in a text. Raises UsageError for something else, unless that is ignored."""
        try:
            found = [self._store.keep(batch) for batch in parse_failures(text, where)]
        except UsageError as error:
            if self._ignores:
                return []
            raise UsageError(
                error.message, f"{error.action}, or pass over it with --ignore {BAD_RECORDS}"
            ) from None
        self.batches += found
        return found


class FileFailures:
    """Failed batches in a file, standard input, an object in S3, or all objects under a prefix."""

    def __init__(self, source: str, client: Any, store: _Payloads) -> None:
        self._source = source
        self._client = client
        self._store = store

    async def collect(self, stop: StopRequest, ignored: frozenset[str]) -> list[FailedBatch]:
        """See `Failures`."""
        collector = _Collector(self._store, ignored)
        if self._client is None:
            await self._read(self._source, collector)
        else:
            names = 0
            async with aclosing(list_objects(self._client, parse_prefix(self._source))) as objects:
                async for found in objects:
                    if stop.reason is not None:
                        break
                    names += 1
                    await self._read(str(found.name), collector)
            if not names:
                raise UsageError(f"there is no object under {self._source}", "check bucket and prefix")
        return collector.batches

    def count_in(self, counts: DeliveryCounts) -> None:
        """There are no messages."""

    async def settle(self, one: Range, delivered: bool) -> None:  # noqa: FBT001
        """Files and objects stay as they are."""

    async def _read(self, name: str, collector: _Collector) -> None:
        """Read a whole document, or JSON lines."""
        pieces = _plain(Unpacker(name), chunks(name, self._client))
        async with aclosing(pieces), aclosing(split_documents(name, pieces)) as documents:
            async for text, where in documents:
                await to_thread.run_sync(collector.add, text, where)


async def split_documents(name: str, content: AsyncIterable[bytes]) -> AsyncGenerator[tuple[bytes, str]]:
    """JSON texts with the names of their places: each line if the first one is a whole text, else all as one.

    Raises UsageError for a text of more than `LARGEST_DOCUMENT` bytes.
    """
    pieces: list[bytes] = []  # of the text that has not ended yet, joined once
    size, number = 0, 0
    lines: bool | None = None
    async for piece in content:
        pieces.append(piece)
        size += len(piece)
        if lines is not False and b"\n" in piece:
            text = b"".join(pieces)
            if lines is None:
                lines = _is_whole(text.partition(b"\n")[0])
            *whole, rest = text.split(b"\n") if lines else [text]
            pieces, size = [rest], len(rest)
            for line in whole:
                number += 1
                if line.strip():
                    yield line, f"{name} line {number}"
        if size > LARGEST_DOCUMENT:
            raise UsageError(
                f"{name} has a text of more than {LARGEST_DOCUMENT >> 20} MB",
                "give one invocation record per line",
            )
    rest = b"".join(pieces)
    if rest.strip():
        yield rest, f"{name} line {number + 1}" if lines else name


def _is_whole(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


async def _plain(unpacker: Unpacker, packed: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    async for piece in packed:
        for plain in unpacker.feed(piece):
            yield plain
    for plain in unpacker.finish():
        yield plain


@dataclass(slots=True)
class _Held:
    """A message that is worked on, and how many of its batches are not settled."""

    message: Message
    pending: int
    delivered: bool = True


class QueueFailures:
    """Failed batches in a queue. Messages stay invisible to others until they are settled."""

    def __init__(self, queue: Queue, store: _Payloads, emit: Emit, *, keep: bool) -> None:
        self._queue = queue
        self._store = store
        self._emit = emit
        self._keep = keep
        self._held: dict[str, _Held] = {}
        self._of_batch: dict[int, _Held] = {}
        self._counts = DeliveryCounts()

    async def collect(self, stop: StopRequest, ignored: frozenset[str]) -> list[FailedBatch]:
        """See `Failures`. Every message that is visible now is received.

        An empty answer ends it: long polling asks all servers of a queue (SQS Developer Guide: Amazon SQS short and
        long polling).
        """
        collector = _Collector(self._store, ignored)
        while stop.reason is None and (messages := await self._receive()):
            for message in messages:
                if message.id in self._held:  # it came again, with another receipt
                    self._held[message.id].message = message
                    continue
                batches = collector.add(message.body, f"message {message.id}")
                held = _Held(message, len(batches))
                self._held[message.id] = held
                self._of_batch |= {id(batch): held for batch in batches}
        return collector.batches

    async def settle(self, one: Range, delivered: bool) -> None:  # noqa: FBT001
        """Delete messages of which everything was delivered; let the others appear again."""
        over: list[_Held] = []
        for batch in one.batches:
            held = self._of_batch.pop(id(batch))
            held.pending -= 1
            held.delivered &= delivered
            if not held.pending:
                over.append(held)
        for held in over:
            del self._held[held.message.id]
            deleted = held.delivered and not self._keep and await self._delete(held.message)
            if not deleted:
                await self._release([held.message])
            self._counts.messages += 1
            self._counts.messages_deleted += deleted
            self._emit(MessageSettled(deleted))

    def count_in(self, counts: DeliveryCounts) -> None:
        """See `Failures`."""
        self._counts = counts

    async def hold(self) -> None:
        """Keep all messages that are worked on hidden, until cancelled. One that cannot be hidden may come again."""
        while True:
            await anyio.sleep(HIDDEN_S / 3)
            with suppress(UnansweredError):
                await self._queue.extend([held.message for held in self._held.values()], HIDDEN_S)

    async def release(self) -> None:
        """Let everything that is not settled appear again."""
        await self._release([held.message for held in self._held.values()])

    async def _delete(self, message: Message) -> bool:
        """Whether SQS deleted the message. One that it did not delete comes again, and is delivered again then."""
        try:
            return not await self._queue.delete([message])
        except UnansweredError:
            return False

    async def _release(self, messages: list[Message]) -> None:
        with suppress(UnansweredError):  # they appear again by themselves
            await self._queue.extend(messages, 0)

    async def _receive(self) -> list[Message]:
        try:
            return await self._queue.receive(visibility_s=HIDDEN_S)
        except UnansweredError as error:
            raise RefusedError(
                f"the queue {self._queue.url} cannot be read: {error}",
                "allow sqs:ReceiveMessage on it, and try again",
            ) from error


@asynccontextmanager
async def _held(failures: QueueFailures) -> AsyncIterator[QueueFailures]:
    """Holds messages for the time of the block, and releases what is left."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(failures.hold)
        try:
            yield failures
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True), anyio.move_on_after(10):
                await failures.release()
