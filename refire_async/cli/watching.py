"""The observers of a run: logs, progress, JSON events, metrics, the recorder, and snapshots on SIGUSR1."""

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
from refire_async.cli.signals import handling, suspending
from refire_async.cli.streams import OutputLostError, write_json
from refire_async.events import Emit, Subscriber, fan_out
from refire_async.output.json_events import JsonEvents
from refire_async.output.logs import EventLog
from refire_async.output.metrics import Collector, MetricsServer, RunCollector
from refire_async.output.progress import Panel, is_live, log_lines, show_live
from refire_async.output.recorder import Recorder, recorded_settings
from refire_async.output.screen import render
from refire_async.output.snapshot import Snapshot
from refire_async.output.stats import RunStats
from refire_async.settings import ResumeSettings, RunSettings

Lost: TypeAlias = Callable[[str, str], None]
"""Called with the name of a standard stream that can no longer be written, and the reason."""


@dataclass(frozen=True, slots=True)
class Watch:
    """The observers of a run. The engine gets `emit`."""

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
    """Show logs and progress on standard error in the block; with `events`, write JSON events to standard output.

    SIGUSR1 prints a snapshot to standard error. `record`: the settings of this attempt, which are recorded with its
    progress. `lost` is called when a standard stream can no longer be written.
    """
    console = Console(stderr=True)
    clock = anyio.current_time
    gone = partial(_gone, lost)
    panel = Panel()
    with open_logs(output, console, gone) as logs:
        on_screen = EventLog(logs.screen, brief=logs.terminal)
        stats = RunStats(clock())
        subscribers: list[Subscriber] = [stats, on_screen]
        progress_sinks: list[Callable[[Snapshot], None]] = []
        if logs.file is not None:
            in_file = EventLog(logs.file)
            subscribers.append(in_file)
            progress_sinks.append(in_file.progress)
        if events:
            json_events = JsonEvents(_Lines(lost, panel).write)
            subscribers.append(json_events)
            progress_sinks.append(json_events.progress)
        async with (
            serving_metrics(output, RunCollector(stats, lambda: stats.share)),
            anyio.create_task_group() as tasks,
        ):
            show_snapshot = partial(_show_snapshot, console, logs, on_screen, stats, clock)
            display = Display(tasks)
            if output.progress and is_live(console):
                display.start(partial(show_live, stats, console, clock, panel=panel, lost=gone))
            elif output.progress:
                display.start(partial(log_lines, stats, on_screen.progress, clock))
            for sink in progress_sinks:
                tasks.start_soon(log_lines, stats, sink, clock)
            if record is not None:
                recorder = Recorder(stats, recorded_settings(record), partial(_warn_unrecorded, logs))
                subscribers.append(recorder)
                tasks.start_soon(recorder.run)
            with handling((signal.SIGUSR1,), show_snapshot), suspending(panel.hide):
                yield Watch(fan_out(*subscribers), stats, logs, display)
            tasks.cancel_scope.cancel()
        on_screen.flush()


class _Lines:
    """Lines of JSON for standard output, until it can no longer be written.

    If that is the terminal with the progress panel, the lines go above the panel.
    """

    def __init__(self, lost: Lost | None, panel: Panel) -> None:
        self._lost = lost
        self._panel = panel
        self._shared = _on_one_terminal()
        self._open = True

    def write(self, line: str) -> None:
        """Write one line, or call `lost` if standard output cannot be written."""
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
    """Standard error cannot be written. A closed terminal (EIO) does not stop the run here: SIGHUP does.

    If SIGHUP is ignored, the run continues without its terminal.
    """
    if lost is not None and error.errno != errno.EIO:
        lost("standard error", error.strerror or type(error).__name__)


@asynccontextmanager
async def serving_metrics(output: OutputSettings, collector: Collector) -> AsyncIterator[None]:
    """Serve metrics in the block, if `output` has an address for them. Raises UsageError."""
    if output.metrics is None:
        yield
        return
    server = await to_thread.run_sync(MetricsServer, *output.metrics, collector)
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(server.stop)


def _warn_unrecorded(logs: Logs, why: str) -> None:
    logs.warning("recording.lost", why=why, hint="the run continues; its report will lack the rest")


def _show_snapshot(
    console: Console,
    logs: Logs,
    log: EventLog,
    stats: RunStats,
    clock: Callable[[], float],
    _number: signal.Signals,
) -> None:
    """Print a snapshot of the progress, on SIGUSR1."""
    now = stats.sample(clock())
    if not logs.terminal:
        log.snapshot(now)
        return
    try:
        console.print(render(now, console.width))
    except OSError:
        return  # the terminal is closed, the run continues
