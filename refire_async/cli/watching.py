"""The observers of a run or a delivery: logs, progress, JSON events, metrics, recorder, and snapshots on SIGUSR1."""

import errno
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeAlias, TypeVar

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
from refire_async.output.logs import EventLog, Logger
from refire_async.output.metrics import Collector, MetricsServer, RunCollector
from refire_async.output.progress import RUN, Panel, Screen, is_live, log_lines, show_live
from refire_async.output.recorder import Recorder, recorded_settings
from refire_async.output.sampled import ProgressLog, ProgressSink, Sampled
from refire_async.output.stats import RunStats
from refire_async.settings import ResumeSettings, RunSettings

S = TypeVar("S", bound=Subscriber)
T = TypeVar("T")

Lost: TypeAlias = Callable[[str, str], None]
"""Called with the name of a standard stream that can no longer be written, and the reason."""


@dataclass(frozen=True, slots=True)
class Watch(Generic[S]):
    """The observers of a run or a delivery. The engine gets `emit`."""

    emit: Emit
    stats: S
    logs: Logs
    display: Display


@dataclass(frozen=True, slots=True, kw_only=True)
class View(Generic[S, T]):
    """What is shown of a run or a delivery.

    `stats` counts events and `sampled`, which is the same, says how far it is. `log` makes a log for a terminal (True)
    or for a file or program, `as_json` JSON lines. `recorder` makes what saves the progress.
    """

    stats: S
    sampled: Sampled[T]
    screen: Screen[T]
    collector: Collector
    log: Callable[[Logger, bool], ProgressLog[T]]
    as_json: Callable[[Callable[[str], None]], ProgressSink[T]] | None = None
    recorder: Callable[[Logs], Recorder] | None = None
    others: Sequence[Subscriber] = ()


@asynccontextmanager
async def watching(
    output: OutputSettings,
    *,
    events: bool = False,
    record: RunSettings | ResumeSettings | None = None,
    lost: Lost | None = None,
) -> AsyncIterator[Watch[RunStats]]:
    """Watch a run, as `observing`. With `events`, JSON events go to standard output.

    `record`: the settings of this attempt, which are recorded with its progress.
    """
    stats = RunStats(anyio.current_time())

    def recorder(logs: Logs) -> Recorder:
        assert record is not None  # noqa: S101 - see below
        lost = partial(_warn_unrecorded, logs)
        return Recorder(stats, recorded_settings(record), lost, connection=record.connection)

    view = View(
        stats=stats,
        sampled=stats,
        screen=RUN,
        collector=RunCollector(stats, lambda: stats.share),
        log=lambda logger, brief: EventLog(logger, brief=brief),
        as_json=JsonEvents if events else None,
        recorder=None if record is None else recorder,
    )
    async with observing(output, view, lost=lost) as watch:
        yield watch


@asynccontextmanager
async def observing(
    output: OutputSettings, view: View[S, T], *, lost: Lost | None = None
) -> AsyncIterator[Watch[S]]:
    """Show logs and progress on standard error in the block, and whatever else `view` and `output` name.

    SIGUSR1 prints a snapshot to standard error. `lost` is called when a standard stream can no longer be written.
    Raises UsageError.
    """
    console = Console(stderr=True)
    clock = anyio.current_time
    gone = partial(_gone, lost)
    panel = Panel()
    with open_logs(output, console, gone) as logs:
        on_screen = view.log(logs.screen, logs.terminal)
        sinks: list[ProgressSink[T]] = []
        if logs.file is not None:
            sinks.append(view.log(logs.file, False))  # noqa: FBT003 - see View
        if view.as_json is not None:
            sinks.append(view.as_json(_Lines(lost, panel).write))
        subscribers: list[Subscriber] = [view.stats, on_screen, *sinks, *view.others]
        async with (
            serving_metrics(output, view.collector),
            anyio.create_task_group() as tasks,
        ):
            show_snapshot = partial(_show_snapshot, console, logs, on_screen, view, clock)
            display = Display(tasks)
            if output.progress and is_live(console):
                display.start(
                    partial(show_live, view.screen, view.sampled, console, clock, panel=panel, lost=gone)
                )
            elif output.progress:
                display.start(partial(log_lines, view.sampled, on_screen.progress, clock))
            for sink in sinks:
                tasks.start_soon(log_lines, view.sampled, sink.progress, clock)
            if view.recorder is not None:
                recorder = view.recorder(logs)
                subscribers.append(recorder)
                tasks.start_soon(recorder.run)
            with handling((signal.SIGUSR1,), show_snapshot), suspending(panel.hide):
                yield Watch(fan_out(*subscribers), view.stats, logs, display)
            tasks.cancel_scope.cancel()
        for log in (on_screen, *sinks):
            log.flush()


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
    log: ProgressLog[T],
    view: View[S, T],
    clock: Callable[[], float],
    _number: signal.Signals,
) -> None:
    """Print a snapshot of the progress, on SIGUSR1."""
    now = view.sampled.sample(clock())
    if not logs.terminal:
        log.snapshot(now)
        return
    try:
        console.print(view.screen.render(now, console.width))
    except OSError:
        return  # the terminal is closed, the work continues
