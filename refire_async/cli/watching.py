"""Those who look on while a run works: logs, progress, events for programs, and snapshots on request."""

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import anyio
from anyio import to_thread
from rich.console import Console

from refire_async.cli.asking import Display
from refire_async.cli.boundary import print_result
from refire_async.cli.given import Output
from refire_async.cli.logs import Logs, open_logs
from refire_async.cli.signals import taking
from refire_async.events import Emit, Subscriber, fan_out
from refire_async.report.json_events import JsonEvents
from refire_async.report.logs import EventLog
from refire_async.report.metrics import MetricsServer, RunCollector
from refire_async.report.progress import is_live, log_lines, show_live
from refire_async.report.recorder import Recorder, recorded_settings
from refire_async.report.screen import render
from refire_async.report.snapshot import Snapshot
from refire_async.report.stats import RunStats
from refire_async.report.tally import Tally
from refire_async.settings import ResumeSettings, RunSettings


@dataclass(frozen=True, slots=True)
class Watch:
    """Those who look on: give `emit` to the engine."""

    emit: Emit
    stats: RunStats
    logs: Logs
    display: Display


@asynccontextmanager
async def watching(
    output: Output, *, events: bool = False, record: RunSettings | ResumeSettings | None = None
) -> AsyncIterator[Watch]:
    """Logs and progress on standard error for the time of the block; with `events`, those on standard output.

    SIGUSR1 is answered with a snapshot on standard error. `record`: what this sitting was asked for, to be kept
    with how it goes.
    """
    console = Console(stderr=True)
    clock = anyio.current_time
    with open_logs(output, console) as logs:
        on_screen = EventLog(logs.screen, brief=logs.terminal)
        stats, tally = RunStats(clock()), Tally()
        subscribers: list[Subscriber] = [stats, on_screen]
        tell: list[Callable[[Snapshot], None]] = []
        if logs.file is not None:
            in_file = EventLog(logs.file)
            subscribers.append(in_file)
            tell.append(in_file.progress)
        if events:
            told = JsonEvents(print_result)
            subscribers.append(told)
            tell.append(told.progress)
        async with (
            _metrics(output, RunCollector(tally, lambda: stats.share)),
            anyio.create_task_group() as tasks,
        ):
            answer = partial(_show, console, logs, on_screen, stats, clock)
            display = Display(tasks)
            if output.progress and is_live(console):
                display.start(partial(show_live, stats, console, clock))
            elif output.progress:
                display.start(partial(log_lines, stats, on_screen.progress, clock))
            for say in tell:
                tasks.start_soon(log_lines, stats, say, clock)
            if record is not None:
                recorder = Recorder(tally, recorded_settings(record), partial(_say_unrecorded, logs))
                subscribers += [tally, recorder]
                tasks.start_soon(recorder.run)
            with taking((signal.SIGUSR1,), answer):
                yield Watch(fan_out(*subscribers), stats, logs, display)
            tasks.cancel_scope.cancel()
        on_screen.flush()


@asynccontextmanager
async def _metrics(output: Output, collector: RunCollector) -> AsyncIterator[None]:
    """Serve metrics in the block, if they are wanted. Raises UsageError."""
    if output.metrics is None:
        yield
        return
    server = await to_thread.run_sync(MetricsServer, *output.metrics, collector)
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(server.stop)


def _say_unrecorded(logs: Logs, why: str) -> None:
    logs.warning("recording.lost", why=why, hint="the run goes on; its report will lack the rest")


def _show(
    console: Console,
    logs: Logs,
    log: EventLog,
    stats: RunStats,
    clock: Callable[[], float],
    _number: signal.Signals,
) -> None:
    """Show how far the run is: SIGUSR1 has come."""
    now = stats.sample(clock())
    if not logs.terminal:
        log.snapshot(now)
        return
    try:
        console.print(render(now, console.width))
    except OSError:
        return  # the terminal is gone, the run goes on
