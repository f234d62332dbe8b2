"""The steps of the demo: fill a table, write an item back unchanged, re-fire, stop, resume, verify."""

import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import orjson

from refire_async.aws.session import Session, open_session
from refire_async.cli.demo_stream import EventCounter, EventCounts, Tail
from refire_async.cli.demo_table import (
    CAPACITY,
    TABLE,
    create_table,
    fill_table,
    order_id,
    write_back_unchanged,
)
from refire_async.cli.options_to_settings import OutputSettings
from refire_async.cli.signals import handling, stop_signals
from refire_async.cli.streams import print_json, print_result
from refire_async.cli.watching import watching
from refire_async.engine import run as engine
from refire_async.engine.event_loop import run_loop
from refire_async.errors import ExitCode, RefusedError
from refire_async.events import BatchWritten, Event
from refire_async.model.run import Result
from refire_async.model.stop import StopRequest
from refire_async.output.summary import describe
from refire_async.output.text import count, duration, units
from refire_async.sandbox.config import SandboxConfig
from refire_async.sandbox.process import SandboxError, start_sandbox
from refire_async.settings import Connection, ResumeSettings, RunSettings

_REGION = "us-east-1"
_CHECKPOINT = "demo.refire"
_NO_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "demo",
    "AWS_SECRET_ACCESS_KEY": "demo",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


Steps: TypeAlias = Callable[[Connection, Session, Path], Awaitable[int]]
"""A demo on a sandbox, with a folder for its files. Returns the exit code."""


def run_demo(items: int, output: OutputSettings) -> int:
    """Run the demo with `items` items and return the exit code."""

    async def steps(connection: Connection, session: Session, folder: Path) -> int:
        return await _DemoOfRun(items, output, folder, connection, session).run()

    return run_steps(steps)


def run_steps(steps: Steps) -> int:
    """Run a demo on a sandbox of its own, without an account and in a folder that is removed."""
    with tempfile.TemporaryDirectory(prefix="refire-demo-") as folder, _no_account(folder):
        return run_loop(lambda: _until_signal(steps, Path(folder)))


@contextmanager
def _no_account(folder: str) -> Iterator[None]:
    """In the block: dummy credentials, no AWS configuration, no proxy, and a state folder in `folder`."""
    before = {name: os.environ.pop(name) for name in [*os.environ] if _is_hidden(name)}
    ours = _NO_ACCOUNT | {"XDG_STATE_HOME": folder}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]
        os.environ.update(before)


def _is_hidden(variable: str) -> bool:
    return variable.startswith("AWS_") or variable.lower().endswith("_proxy") or variable == "XDG_STATE_HOME"


async def _until_signal(steps: Steps, folder: Path) -> int:
    """Run the demo; stop at once at the first signal, because there is nothing to save."""
    code = int(ExitCode.INTERRUPTED)
    scope = anyio.CancelScope()

    def cancel(number: signal.Signals) -> None:
        nonlocal code
        code = int(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.STOPPED)
        scope.cancel()

    with handling(stop_signals(), cancel), scope:
        try:
            async with start_sandbox(SandboxConfig()) as url:
                connection = Connection(region=_REGION, endpoint_url=url)
                async with open_session(connection, concurrency=16) as session:
                    code = await steps(connection, session, folder)
        except SandboxError as error:
            raise RefusedError(f"the demo's sandbox cannot start: {error}") from None
    return code


class Demo:
    """What the steps of a demo share: a sandbox, a folder for files, and standard output."""

    def __init__(
        self, items: int, output: OutputSettings, folder: Path, connection: Connection, session: Session
    ) -> None:
        self._items = items
        self._output = output
        self._folder = folder
        self._connection = connection
        self._session = session
        self._began_at = time.monotonic()

    def _say(self, line: str) -> None:
        if not self._output.json:
            print_result(line)

    def _say_where(self) -> None:
        self._say(f"The sandbox, a local DynamoDB, listens at {self._connection.endpoint_url}.\n")

    def _say_time(self, seconds: float) -> None:
        self._say(f"That took {duration(seconds)} in total, and nothing is left on this machine.")


