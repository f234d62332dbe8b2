"""The recording of a run in a checkpoint table: each process has an item, which it replaces now and then."""

import secrets
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import anyio
import orjson

from refire_async.aws.session import open_session
from refire_async.checkpoint.dynamodb.places import RECORDING
from refire_async.checkpoint.dynamodb.table import DAMAGED, CheckpointTable, Fields
from refire_async.checkpoint.recording import MAX_NOTES, MAX_POINTS, Recorded, note_of, point_of
from refire_async.model.address import TableAddress
from refire_async.model.series import Note, Point, merge, overlay
from refire_async.settings import Connection

SAVE_AFTER_S = 60.0
"""Seconds between two saves, at about 4 write units each for a minute of recording, and 100 for a long one."""

WRITE_WITHIN_S = 5.0
"""A write that takes longer is left out; the next one has everything again."""

MAX_BYTES = 300_000
"""Most bytes of an item: DynamoDB ends at 400 KB."""

_MAX_PLAIN_BYTES = 32 << 20


class TableRecording:
    """The recording of this process, which opens a connection of its own."""

    def __init__(
        self, address: TableAddress, connection: Connection, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = address
        self._connection = connection
        self._clock = clock
        self._name = f"{RECORDING}{secrets.token_hex(6)}"
        self._points: list[Point] = []
        self._notes: list[Note] = []
        self._span_s = 1.0
        self._saved_at: float | None = None
        self._table: CheckpointTable | None = None
        self._exit = AsyncExitStack()

    gone = False
    """A run in a table is not removed when it is refused."""

    async def save(self, points: Sequence[Point], notes: Sequence[Note]) -> None:
        """Add points and notes, and write everything if it is time. Raises RefireError."""
        self._points += points
        self._notes += notes[: max(MAX_NOTES - len(self._notes), 0)]
        while len(self._points) > MAX_POINTS:
            self._span_s *= 2
            self._points = merge(self._points, self._span_s)
        now = self._clock()
        if self._saved_at is None or now - self._saved_at >= SAVE_AFTER_S:
            self._saved_at = now
            await self._write_in_time()

    async def close(self) -> None:
        """Write the rest, and close the connection. Raises RefireError."""
        try:
            await self._write_in_time()
        finally:
            await self._exit.aclose()

    async def _write_in_time(self) -> None:
        with anyio.move_on_after(WRITE_WITHIN_S):
            await self._write()

    async def _write(self) -> None:
        if self._table is None:
            session = await self._exit.enter_async_context(open_session(self._connection, 1))
            self._table = CheckpointTable(self._address.table, session.data)
        content = _pack(self._points, self._notes, self._span_s)
        while len(content) > MAX_BYTES:
            self._span_s *= 2
            self._points = merge(self._points, self._span_s)
            self._notes = self._notes[: len(self._notes) // 2]
            content = _pack(self._points, self._notes, self._span_s)
        await self._table.put(self._address.run_id or "", self._name, {"content": {"B": _text(content)}})


async def save_note(table: CheckpointTable, run_id: str, note: Note) -> None:
    """Add a note to the recording of a run. Raises RefireError."""
    name = f"{RECORDING}{secrets.token_hex(6)}"
    await table.put(run_id, name, {"content": {"B": _text(_pack([], [note], 1.0))}})


async def read_recordings(table: CheckpointTable, run_id: str) -> Recorded:
    """The recording of all processes of a run as one. Raises CheckpointRefusedError if it is damaged."""
    series, notes, span_s = list[list[Point]](), list[Note](), 1.0
    try:
        async for item in table.query(run_id, RECORDING):
            points, more, length_s = _unpack(item)
            series.append(points)
            notes += more
            span_s = max(span_s, length_s)
    except (*DAMAGED, zlib.error) as error:
        raise table.damaged(run_id, error) from error
    return Recorded(overlay(series, span_s), sorted(notes, key=lambda note: note.at))


def _pack(points: Sequence[Point], notes: Sequence[Note], span_s: float) -> bytes:
    plain = {
        "span": span_s,
        "points": [(point.at, point.to_json()) for point in points],
        "notes": [(note.at, note.kind, note.data) for note in notes],
    }
    return zlib.compress(orjson.dumps(plain))


def _unpack(item: Fields) -> tuple[list[Point], list[Note], float]:
    """Raises one of `DAMAGED`, or zlib.error."""
    stream = zlib.decompressobj()
    plain = stream.decompress(b64decode(item["content"]["B"]), _MAX_PLAIN_BYTES)
    if not stream.eof:
        raise ValueError("a recording is cut off or too long")
    data = orjson.loads(plain)
    span_s = float(data["span"])
    if not span_s >= 1.0:
        raise ValueError("a recording has points of no length")
    return [point_of(*one) for one in data["points"]], [note_of(*one) for one in data["notes"]], span_s


def _text(content: bytes) -> str:
    return b64encode(content).decode()
