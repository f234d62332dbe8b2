"""Asks before a command follows a checkpoint to another place or marker than the user's configuration names."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from refire_async.cli.confirmation import confirmed
from refire_async.cli.params import CONFIG
from refire_async.cli.parsed_options import RunOptions
from refire_async.errors import CheckpointRefusedError, StoppedError, UsageError
from refire_async.settings import Connection

if TYPE_CHECKING:
    from refire_async.checkpoint.identity import Difference, Usual


def check_destination(ctx: click.Context, checkpoint: Path, given: Connection, *, assume_yes: bool) -> None:
    """Ask before the first request to an endpoint, or with a profile or region, that only the checkpoint names.

    Also ask if the configuration names another table or marker for runs. Ask nothing where all agree.

    Raises:
        UsageError: there is no terminal for confirmation.
        StoppedError: the user said no.
    """
    from refire_async.aws.config import configured  # noqa: PLC0415 - brings botocore
    from refire_async.checkpoint.identity import differences  # noqa: PLC0415
    from refire_async.checkpoint.reading import peek  # noqa: PLC0415 - brings SQLite

    if assume_yes:
        return
    try:
        saved = peek(checkpoint)
    except CheckpointRefusedError:
        return  # the command itself reports the reason before it sends anything
    found = differences(saved, given, configured(given), _usual(ctx))
    spec = saved.spec
    _ask(
        ctx, spec.run_id, found, f"table {spec.table}, marker attribute {spec.marker.attribute}, {checkpoint}"
    )


def check_delivery_destination(
    ctx: click.Context, checkpoint: Path, given: Connection, *, assume_yes: bool
) -> None:
    """As `check_destination`, for the checkpoint of a replay or redrive."""
    from refire_async.aws.config import configured  # noqa: PLC0415 - brings botocore
    from refire_async.checkpoint.identity import connection_differences  # noqa: PLC0415
    from refire_async.delivery.saved import peek  # noqa: PLC0415 - brings SQLite

    if assume_yes:
        return
    saved = peek(checkpoint)
    spec, found = saved.spec, connection_differences(saved.connection, given, configured(given))
    _ask(ctx, spec.run_id, found, f"{spec.command} from {spec.source} to {spec.function}, {checkpoint}")


def _ask(ctx: click.Context, run_id: str, found: "list[Difference]", describes: str) -> None:
    if not found:
        return
    command = ctx.command.name
    named = ", ".join(f"{one.what} {_quoted(one.saved)} (yours: {_quoted(one.own)})" for one in found)
    answer = confirmed(
        [
            f"The checkpoint of run {run_id} differs from your configuration:",
            *(f"  {one.what:<16} {one.saved}  (yours: {one.own})" for one in found),
            f"  {describes}",
        ],
        f"Use the settings of the checkpoint of run {run_id}?",
        UsageError(
            f"the checkpoint of run {run_id} names {named}, and there is no terminal for confirmation",
            f"if that is right, give --yes{_options(found)}",
        ),
    )
    if not answer:
        raise StoppedError(f"{command} of run {run_id} was not confirmed", "nothing was sent or written")


def _quoted(text: str) -> str:
    return text if text.isprintable() and len(text) <= 200 else repr(text[:200])


def _options(found: "list[Difference]") -> str:
    names = {"endpoint": "--endpoint-url", "profile": "--profile", "region": "--region"}
    options = [names[one.what] for one in found if one.what in names]
    return f", or {', '.join(options)}" if options else ""


def _usual(ctx: click.Context) -> "Usual":
    """The table and the marker that environment and file configure for `refire run`, as far as known."""
    from refire_async.checkpoint.identity import Usual  # noqa: PLC0415 - see above
    from refire_async.model.marker import DEFAULT_ATTRIBUTE  # noqa: PLC0415

    parent = ctx.parent
    if parent is None or not isinstance(parent.command, click.Group):
        return Usual()
    command = parent.command.get_command(parent, "run")
    assert command is not None  # noqa: S101 - the program has it
    config = ctx.meta.get(CONFIG)
    arguments = [] if config is None else ["--config", str(config.path)]
    try:
        with command.make_context("run", arguments, parent=parent) as run_ctx:
            run = RunOptions(**run_ctx.params)
    except UsageError:  # options of `refire run` do not concern this command
        return Usual()
    marker = run.marker_attribute or DEFAULT_ATTRIBUTE[run.marker]
    return Usual(run.table, marker)
