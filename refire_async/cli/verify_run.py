"""Runs a verification for `refire verify`, with logs, progress and the printed result."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import orjson
from rich.console import Console
from rich.live import Live

from refire_async.aws.config import configured
from refire_async.checkpoint.identity import merge_connections
from refire_async.checkpoint.reading import peek
from refire_async.cli.hints import rerun
from refire_async.cli.logs import Logs, open_logs
from refire_async.cli.options_to_settings import OutputSettings
from refire_async.cli.session import keep_proof
from refire_async.cli.signals import suspending
from refire_async.cli.streams import print_json, print_result, say_error
from refire_async.engine import table_runs
from refire_async.engine.event_loop import run_loop
from refire_async.errors import RefireError
from refire_async.model.address import TableAddress
from refire_async.model.proof import Proof
from refire_async.output.progress import FRAME_S, LINE_S, Panel, is_in_foreground, is_live
from refire_async.output.proof import bar, clocks_disagree, describe_proof
from refire_async.output.recorder import note_of_proof
from refire_async.settings import Connection, VerifySettings
from refire_async.verification.verifier import Progress, Verifier
from refire_async.verification.verify import verify

READERS = "verification uses one of the two concurrent readers that each shard of the stream allows"


def execute(settings: VerifySettings, output: OutputSettings, address: TableAddress | None = None) -> int:
    """Verify a run, print the result and return the exit code. Raises RefireError.

    `address`: where the run is, if `settings.checkpoint` is only a copy of it.
    """
    proof = run_loop(partial(_drive, settings, output))
    if address is None:
        keep_proof(settings.checkpoint, proof)
    else:
        proof = _keep_elsewhere(address, settings.connection, proof)
    if output.json:
        print_json(orjson.dumps(proof.to_json()).decode())
        if proof.clocks_disagree:
            say_error(clocks_disagree(proof))
        return proof.exit_code
    again = None
    if proof.missing_keys_file is not None:
        saved = peek(settings.checkpoint)
        own = configured(settings.connection)
        connection = merge_connections(saved.connection, settings.connection, own)
        again = rerun(saved.spec, proof.missing_keys_file, connection)
    print_result(describe_proof(proof, rerun_with=again))
    return proof.exit_code


def _keep_elsewhere(address: TableAddress, connection: Connection, proof: Proof) -> Proof:
    """Save a proof in the table of the run; its list of keys goes to the folder for temporary files."""
    try:
        run_loop(partial(table_runs.keep_note, address, connection, note_of_proof(proof)))
    except RefireError as error:
        say_error(f"the verification cannot be saved for a report: {error}")
    if proof.missing_keys_file is None:
        return proof
    list_of_keys = Path(proof.missing_keys_file)
    kept = list_of_keys.rename(list_of_keys.parent.parent / list_of_keys.name)
    return replace(proof, missing_keys_file=str(kept))


async def _drive(settings: VerifySettings, output: OutputSettings) -> Proof:
    console = Console(stderr=True)
    with open_logs(output, console) as logs:
        return await _verify(settings, output, console, logs)


async def _verify(settings: VerifySettings, output: OutputSettings, console: Console, logs: Logs) -> Proof:
    monitor = _Monitor()
    if logs.terminal:
        say_error(READERS)
    else:
        logs.screen.info("verify.started", hint=READERS)
    show: Callable[[], Coroutine[Any, Any, None]] | None = None
    if output.progress and is_live(console):
        show = partial(_show_live, monitor, console)
    elif output.progress:
        show = partial(_log_lines, monitor, logs.screen.info)
    async with anyio.create_task_group() as tasks:
        if show is not None:
            tasks.start_soon(show)
        proof = await verify(settings, on_start=monitor.attach)
        tasks.cancel_scope.cancel()
    if logs.file is not None:
        logs.file.info("verify.ended", **proof.to_json())
    return proof


class _Monitor:
    """The progress of a verifier, which is attached when it starts."""

    def __init__(self) -> None:
        self._verifier: Verifier | None = None

    def attach(self, verifier: Verifier) -> None:
        self._verifier = verifier

    @property
    def progress(self) -> Progress:
        return Progress() if self._verifier is None else self._verifier.progress


async def _show_live(monitor: _Monitor, console: Console) -> None:
    """Show a bar, which disappears at the end, at Ctrl-Z and in the background.

    An error of the display does not end the verification.
    """
    panel = Panel()
    try:
        with suspending(panel.hide):
            while True:
                live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
                if is_in_foreground(console):
                    with panel.on(live):
                        await _draw(monitor, console, live)
                else:
                    await anyio.sleep(FRAME_S)
    except Exception:  # noqa: BLE001, S110 - cancellation is no Exception
        pass


async def _draw(monitor: _Monitor, console: Console, live: Live) -> None:
    """Draw the bar until it is hidden or the process goes to the background."""
    while live.is_started and is_in_foreground(console):
        now = monitor.progress
        live.update(bar(now.doing, now.done, now.total, console.width), refresh=True)
        await anyio.sleep(FRAME_S)


async def _log_lines(monitor: _Monitor, log: Callable[..., object]) -> None:
    while True:
        await anyio.sleep(LINE_S)
        now = monitor.progress
        log("verify.progress", doing=now.doing, done=now.done, total=now.total or None)
