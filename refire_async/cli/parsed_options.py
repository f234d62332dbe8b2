"""The options of each command as parsed by click: one typed record per command, composed of one per option group.

A field has the name of its option's parameter (`--max-wcu` is `max_wcu`) and the type that the option's `convert`
gives (cli/params.py). Each command builds its record from click's parameters in its first line;
cli/options_to_settings.py turns records into settings. None: the option was not given and has no default.
"""

from dataclasses import dataclass
from pathlib import Path

from refire_async.cli.options import LogFormat, LogLevel
from refire_async.model.address import TableAddress
from refire_async.model.marker import MarkerKind
from refire_async.settings import FleetPlace, KeyType, WriterKind


@dataclass(frozen=True, kw_only=True)
class ConnectionOptions:
    """`options.connection`."""

    region: str | None
    profile: str | None
    endpoint_url: str | None


@dataclass(frozen=True, kw_only=True)
class SelectionOptions:
    """`options.selection` but for `export`. `names` and `values` are JSON texts, `sample` is in percent."""

    index: str | None
    key_name: str | None
    key_value: tuple[str, ...]
    key_value_range: str | None
    key_type: KeyType | None
    sort_key_condition: str | None
    where: str | None
    filter: str | None
    names: str | None
    values: str | None
    keys_file: str | None
    sample: float | None
    exclude_expired: bool
    include_expired: bool


@dataclass(frozen=True, kw_only=True)
class MarkerOptions:
    """`options.marker`."""

    marker: MarkerKind
    marker_attribute: str | None


@dataclass(frozen=True, kw_only=True)
class BudgetOptions:
    """`options.budget`: units per second, percent of the table's capacity, items per second."""

    max_wcu: float | None
    wcu_percent: float | None
    max_rcu: float | None
    max_rate: float | None


@dataclass(frozen=True, kw_only=True)
class PacingOptions:
    """`options.pacing`: `headroom` in percent, `max_iterator_age` in seconds, `consumer_rate` in records/s."""

    rate: str | None
    rate_timezone: str | None
    headroom: float | None
    max_iterator_age: float | None
    consumer_rate: float | None
    max_consumer_errors: int | None


@dataclass(frozen=True, kw_only=True)
class WorkersOptions:
    """`options.workers`."""

    workers: int | None
    processes: int | None
    writer: WriterKind | None


@dataclass(frozen=True, kw_only=True)
class IgnoreOptions:
    """`options.ignore`: per use of the option, the finding ids in it."""

    ignore: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """`options.output`."""

    json: bool
    log_level: LogLevel
    log_format: LogFormat | None
    no_progress: bool
    quiet: bool
    verbose: bool


@dataclass(frozen=True, kw_only=True)
class LoggedOutputOptions(OutputOptions):
    """`options.output` and `options.log_file`."""

    log_file: Path | None


@dataclass(frozen=True, kw_only=True)
class MonitoredOutputOptions(LoggedOutputOptions):
    """`options.output`, `options.log_file` and `options.monitoring`."""

    notify: str | None
    metrics_port: int | None
    metrics_host: str | None
    emf: bool


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(ConnectionOptions):
    """`refire doctor`."""

    checkpoint: Path | None
    log: Path | None
    out: Path | None
    json: bool


@dataclass(frozen=True, kw_only=True)
class WorkOptions(ConnectionOptions, SelectionOptions, MarkerOptions, BudgetOptions):
    """What `run`, `check` and `plan` share: which items of which table, and the budget."""

    table: str | None
    export: str | None
    max_items: int | None


@dataclass(frozen=True, kw_only=True)
class AttemptOptions(PacingOptions, WorkersOptions, IgnoreOptions, MonitoredOutputOptions):
    """What `run` and `resume` share. `give_up_after` is in seconds."""

    run_id: str | None
    give_up_after: float | None
    verify: bool
    yes: bool


@dataclass(frozen=True, kw_only=True)
class SavedRunOptions:
    """`saved_run`: the argument and the option that name an existing run."""

    run_id: str | None
    checkpoint: Path | TableAddress | None


@dataclass(frozen=True, kw_only=True)
class RunOptions(WorkOptions, AttemptOptions):
    """`refire run`."""

    checkpoint: Path | TableAddress | None
    archive: str | None
    tasks: int | None
    task: int | None
    segments: int | None
    dry_run: bool
    stream_arn: str | None
    canary: int | None


@dataclass(frozen=True, kw_only=True)
class ResumeOptions(SavedRunOptions, ConnectionOptions, BudgetOptions, AttemptOptions):
    """`refire resume`."""

    archive: str | None
    task: int | None
    max_items: int | None


@dataclass(frozen=True, kw_only=True)
class CheckOptions(WorkOptions, OutputOptions):
    """`refire check`."""

    writer: WriterKind | None
    stream_arn: str | None


@dataclass(frozen=True, kw_only=True)
class PlanOptions(WorkOptions, WorkersOptions, IgnoreOptions, OutputOptions):
    """`refire plan`: `item_size` in bytes, `sample_seconds` in seconds; otherwise as `settings.Assumed`."""

    segments: int | None
    items: float | None
    item_size: float | None
    wcu: float | None
    rcu: float | None
    indexes: int
    on_demand: bool
    consumer_rate: float | None
    consumer_ms: float | None
    on: FleetPlace | None
    tasks: int | None
    records: float | None
    record_size: float | None
    batch_size: int | None
    function_ms: float | None
    function_memory: int | None
    concurrency: int | None
    shards: int | None
    parallelization: int
    prices: Path | None
    plot: Path | None
    sample_seconds: float


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(SavedRunOptions, ConnectionOptions, LoggedOutputOptions):
    """`refire verify`."""

    yes: bool


@dataclass(frozen=True, kw_only=True)
class StatusOptions(SavedRunOptions, ConnectionOptions):
    """`refire status`. `table` filters the list of runs."""

    table: str | None
    unfinished: bool
    limit: int | None
    watch: bool
    clean: bool
    yes: bool
    json: bool


@dataclass(frozen=True, kw_only=True)
class ForgetOptions(SavedRunOptions, ConnectionOptions):
    """`refire forget`."""

    archive: str | None
    yes: bool
    json: bool


@dataclass(frozen=True, kw_only=True)
class ReportOptions(SavedRunOptions, ConnectionOptions):
    """`refire report`."""

    out: Path | None
    with_keys: bool
    prices: Path | None
    json: bool
