"""Those who look on while a run works: logs, progress, events for programs, and snapshots on request."""

import errno
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import anyio
from anyio import to_thread
from rich.console import Console

from refire_async.cli.logs import Logs, open_logs
from refire_async.cli.options_to_settings import OutputSettings
from refire_async.cli.prompts import Display
from refire_async.cli.signals import suspending, taking
from refire_async.cli.streams import OutputLostError, write_json
from refire_async.events import Emit, Subscriber, fan_out
from refire_async.output.json_events import JsonEvents
from refire_async.output.logs import EventLog
from refire_async.output.metrics import MetricsServer, RunCollector
from refire_async.output.progress import Panel, is_live, log_lines, show_live
from refire_async.output.recorder import Recorder, recorded_settings
from refire_async.output.screen import render
from refire_async.output.snapshot import Snapshot
from refire_async.output.stats import RunStats
from refire_async.settings import ResumeSettings, RunSettings

Lost: TypeAlias = Callable[[str, str], None]
"""Told which standard stream cannot be written any more, and why."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Those who look on: give `emit` to the engine."""

    emit: Emit
    stats: RunStats
    logs: Logs
    display: Display


@asynccontextmanager
async def watching(
    output: OutputSettings,
    *,
    events: bool = False,
    record: RunSettings | ResumeSettings | None = None,
    lost: Lost | None = None,
) -> AsyncIterator[Watch]:
    """Logs and progress on standard error for the time of the block; with `events`, those on standard output.

    SIGUSR1 is answered with a snapshot on standard error. `record`: what this sitting was asked for, to be kept
    with how it goes. `lost` is told of a standard stream that cannot be written any more, and why.
    """
    console = Console(stderr=True)
    clock = anyio.current_time
    gone = partial(_gone, lost)
    panel = Panel()
    with open_logs(output, console, gone) as logs:
        on_screen = EventLog(logs.screen, brief=logs.terminal)
        stats = RunStats(clock())
        subscribers: list[Subscriber] = [stats, on_screen]
        tell: list[Callable[[Snapshot], None]] = []
        if logs.file is not None:
            in_file = EventLog(logs.file)
            subscribers.append(in_file)
            tell.append(in_file.progress)
        if events:
            told = JsonEvents(_Lines(lost, panel).write)
            subscribers.append(told)
            tell.append(told.progress)
        async with (
            _metrics(output, RunCollector(stats, lambda: stats.share)),
            anyio.create_task_group() as tasks,
        ):
            answer = partial(_show, console, logs, on_screen, stats, clock)
            display = Display(tasks)
            if output.progress and is_live(console):
                display.start(partial(show_live, stats, console, clock, panel=panel, lost=gone))
            elif output.progress:
                display.start(partial(log_lines, stats, on_screen.progress, clock))
            for say in tell:
                tasks.start_soon(log_lines, stats, say, clock)
            if record is not None:
                recorder = Recorder(stats, recorded_settings(record), partial(_say_unrecorded, logs))
                subscribers.append(recorder)
                tasks.start_soon(recorder.run)
            with taking((signal.SIGUSR1,), answer), suspending(panel.hide):
                yield Watch(fan_out(*subscribers), stats, logs, display)
            tasks.cancel_scope.cancel()
        on_screen.flush()


class _Lines:
    """Lines of JSON for standard output, until it cannot be written any more.

    Where that is the terminal that shows the panel, they go above it.
    """

    def __init__(self, lost: Lost | None, panel: Panel) -> None:
        self._lost = lost
        self._panel = panel
        self._shared = _on_one_terminal()
        self._open = True

    def write(self, line: str) -> None:
        """Write one line, or tell why that is not possible."""
        if not self._open:
            return
        try:
            if not (self._shared and self._panel.print_above(line)):
                write_json(line)
        except OSError as error:
            self._open = False
            _gone(self._lost, error)
        except OutputLostError as error:
            self._open = False
            if self._lost is not None:
                self._lost("standard output", error.why)


def _on_one_terminal() -> bool:
    """Whether standard output and standard error are the same terminal."""
    try:
        return sys.stdout.isatty() and os.path.samestat(
            os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno())
        )
    except (OSError, ValueError):
        return False


def _gone(lost: Lost | None, error: OSError) -> None:
    """Standard error cannot be written. A terminal that is gone ends nothing by itself: SIGHUP has been sent for that.

    Where the user had that signal ignored, the run is meant to outlive the terminal.
    """
    if lost is not None and error.errno != errno.EIO:
        lost("standard error", error.strerror or type(error).__name__)


@asynccontextmanager
async def _metrics(output: OutputSettings, collector: RunCollector) -> AsyncIterator[None]:
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
    logs.warning("recording.lost", why=why, hint="the run continues; its report will lack the rest")


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
