"""What is made of the options that commands share, as click gives them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from refire_async.cli.options import LogFormat, LogLevel
from refire_async.cli.params import CONFIG
from refire_async.cli.selection_options import make_selection
from refire_async.errors import UsageError
from refire_async.settings import (
    DEFAULT_GIVE_UP_AFTER_S,
    DEFAULT_WCU_PERCENT,
    Budget,
    Connection,
    PacingSettings,
    RunSettings,
    Tuning,
)

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Output:
    """How results, logs and progress are shown. `config` is the file that options came from, if one did.

    `metrics` is the address and the port to serve metrics on, `emf` asks for a line of them at the end.
    """

    json: bool
    log_level: LogLevel
    progress: bool
    log_file: Path | None = None
    config: Path | None = None
    metrics: tuple[str, int] | None = None
    emf: bool = False
    log_format: LogFormat | None = None
    notify: str | None = None


def make_output(given: dict[str, Any]) -> Output:
    """The output options of a command. Raises UsageError."""
    config = click.get_current_context().meta.get(CONFIG)
    host, port = given.get("metrics_host"), given.get("metrics_port")
    if host is not None and port is None:
        raise UsageError("--metrics-host needs --metrics-port", "add --metrics-port, or leave it out")
    quiet, verbose = given.get("quiet", False), given.get("verbose", False)
    if quiet and verbose:
        raise UsageError("--quiet and --verbose do not go together", "leave one of them out")
    level: LogLevel = given["log_level"]
    if click.get_current_context().get_parameter_source("log_level") is ParameterSource.DEFAULT:
        level = "warning" if quiet else "debug" if verbose else level
    return Output(
        given["json"],
        level,
        not (given["no_progress"] or quiet),
        given.get("log_file"),
        None if config is None else config.path,
        None if port is None else (host or LOOPBACK, port),
        given.get("emf", False),
        given.get("log_format"),
        given.get("notify"),
    )


def make_connection(given: dict[str, Any]) -> Connection:
    """The connection options of a command."""
    return Connection(region=given["region"], profile=given["profile"], endpoint_url=given["endpoint_url"])


def make_budget(given: dict[str, Any]) -> Budget:
    """The speed limits of a command."""
    return Budget(
        wcu_percent=given["wcu_percent"] or DEFAULT_WCU_PERCENT,
        max_wcu=given["max_wcu"],
        max_rcu=given["max_rcu"],
        max_rate=given["max_rate"],
    )


def make_pacing(given: dict[str, Any]) -> PacingSettings:
    """How the budget goes with time, live traffic and consumers. Raises UsageError."""
    if given["rate_timezone"] is not None and given["rate"] is None:
        raise UsageError("--rate-timezone needs --rate", "add --rate, or leave it out")
    return PacingSettings(
        rate=given["rate"],
        timezone=given["rate_timezone"],
        headroom_percent=given["headroom"],
        max_iterator_age_s=given["max_iterator_age"],
        max_consumer_errors=given["max_consumer_errors"],
        consumer_rate=given["consumer_rate"],
    )


def make_tuning(given: dict[str, Any]) -> Tuning:
    """How many segments, workers and processes, and which writer."""
    return Tuning(
        segments=given.get("segments"),
        workers=given["workers"],
        processes=given["processes"] or 1,
        writer=given["writer"] or "partiql",
        give_up_after_s=given["give_up_after"] or DEFAULT_GIVE_UP_AFTER_S,
    )


def make_ignore(given: dict[str, Any]) -> frozenset[str]:
    """Findings to ignore, each given alone or several separated by commas."""
    return frozenset(finding for findings in given["ignore"] for finding in findings)


def make_run(ctx: click.Context, given: dict[str, Any]) -> RunSettings:
    """The run that a command is about, as far as all of them ask alike: which items of which table, and the budget.

    Raises UsageError.
    """
    if given["table"] is None:
        raise UsageError("no table given", "name it with --table NAME, or in REFIRE_TABLE or DynamoTable")
    return RunSettings(
        table=given["table"],
        connection=make_connection(given),
        selection=make_selection(ctx, given),
        marker=given["marker"],
        marker_attribute=given["marker_attribute"],
        budget=make_budget(given),
        max_items=given["max_items"],
    )