class _DemoOfRun(Demo):
    """The demo of a run; the methods are in the order in which they run."""

    async def run(self) -> int:
        self._say_where()
        stream = await self._fill()
        await self._change_nothing(stream)
        result = await self._run_half()
        if result.exit_code is ExitCode.INTERRUPTED:
            result = await self._resume()
        if result.exit_code is not ExitCode.COMPLETE:
            return self._end_early(result)
        counts = await self._count_events(stream)
        return self._end(result, counts)

    async def _fill(self) -> Tail:
        self._say(f"1. Create a table with a stream: {TABLE}, {count(self._items)} orders")
        began_at = time.monotonic()
        stream_arn = await create_table(self._session)
        await fill_table(self._session, self._items)
        self._say(f"   filled in {duration(time.monotonic() - began_at)}")
        stream = Tail(self._session.streams, stream_arn)
        events = await stream.count_new()
        self._say(f"   the stream delivered {count(events)} events: one INSERT per order")
        self._say("   Suppose the consumer had a bug: you want these events again.\n")
        return stream

    async def _change_nothing(self, stream: Tail) -> None:
        self._say(f"2. Can we just write an order back as it is? Trying it with {order_id(0)}:")
        await write_back_unchanged(self._session, 0)
        events = await stream.count_new()
        self._say(f"   the write succeeded, and the stream delivered {count(events)} new events.")
        self._say("   A stream delivers only changes. So refire changes one thing: it adds 1 to")
        self._say("   an attribute, `revision`, of every item, unless another writer did first.\n")

    async def _run_half(self) -> Result:
        self._say(f"3. $ refire run --table {TABLE}")
        self._say(f"   (and Ctrl-C half-way; the table's capacity is {count(CAPACITY)} writes a second)")
        stop = StopRequest()
        left = self._items // 2

        def stop_half_way(event: Event) -> None:
            nonlocal left
            if isinstance(event, BatchWritten) and left > 0:
                left -= event.items
                if left <= 0:
                    stop.request("interrupted")

        if left == 0:
            stop.request("interrupted")
        settings = RunSettings(
            table=TABLE, connection=self._connection, checkpoint=self._folder / _CHECKPOINT
        )
        async with watching(self._output) as watch:

            def emit(event: Event) -> None:
                watch.emit(event)
                stop_half_way(event)

            result = await engine.run(settings, emit=emit, stop=stop)
        done = count(result.summary.counts.touched)
        if result.exit_code is ExitCode.INTERRUPTED:
            self._say(f"   stopped: {done} orders touched; the checkpoint records which.\n")
        else:
            self._say(f"   {done} orders touched before the stop took effect.\n")
        return result

    async def _resume(self) -> Result:
        self._say("4. $ refire resume RUN_ID")
        settings = ResumeSettings(checkpoint=self._folder / _CHECKPOINT, connection=self._connection)
        async with watching(self._output) as watch:
            result = await engine.resume(settings, emit=watch.emit, stop=StopRequest())
        summary = result.summary
        self._say(f"   done: {units(summary.items_per_second)} orders/s across both attempts.\n")
        return result

    async def _count_events(self, stream: Tail) -> EventCounts:
        self._say("5. The events since then, read from the stream and counted by order:")
        counter = EventCounter((order_id(number) for number in range(self._items)), "order_id", "revision")
        await stream.read_new(counter.add)
        counts = counter.counts()
        width = len(count(self._items))
        self._say(f"   {count(counts.once):>{width}} orders with exactly one event")
        self._say(f"   {count(counts.missing):>{width}} orders with none")
        self._say(f"   {count(counts.doubled):>{width}} orders with more than one")
        self._say(
            f"   {count(counts.otherwise_changed):>{width}} events in which anything but `revision` changed"
        )
        if counts.strangers:
            self._say(f"   {count(counts.strangers):>{width}} unexpected events")
        return counts

    def _end(self, result: Result, counts: EventCounts) -> int:
        seconds = time.monotonic() - self._began_at
        if self._output.json:
            print_json(orjson.dumps(_json(result, counts, seconds)).decode())
        elif counts.proven:
            self._say("   Proven: every order's event was fired again, exactly once, across the stop.\n")
            self._say(describe(result, resume_with=""))
            self._say("")
            self._say_time(seconds)
            self._say("Next, with your own table (reads a sample, writes nothing):")
            self._say("  refire check --table NAME    check for problems before a run")
            self._say("  refire plan --table NAME     forecast the time and cost of a run")
        else:
            self._say("   NOT proven. Please report this with the numbers above.\n")
            self._say(describe(result, resume_with=""))
        return int(ExitCode.COMPLETE if counts.proven else ExitCode.UNPROVEN)

    def _end_early(self, result: Result) -> int:
        """Print how the run ended if it neither stopped nor completed as planned."""
        if self._output.json:
            print_json(orjson.dumps({"summary": result.summary.to_json()}).decode())
        else:
            print_result(describe(result, resume_with="refire demo (it starts over)"))
        return int(result.exit_code)


def _json(result: Result, counts: EventCounts, seconds: float) -> dict[str, Any]:
    return {
        "proven": counts.proven,
        **asdict(counts),
        "seconds": round(seconds, 3),
        "summary": result.summary.to_json(),
    }
