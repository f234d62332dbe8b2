"""Running a delivery from a terminal: loop, signals, logs and progress around it, its result after it."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import anyio
import orjson
from rich.console import Console
from rich.live import Live

from refire_async.cli.confirmation import has_terminal
from refire_async.cli.exit_codes import single
from refire_async.cli.logs import Logs, open_logs
from refire_async.cli.notify import (
    NotifyTarget,
    delivery_message,
    notify,
    parse_target,
    warn_if_unreachable,
)
from refire_async.cli.options_to_settings import OutputSettings
from refire_async.cli.prompts import Display
from refire_async.cli.prompts import confirm as ask
from refire_async.cli.signals import handling, stop_signals, suspending
from refire_async.cli.stopping import StopSignals
from refire_async.cli.streams import (
    ELSEWHERE,
    OutputLostError,
    print_note,
    say_error,
    write_json,
    write_text,
)
from refire_async.cli.system_errors import from_system
from refire_async.cli.watching import serving_metrics
from refire_async.engine import delivering, redrive, replay
from refire_async.engine.event_loop import run_loop
from refire_async.errors import StoppedError
from refire_async.events import Emit, Subscriber, fan_out
from refire_async.model.delivery import DeliveryResult
from refire_async.model.stop import StopRequest
from refire_async.output.delivery import describe_delivery
from refire_async.output.delivery_events import DeliveryJson, DeliveryLog, DeliveryStats
from refire_async.output.delivery_metrics import DeliveryCollector, DeliveryCounters, delivery_emf_line
from refire_async.output.progress import FRAME_S, LINE_S, Panel, is_in_foreground, is_live
from refire_async.output.proof import bar
from refire_async.output.summary import command_line
from refire_async.settings import RedriveSettings, ReplaySettings, ResumeSettings

Settings = ReplaySettings | RedriveSettings


def resume(settings: ResumeSettings, output: OutputSettings) -> int:
    """Continue a delivery, as `execute`. Raises RefireError."""
    return execute(delivering.resumed(settings, settings.connection), output)


def execute(settings: Settings, output: OutputSettings) -> int:
    """Deliver, print the result and give the exit code. Raises RefireError."""
    result = run_loop(partial(_drive, settings, output))
    summary = result.summary
    if output.emf:
        print_note(delivery_emf_line(summary, time.time()))
    try:
        _print_end(settings, result, output)
    except OutputLostError as error:
        if not (error.reader_gone and summary.status == "complete"):
            say_error(result.reason or str(error))
    if (target := _notify_target(settings, output)) is not None:
        notify(target, settings.connection, delivery_message(result))
    return result.exit_code


def _notify_target(settings: Settings, output: OutputSettings) -> NotifyTarget | None:
    """Where to send the notification; None if there is none, as for a dry run."""
    return None if settings.delivery.dry_run else parse_target(output.notify)


def _print_end(settings: Settings, result: DeliveryResult, output: OutputSettings) -> None:
    """Print how the delivery ended. Raises OutputLostError."""
    summary = result.summary
    resume_with = _resume(settings, summary.run_id)
    if output.json:
        write_json(orjson.dumps(summary.to_json()).decode())
        if result.reason is not None:
            more = "" if summary.status == "complete" else f"; resume with: {resume_with}"
            say_error(result.reason + more)
        for batch in result.may_have_run_twice:
            say_error(f"this batch may have run twice: {batch}")
        return
    text = describe_delivery(result.command, result, resume_with=resume_with)
    if _writes_to_standard_output(settings):
        print_note(text)
    else:
        write_text(text)


def _writes_to_standard_output(settings: Settings) -> bool:
    """Whether the records themselves go to standard output."""
    return settings.delivery.to == "-"


def _resume(settings: Settings, run_id: str) -> str:
    """The command that continues the delivery, at the same place."""
    path = settings.delivery.checkpoint
    connection = settings.connection
    return command_line(
        "resume",
        run_id,
        options=[
            ("--checkpoint", None if path is None else str(path)),
            ("--region", connection.region),
            ("--profile", connection.profile),
            ("--endpoint-url", connection.endpoint_url),
        ],
    )


@dataclass(frozen=True, slots=True)
class _Watch:
    emit: Emit
    stats: DeliveryStats
    logs: Logs
    display: Display


async def _drive(settings: Settings, output: OutputSettings) -> DeliveryResult:
    """Deliver, with signals, logs and progress around it.

    The first SIGINT or SIGTERM requests a stop in good order, the second cancels. Raises StoppedError where it was
    cancelled.
    """
    stop = StopRequest()

    def lost(what: str, why: str) -> None:
        stop.request("output", StoppedError(f"{what} cannot be written: {why}", ELSEWHERE))

    async with _watching(output, lost) as watch:
        signals = StopSignals(stop, watch.logs)
        confirm = partial(ask, watch.display) if has_terminal() else None
        with handling(stop_signals(), signals.handle):
            with signals.scope:
                if (target := _notify_target(settings, output)) is not None:
                    await warn_if_unreachable(target, settings.connection)
                try:
                    return await _deliver(settings)(emit=watch.emit, stop=stop, confirm=confirm)
                except Exception as error:
                    refused = from_system(single(error))
                    if refused is None or watch.stats.started is None:
                        raise
                    resume_with = _resume(settings, watch.stats.started.run_id)
                    action = f"{refused.action}; resume with: {resume_with}"
                    raise StoppedError(refused.message, action) from error
            started = watch.stats.started
            raise signals.cancelled(None if started is None else _resume(settings, started.run_id))


def _deliver(settings: Settings) -> Callable[..., Awaitable[DeliveryResult]]:
    """The engine's function for these settings."""
    if isinstance(settings, ReplaySettings):
        return partial(replay.replay, settings)
    return partial(redrive.redrive, settings)


