"""Makes settings of the parsed options that commands share."""

from dataclasses import dataclass, replace
from pathlib import Path

import click
from click.core import ParameterSource

from refire_async.cli.options import LogFormat, LogLevel
from refire_async.cli.params import CONFIG
from refire_async.cli.parsed_options import (
    AttemptOptions,
    BudgetOptions,
    ConnectionOptions,
    IgnoreOptions,
    LoggedOutputOptions,
    MonitoredOutputOptions,
    PacingOptions,
    WorkOptions,
)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSettings:
    """How to show results, logs and progress.

    `config` is the configuration file that was read, if any. `metrics` is the address and the port to serve metrics
    on, `emf` adds a line of CloudWatch metrics at the end, `notify` is an https URL or the ARN of an SNS topic.
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


def make_output(ctx: click.Context, parsed: LoggedOutputOptions) -> OutputSettings:
    """The output settings of a command without monitoring. Raises UsageError."""
    if parsed.quiet and parsed.verbose:
        raise UsageError("--quiet and --verbose cannot be combined", "remove one of them")
    level = parsed.log_level
    if ctx.get_parameter_source("log_level") is ParameterSource.DEFAULT:
        level = "warning" if parsed.quiet else "debug" if parsed.verbose else level
    config = ctx.meta.get(CONFIG)
    return OutputSettings(
        json=parsed.json,
        log_level=level,
        progress=not (parsed.no_progress or parsed.quiet),
        log_file=parsed.log_file,
        config=None if config is None else config.path,
        log_format=parsed.log_format,
    )


def make_monitored_output(ctx: click.Context, parsed: MonitoredOutputOptions) -> OutputSettings:
    """The output settings of a command with metrics and notifications. Raises UsageError."""
    host, port = parsed.metrics_host, parsed.metrics_port
    if host is not None and port is None:
        raise UsageError(
            "--metrics-host needs --metrics-port", "add --metrics-port, or remove --metrics-host"
        )
    return replace(
        make_output(ctx, parsed),
        metrics=None if port is None else (host or LOOPBACK, port),
        emf=parsed.emf,
        notify=parsed.notify,
    )


def make_connection(parsed: ConnectionOptions) -> Connection:
    """The connection of a command."""
    return Connection(region=parsed.region, profile=parsed.profile, endpoint_url=parsed.endpoint_url)


def make_budget(parsed: BudgetOptions) -> Budget:
    """The speed limits of a command."""
    return Budget(
        wcu_percent=parsed.wcu_percent or DEFAULT_WCU_PERCENT,
        max_wcu=parsed.max_wcu,
        max_rcu=parsed.max_rcu,
        max_rate=parsed.max_rate,
    )


def make_pacing(parsed: PacingOptions) -> PacingSettings:
    """How the budget follows the time of day, live traffic and consumers. Raises UsageError."""
    if parsed.rate_timezone is not None and parsed.rate is None:
        raise UsageError("--rate-timezone needs --rate", "add --rate, or remove --rate-timezone")
    return PacingSettings(
        rate=parsed.rate,
        timezone=parsed.rate_timezone,
        headroom_percent=parsed.headroom,
        max_iterator_age_s=parsed.max_iterator_age,
        max_consumer_errors=parsed.max_consumer_errors,
        consumer_rate=parsed.consumer_rate,
    )


def make_tuning(parsed: AttemptOptions, segments: int | None = None) -> Tuning:
    """How many segments, workers and processes, and which writer. A resumed run keeps its segments."""
    return Tuning(
        segments=segments,
        workers=parsed.workers,
        processes=parsed.processes or 1,
        writer=parsed.writer or "partiql",
        give_up_after_s=parsed.give_up_after or DEFAULT_GIVE_UP_AFTER_S,
    )


def make_ignore(parsed: IgnoreOptions) -> frozenset[str]:
    """The ids of findings to ignore: one per --ignore, or several separated by commas."""
    return frozenset(finding for findings in parsed.ignore for finding in findings)


def make_run(ctx: click.Context, parsed: WorkOptions) -> RunSettings:
    """The part of a run's settings that `run`, `check` and `plan` share. Raises UsageError."""
    if parsed.table is None:
        raise UsageError("no table given", "name it with --table NAME, or in REFIRE_TABLE or DynamoTable")
    return RunSettings(
        table=parsed.table,
        connection=make_connection(parsed),
        selection=make_selection(ctx, parsed, export=parsed.export),
        marker=parsed.marker,
        marker_attribute=parsed.marker_attribute,
        budget=make_budget(parsed),
        max_items=parsed.max_items,
    )
