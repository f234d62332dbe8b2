"""Runs the engine for `refire run` and `refire resume`, with signals, logs, progress and the printed result.

Commands import this module when they need it, because its imports are slow.
"""

import time
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import orjson

from refire_async.checkpoint.identity import merge_connections
from refire_async.checkpoint.reading import peek
from refire_async.cli.confirmation import has_terminal
from refire_async.cli.driving import drive
from refire_async.cli.hints import Hints
from refire_async.cli.notify import NotifyTarget, message, notify, parse_target, warn_if_unreachable
from refire_async.cli.options_to_settings import OutputSettings
from refire_async.cli.prompts import Display, confirm
from refire_async.cli.streams import OutputLostError, print_note, say_error, write_json, write_text
from refire_async.cli.watching import Lost, Watch, watching
from refire_async.engine import run as engine
from refire_async.engine.event_loop import run_loop
from refire_async.errors import ExitCode
from refire_async.events import Emit
from refire_async.model.address import TableAddress
from refire_async.model.proof import Proof
from refire_async.model.run import Result, RunSpec
from refire_async.model.stop import StopRequest
from refire_async.output.json_events import JsonEvents
from refire_async.output.metrics import emf_line
from refire_async.output.proof import clocks_disagree, describe_proof
from refire_async.output.recorder import record_proof
from refire_async.output.stats import RunStats
from refire_async.output.summary import describe
from refire_async.settings import Connection, ResumeSettings, RunSettings

T = TypeVar("T")


class EngineCall(Protocol):
    """`engine.run` or `engine.resume` with its settings and `confirm` bound."""

    def __call__(self, *, emit: Emit, stop: StopRequest) -> Awaitable[Result]: ...


def execute(settings: RunSettings | ResumeSettings, output: OutputSettings, hints: Hints) -> int:
    """Run the engine once, print its result and return the exit code. Raises RefireError."""
    result, spec = run_loop(partial(_drive, settings, output, hints))
    summary = result.summary
    if result.proof is not None and summary.checkpoint is not None:
        keep_proof(Path(summary.checkpoint), result.proof)
    if result.exit_code in (ExitCode.REFUSED, ExitCode.USAGE) and summary.counts.touched == 0:
        # Invalid input or a refusal that was found late: nothing was written, so there is no summary.
        say_error(result.reason or "refused")
        return result.exit_code
    if output.emf:
        print_note(emf_line(summary, time.time()))
    try:
        _print_end(result, spec, output, hints)
    except OutputLostError as error:
        # The exit code does not change; standard error says how to resume.
        if not (error.reader_gone and summary.status == "complete"):
            why = result.reason if summary.status != "complete" and result.reason else str(error)
            more = "" if summary.status == "complete" else f"; resume with: {hints.resume(summary.run_id)}"
            say_error(why + more)
    if (target := _notify_target(settings, output)) is not None:
        notify(target, _connection(settings), message(result))
    return result.exit_code


def _notify_target(settings: RunSettings | ResumeSettings, output: OutputSettings) -> NotifyTarget | None:
    """Where to send the notification; None if there is none, as for a dry run."""
    dry = isinstance(settings, RunSettings) and settings.dry_run
    return None if dry else parse_target(output.notify)


def _connection(settings: RunSettings | ResumeSettings) -> Connection:
    """The connection of the run; for a resumed run, the checkpoint's completes the one given."""
    if isinstance(settings, RunSettings) or isinstance(settings.checkpoint, TableAddress):
        return settings.connection
    return merge_connections(peek(settings.checkpoint).connection, settings.connection)


def _print_end(result: Result, spec: RunSpec | None, output: OutputSettings, hints: Hints) -> None:
    """Print how the run ended. Raises OutputLostError."""
    summary = result.summary
    resume_with = hints.resume(summary.run_id)
    if output.json:
        if result.proof is not None:
            JsonEvents(write_json).proof(result.proof)
            if result.proof.clocks_disagree:
                say_error(clocks_disagree(result.proof))
        write_json(json_line(result))
        if result.unproven is not None:
            say_error(_unproven(result))
        if result.reason is not None:
            say_error(
                result.reason
                if summary.status == "complete"
                else f"{result.reason}; resume with: {resume_with}"
            )
    else:
        failed = summary.failed_keys_file
        rerun_failed_with = (
            hints.rerun_failed(spec, failed) if failed is not None and spec is not None else None
        )
        proven = result.proof is not None or result.unproven is not None
        write_text(
            describe(
                result,
                resume_with=resume_with,
                rerun_failed_with=rerun_failed_with,
                verify_with=None if proven else hints.verify(summary.run_id),
            )
        )
        if result.unproven is not None:
            write_text(f"\n{_unproven(result)}")
        if result.proof is not None:
            missing = result.proof.missing_keys_file
            again = None if missing is None or spec is None else hints.rerun_failed(spec, missing)
            write_text("\n" + describe_proof(result.proof, rerun_with=again))


def keep_proof(checkpoint: Path, proof: Proof) -> None:
    """Save a proof beside the run's checkpoint, for the report."""
    why = record_proof(checkpoint, proof)
    if why is not None:
        say_error(f"the verification cannot be saved for a report: {why}")


def _unproven(result: Result) -> str:
    return f"not verified: {result.unproven}; try again with: refire verify {result.summary.run_id}"


def _engine_call(settings: RunSettings | ResumeSettings, display: Display) -> EngineCall:
    answer = partial(confirm, display) if has_terminal() else None
    if isinstance(settings, ResumeSettings):
        return partial(engine.resume, settings, confirm=answer)
    return partial(engine.run, settings, confirm=answer)


def json_line(result: Result) -> str:
    """The summary as one line of JSON. For a dry run the same fields have what a run would touch and consume."""
    return orjson.dumps(result.summary.to_json()).decode()


async def _drive(
    settings: RunSettings | ResumeSettings, output: OutputSettings, hints: Hints
) -> tuple[Result, RunSpec | None]:
    """Run the engine with signals, logs and progress. Returns its result, and the run's spec if the run began."""

    async def work(watch: Watch[RunStats], stop: StopRequest) -> tuple[Result, RunSpec | None]:
        if (target := _notify_target(settings, output)) is not None:
            await warn_if_unreachable(target, _connection(settings))
        result = await _engine_call(settings, watch.display)(emit=watch.emit, stop=stop)
        started = watch.stats.started
        return result, None if started is None else started.spec

    def resume_with(stats: RunStats) -> str | None:
        return None if stats.started is None else hints.resume(stats.started.spec.run_id)

    watched = partial(_watching, settings, output)
    return await drive(watched, work, resume_with)


def _watching(
    settings: RunSettings | ResumeSettings, output: OutputSettings, lost: Lost
) -> AbstractAsyncContextManager[Watch[RunStats]]:
    return watching(output, events=output.json, record=settings, lost=lost)