@asynccontextmanager
async def _watching(output: OutputSettings, lost: Callable[[str, str], None]) -> AsyncIterator[_Watch]:
    """Logs and progress on standard error for the time of the block; with --json, events on standard output."""
    console = Console(stderr=True)
    stats, panel = DeliveryStats(anyio.current_time), Panel()
    with open_logs(
        output, console, lambda error: lost("standard error", error.strerror or "it is gone")
    ) as logs:
        on_screen = DeliveryLog(logs.screen)
        subscribers: list[Subscriber] = [stats, on_screen]
        lines: list[Callable[[DeliveryStats], None]] = []
        if logs.file is not None:
            in_file = DeliveryLog(logs.file)
            subscribers.append(in_file)
            lines.append(in_file.progress)
        if output.json:
            as_json = DeliveryJson(partial(_write_line, lost))
            subscribers.append(as_json)
            lines.append(as_json.progress)
        counters = DeliveryCounters()
        subscribers.append(counters)
        async with (
            serving_metrics(output, DeliveryCollector(counters, lambda: stats.share)),
            anyio.create_task_group() as tasks,
        ):
            display = Display(tasks)
            if output.progress and is_live(console):
                display.start(partial(_show_live, stats, console, panel))
            elif output.progress:
                lines.append(on_screen.progress)
            if lines:
                tasks.start_soon(_log_lines, stats, lines)
            with suspending(panel.hide):
                yield _Watch(fan_out(*subscribers), stats, logs, display)
            tasks.cancel_scope.cancel()
        for log in subscribers:
            if isinstance(log, DeliveryLog):
                log.flush()


def _write_line(lost: Callable[[str, str], None], line: str) -> None:
    try:
        write_json(line)
    except OutputLostError as error:
        lost("standard output", error.why)


async def _show_live(stats: DeliveryStats, console: Console, panel: Panel) -> None:
    """A bar, twice a second; it disappears at the end. Showing it never ends the delivery."""
    try:
        while True:
            if not is_in_foreground(console):
                await anyio.sleep(FRAME_S)
                continue
            live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
            with panel.on(live):
                while live.is_started and is_in_foreground(console):
                    live.update(
                        bar(stats.describe(), stats.settled, stats.expected, console.width), refresh=True
                    )
                    await anyio.sleep(FRAME_S)
    except Exception:  # noqa: BLE001, S110 - cancellation is a BaseException
        pass


async def _log_lines(stats: DeliveryStats, lines: list[Callable[[DeliveryStats], None]]) -> None:
    while True:
        await anyio.sleep(LINE_S)
        for log in lines:
            log(stats)
