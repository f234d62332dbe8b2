"""`refire rate`: show or change the speed of a run in progress."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from refire_async.cli import options
from refire_async.cli.help import Command
from refire_async.cli.options_to_settings import make_connection
from refire_async.cli.params import RunId, SavedCheckpoint, Word
from refire_async.cli.parsed_options import ConnectionOptions
from refire_async.cli.saved import is_delivery, locate, run_id_of, with_run_id
from refire_async.cli.streams import print_json, print_result
from refire_async.errors import UsageError
from refire_async.model.address import TableAddress

_VALUES = "3000 (WCU/s), 50%, pause, resume or auto (the run's options apply)"
_RUN_ID = RunId("refire status lists the runs")


@click.command(
    "rate",
    cls=Command,
    unexpected="give one run and one rate",
    examples=(
        ("Half of the table's capacity, from now on", "refire rate 20260131T120000Z-3f2a1b 50%"),
        (
            "Pause a run (continue it with resume in place of pause)",
            "refire rate 20260131T120000Z-3f2a1b pause",
        ),
    ),
)
@click.argument(
    "run_id",
    metavar="[RUN_ID]",
    required=False,
    type=Word("ID", r"\S+", "the id of a run", "see refire status"),
)
@click.argument("value", metavar="[VALUE]", required=False)
@options.option(
    "Run",
    "--checkpoint",
    SavedCheckpoint("PLACE"),
    "The run's checkpoint instead of RUN_ID, a file or dynamodb://TABLE/RUN_ID: refire rate --checkpoint PLACE 50%.",
)
@options.connection
@options.json_output
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    run_id: str | None,
    value: str | None,
    checkpoint: Path | TableAddress | None,
    json: bool,
    **given: Any,
) -> int:
    """Show or change the speed of a run in progress.

    VALUE is 3000 (WCU/s), 50% (of the table's capacity), pause, resume, or auto (the options and the timetable of
    the run apply again). Without VALUE it shows the current rate. A replay or redrive takes records/s.

    All tasks of a run in a checkpoint table follow it within 5 s, and also tasks that start later.
    """
    if checkpoint is not None and value is None:
        run_id, value = None, run_id  # with a checkpoint, the first argument is the rate
    if run_id is None and checkpoint is None:
        raise UsageError("no run given", "give its RUN_ID or its --checkpoint; refire status lists runs")
    if run_id is not None:
        run_id = _RUN_ID.convert(run_id, next(p for p in ctx.command.params if p.name == "run_id"), ctx)
    if value is not None:
        _check(value)

    import orjson  # noqa: PLC0415 - not needed to show help

    if isinstance(checkpoint, TableAddress):
        from refire_async.engine import table_runs  # noqa: PLC0415 - brings the client
        from refire_async.engine.event_loop import run_loop  # noqa: PLC0415

        connection = make_connection(ConnectionOptions(**given))
        address = with_run_id(checkpoint, run_id)
        response = run_loop(partial(table_runs.rate, address, connection, value))
        text = _text_of_tasks(response)
    else:
        response = _request(locate(run_id, checkpoint), value)
        text = _text(response)
    print_json(orjson.dumps(response).decode()) if json else print_result(text)
    return 0


def _check(value: str) -> None:
    """Refuse a value that the run would refuse. Raises UsageError."""
    from refire_async.pacing.rate import parse_rate  # noqa: PLC0415 - not needed to show help

    if value.lower() in ("resume", "auto"):
        return
    try:
        parse_rate(value)
    except UsageError as error:
        raise UsageError(f"VALUE {error.message}", f"give {_VALUES}") from None


def _request(checkpoint: Path, value: str | None) -> dict[str, Any]:
    """The response of the run. Raises UsageError if the run is not in progress or does not respond."""
    from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite
    from refire_async.checkpoint.lock import locked  # noqa: PLC0415
    from refire_async.errors import CheckpointRefusedError  # noqa: PLC0415
    from refire_async.pacing.control import address, client, protocol  # noqa: PLC0415 - bring orjson

    name = run_id_of(checkpoint)
    try:
        return client.ask(checkpoint, "rate", {} if value is None else {"value": value})
    except protocol.RefusedVerbError as error:
        raise UsageError(f"run {name} refuses: {error}", f"give {_VALUES}") from None
    except protocol.ProtocolError as error:
        raise UsageError(
            f"run {name} does not support this request: {error}",
            "use the version of refire that started the run",
        ) from None
    except client.UnreachedError as error:
        why = str(error)
    try:
        with locked(checkpoint):
            for path in address.addresses(checkpoint):
                address.remove(path)  # the socket of a process that died
    except CheckpointRefusedError:
        raise UsageError(f"run {name} is in progress but cannot be reached: {why}", "try again") from None
    if is_delivery(checkpoint):
        from refire_async.delivery.saved import peek  # noqa: PLC0415 - brings SQLite

        if peek(checkpoint).status == "complete":
            raise UsageError(f"delivery {name} is complete", "start a new one")
    elif catalog.describe(checkpoint).status == "complete":
        raise UsageError(f"run {name} is complete", "start a new one with refire run")
    raise UsageError(f"run {name} is not in progress", f"resume it: refire resume {name}")


def _text_of_tasks(response: dict[str, Any]) -> str:
    tasks = response["tasks"]
    follow = f"{tasks} task{'' if tasks == 1 else 's'} at work" if tasks else "no task is at work now"
    by = "" if response["by"] is None else f", set by {response['by']}"
    return f"Run {response['run_id']}: {response['set']}{by}; {follow}"


def _text(response: dict[str, Any]) -> str:
    from refire_async.output.text import units  # noqa: PLC0415

    if response["paused"]:
        return f"Run {response['run_id']} is paused: {response['why']}"
    if "concurrency" in response:
        rate = "" if response["max_rate"] is None else f", {units(response['max_rate'])} records/s at most"
        return f"Delivery {response['run_id']}: {response['concurrency']} invocations at a time{rate}"
    items = "" if response["max_rate"] is None else f", {units(response['max_rate'])} items/s at most"
    more = ""
    if response["wcu"] > response["capacity"]:
        capacity = units(response["capacity"])
        more = f". This exceeds the table's capacity of {capacity} WCU/s: expect throttling, also of other writers"
    return (
        f"Run {response['run_id']}: {units(response['wcu'])} WCU/s, {units(response['rcu'])} RCU/s{items}: "
        f"{response['why']}{more}"
    )
