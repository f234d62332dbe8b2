"""`refire replay`: deliver the original events again, to one function, without touching the table."""

import time
from dataclasses import dataclass
from typing import Any

import click

from refire_async.cli import options
from refire_async.cli.delivery_options import DeliveryOptions, Kinds, Time, delivery, make_delivery
from refire_async.cli.help import Command
from refire_async.cli.options import option
from refire_async.cli.options_to_settings import make_connection, make_monitored_output
from refire_async.cli.params import ExportFolder, OneOf, origin
from refire_async.cli.parsed_options import SelectionOptions
from refire_async.cli.selection_options import make_selection
from refire_async.errors import UsageError
from refire_async.model.units import STREAM_RETENTION_S
from refire_async.settings import EventImage, ReplaySettings

_EVENTS = "Events"


@dataclass(frozen=True, kw_only=True)
class ReplayOptions(DeliveryOptions, SelectionOptions):
    """`refire replay`. Times in seconds since the epoch; `exports` are folders, `event` kinds per use of the option."""

    table: str | None
    since: float | None
    until: float | None
    as_: EventImage | None
    event: tuple[tuple[str, ...], ...]
    latest_per_key: bool
    exports: tuple[str, ...]


class Exports(ExportFolder):
    """Folders of exports, each with the option; a variable holds one."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """The variable's value as it is."""
        return [rv]


@click.command(
    "replay",
    cls=Command,
    unexpected="name the table with --table {0}",
    examples=(
        (
            "Deliver the events of the last two hours again to one function",
            "refire replay --table orders --function billing --since 2h",
        ),
        (
            "Look first: count them, show three, invoke nothing",
            "refire replay --table orders --function billing --since 2h --dry-run",
        ),
    ),
)
@options.table
@options.connection
@option(
    _EVENTS, "--since", Time("--since 2h"), "Events from this time on: 2026-11-30T03:00+09:00, or 2h (ago)."
)
@option(_EVENTS, "--until", Time("--until 30m"), "Events before this time; default: now.", unset="now")
@option(
    _EVENTS,
    "--export",
    Exports("FOLDER"),
    "Events from this DynamoDB export (s3://… or a folder) instead of the stream. Repeat it for several windows.",
    short="exports",
    multiple=True,
)
@option(
    _EVENTS,
    "--as",
    OneOf("KIND", "insert", "modify"),
    "Make an event of each present item instead, as if it was just inserted or modified.",
    short="as_",
)
@option(
    _EVENTS,
    "--event",
    Kinds(),
    "Only these kinds, with commas between them: INSERT, MODIFY, REMOVE.",
    multiple=True,
)
@options.flag(_EVENTS, "--latest-per-key", "Only the last event of each key.")
@options.replay_selection
@delivery
@options.output
@options.log_file
@options.monitoring
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Deliver the original events again, to one function. The table is not written.

    Reads the stream's last 24 hours, exports, or present items, and delivers in order per key, as the function's
    event source mapping does. At least once; what fails is listed in a file that refire redrive takes.
    """
    parsed = ReplayOptions(**given)
    settings = make_settings(ctx, parsed)
    output = make_monitored_output(ctx, parsed)

    from refire_async.cli import delivery_session  # noqa: PLC0415 - brings the engine, which is slow to import

    return delivery_session.execute(settings, output)


_ONLY_ITEMS = ("index", "include_expired", "exclude_expired")
"""Selection options that are about present items."""


def make_settings(ctx: click.Context, parsed: ReplayOptions) -> ReplaySettings:
    """The settings of a replay. Raises UsageError where options are missing or cannot be combined."""
    if parsed.table is None:
        raise UsageError("no table given", "name it with --table NAME, or in REFIRE_TABLE or DynamoTable")
    if parsed.function is None and parsed.to is None:
        raise UsageError("no target given", "name a function with --function, or a file with --to")
    _check_source(ctx, parsed)
    return ReplaySettings(
        table=parsed.table,
        delivery=make_delivery(ctx, parsed),
        connection=make_connection(parsed),
        since=parsed.since,
        until=parsed.until,
        exports=parsed.exports,
        as_event=parsed.as_,
        kinds=frozenset(kind for kinds in parsed.event for kind in kinds),
        selection=make_selection(ctx, parsed),
        latest_per_key=parsed.latest_per_key,
    )


def _check_source(ctx: click.Context, parsed: ReplayOptions) -> None:
    """Refuse no source, two sources, and a window that is none. Raises UsageError."""
    if not parsed.exports and parsed.as_ is None and parsed.since is None:
        raise UsageError(
            "no events given",
            "say since when with --since, or give --export FOLDER, or --as insert for present items",
        )
    now = time.time()
    timed = parsed.since is not None or parsed.until is not None
    if parsed.as_ is not None and timed and not parsed.exports:
        raise UsageError("--as and --since cannot be combined", "present items have no time; leave one out")
    if parsed.since is not None:
        if parsed.since > now:
            raise UsageError("--since is in the future", "give a time that has passed")
        if parsed.since >= (parsed.until or now):
            raise UsageError("--since is not before --until", "give an earlier --since or a later --until")
        if not parsed.exports and parsed.since < now - STREAM_RETENTION_S:
            hours = STREAM_RETENTION_S // 3600
            raise UsageError(
                f"--since is more than {hours:.0f} hours ago, and the stream keeps records no longer",
                f"give --since {hours:.0f}h, use an incremental --export for what is older, or refire run",
            )
    if parsed.until is not None and parsed.until > now:
        raise UsageError("--until is in the future", "leave it out for everything up to now")
    if parsed.as_ is None:
        for param in ctx.command.params:
            if param.name in _ONLY_ITEMS and getattr(parsed, param.name) not in (None, False):
                raise UsageError(
                    f"{origin(ctx, param)} needs --as",
                    "it selects present items; add --as insert or --as modify",
                )
