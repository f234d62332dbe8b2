"""Running a delivery from a terminal: loop, signals, logs and progress around it, its result after it."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import anyio
import orjson
from rich.console import RenderableType

from refire_async.cli.confirmation import has_terminal
from refire_async.cli.driving import drive
from refire_async.cli.notify import (
    NotifyTarget,
    delivery_message,
    notify,
    parse_target,
    warn_if_unreachable,
)
from refire_async.cli.options_to_settings import OutputSettings
from refire_async.cli.prompts import confirm as ask
from refire_async.cli.streams import OutputLostError, print_note, say_error, write_json, write_text
from refire_async.cli.watching import Lost, View, Watch, observing
from refire_async.delivery.targets.python_handler import PREFIX
from refire_async.engine import delivering, redrive, replay
from refire_async.engine.event_loop import run_loop
from refire_async.model.delivery import DeliveryResult
from refire_async.model.stop import StopRequest
from refire_async.output.delivery import describe_delivery
from refire_async.output.delivery_events import DeliveryJson, DeliveryLog, DeliverySnapshot, DeliveryStats
from refire_async.output.delivery_metrics import DeliveryCollector, DeliveryCounters, delivery_emf_line
from refire_async.output.progress import Screen
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
        if result.outlook is not None:
            DeliveryJson(write_json).plan(summary.run_id, result.outlook.plan)
        write_json(orjson.dumps(summary.to_json()).decode())
        if result.reason is not None:
            more = "" if summary.status == "complete" else f"; resume with: {resume_with}"
            say_error(result.reason + more)
        for batch in result.may_have_run_twice:
            say_error(f"this batch may have run twice: {batch}")
        return
    failed = summary.failed_records_file
    redrive_with = None if failed is None else _redrive(settings, failed)
    text = describe_delivery(result.command, result, resume_with=resume_with, redrive_with=redrive_with)
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
    checkpoint = ("--checkpoint", None if path is None else str(path))
    return command_line("resume", run_id, options=[checkpoint, *_place(settings)])


def _redrive(settings: Settings, failed_records: str) -> str:
    """The command that delivers the records of this file to the same target, at the same place.

    A target that is a file already holds what was delivered, so the user names another one.
    """
    to, function = settings.delivery.to, settings.delivery.function
    target = ("--function", function) if to is None else ("--to", to if to.startswith(PREFIX) else "FILE")
    return command_line("redrive", failed_records, options=[target, *_place(settings)])


def _place(settings: Settings) -> list[tuple[str, str | None]]:
    connection = settings.connection
    return [
        ("--region", connection.region),
        ("--profile", connection.profile),
        ("--endpoint-url", connection.endpoint_url),
    ]


async def _drive(settings: Settings, output: OutputSettings) -> DeliveryResult:
    """Deliver, with signals, logs and progress around it. Raises RefireError."""

    async def work(watch: Watch[DeliveryStats], stop: StopRequest) -> DeliveryResult:
        if (target := _notify_target(settings, output)) is not None:
            await warn_if_unreachable(target, settings.connection)
        confirm = partial(ask, watch.display) if has_terminal() else None
        return await _deliver(settings)(emit=watch.emit, stop=stop, confirm=confirm)

    def resume_with(stats: DeliveryStats) -> str | None:
        return None if stats.started is None else _resume(settings, stats.started.run_id)

    return await drive(partial(_watching, output), work, resume_with)


def _deliver(settings: Settings) -> Callable[..., Awaitable[DeliveryResult]]:
    """The engine's function for these settings."""
    if isinstance(settings, ReplaySettings):
        return partial(replay.replay, settings)
    return partial(redrive.redrive, settings)


def _watching(output: OutputSettings, lost: Lost) -> AbstractAsyncContextManager[Watch[DeliveryStats]]:
    """Logs and progress on standard error for the time of the block; with --json, events on standard output."""
    stats, counters = DeliveryStats(anyio.current_time), DeliveryCounters()
    view = View(
        stats=stats,
        sampled=stats,
        screen=Screen(_bar, lambda _: 1),
        collector=DeliveryCollector(counters, lambda: stats.share),
        log=lambda logger, _: DeliveryLog(logger),
        as_json=DeliveryJson if output.json else None,
        others=(counters,),
    )
    return observing(output, view, lost=lost)


def _bar(now: DeliverySnapshot, columns: int) -> RenderableType:
    return bar(now.describe(), now.settled, now.expected, columns)
