"""The settings of the commands and of the Python API, as frozen values.

The command line creates them from options, environment variables, configuration file and defaults; the engine uses
them. They do not depend on the table: values that need its description (key types, capacity) are resolved later.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from refire_async.model.address import TableAddress
from refire_async.model.keys import AttributeValue
from refire_async.model.marker import MarkerKind

WriterKind: TypeAlias = Literal["partiql", "update"]
KeyType: TypeAlias = Literal["S", "N", "B"]

EventImage: TypeAlias = Literal["insert", "modify"]
FleetPlace: TypeAlias = Literal["ecs", "batch", "glue", "emr"]
DeliveryHow: TypeAlias = Literal["direct", "mapping"]

UNLIMITED = -1
"""As Lambda writes a limit that is none (API reference: MaximumRetryAttempts, MaximumRecordAgeInSeconds)."""

DEFAULT_WCU_PERCENT = 80.0
DEFAULT_GIVE_UP_AFTER_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the table is. `None`: as in the AWS configuration."""

    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits of a run.

    `max_wcu` and `max_rcu` are capacity units per second and take precedence over `wcu_percent`, the share of the
    table's capacity. `max_rate` is items per second, for consumers that are slower than the table. `set_by` names the
    source of the values if it is not the options.
    """

    wcu_percent: float = DEFAULT_WCU_PERCENT
    max_wcu: float | None = None
    max_rcu: float | None = None
    max_rate: float | None = None
    set_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacingSettings:
    """How the run adapts to the time of day, to live traffic, and to the consumers of the stream.

    `rate` is a timetable (grammar: pacing/timetable.py) in `timezone` (None: that of this machine).
    `headroom_percent` of the table's write capacity stays free on top of live traffic; None: live traffic is not
    monitored. `max_iterator_age_s` is the maximum age of records when a consumer receives them, `max_consumer_errors`
    the number of failed invocations after which the run stops; None for both: consumers are not monitored.
    `consumer_rate` is the number of the run's records per second that the slowest consumer can process; None: it is
    measured.
    """

    rate: str | None = None
    timezone: str | None = None
    headroom_percent: float | None = None
    max_iterator_age_s: float | None = None
    max_consumer_errors: int | None = None
    consumer_rate: float | None = None

    @property
    def watches_consumers(self) -> bool:
        """Whether the run monitors the consumers of the stream."""
        return self.max_iterator_age_s is not None or self.max_consumer_errors is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Technical parameters of a run; `None`: chosen automatically.

    Memory for queued items: lanes x 2 pages x page_items x about 1.5 KB (key, marker and bookkeeping).
    `give_up_after_s`: a run stops, and can be resumed, if no request has succeeded for this many seconds.
    """

    segments: int | None = None
    workers: int | None = None
    processes: int = 1
    writer: WriterKind = "partiql"
    give_up_after_s: float = DEFAULT_GIVE_UP_AFTER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionSettings:
    """The items of a run, as the user gave them; the types of key values depend on the table.

    `key_values` are texts (base64 for type B), `key_value_range` is `FIRST..LAST`; both name hash keys. `sample` is
    in percent. `keys_file` is a path, `-` for standard input, or `s3://bucket/key`,
    `export` a folder or `s3://…`. `where_words` are attribute names that may be meant as texts (sources/where.py).
    """

    index: str | None = None
    key_name: str | None = None
    key_values: tuple[str, ...] = ()
    key_value_range: str | None = None
    key_type: KeyType | None = None
    sort_key_condition: str | None = None
    filter: str | None = None
    names: tuple[tuple[str, str], ...] = ()
    values: tuple[tuple[str, AttributeValue], ...] = ()
    keys_file: str | None = None
    export: str | None = None
    sample: float | None = None
    include_expired: bool = False
    where_words: tuple[str, ...] = ()

    @property
    def names_hash_keys(self) -> bool:
        """Whether the selection consists of given hash keys."""
        return bool(self.key_values) or self.key_value_range is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """The settings of a new run.

    With `tasks`, a run in a checkpoint table is shared by as many processes, on any machines; `task` is the number of
    this one, from 0. `archive` is `s3://bucket/prefix` for what such a run only adds.
    """

    table: str
    connection: Connection = field(default_factory=Connection)
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    marker: MarkerKind = "revision"
    marker_attribute: str | None = None
    budget: Budget = field(default_factory=Budget)
    pacing: PacingSettings = field(default_factory=PacingSettings)
    tuning: Tuning = field(default_factory=Tuning)
    max_items: int | None = None
    checkpoint: Path | TableAddress | None = None
    archive: str | None = None
    tasks: int | None = None
    task: int | None = None
    run_id: str | None = None
    dry_run: bool = False
    ignore: frozenset[str] = frozenset()
    stream_arn: str | None = None
    verify: bool = False
    canary: int | None = None
    assume_yes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings:
    """The settings of a verification. `checkpoint` is the file of the run."""

    checkpoint: Path
    connection: Connection = field(default_factory=Connection)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeSettings:
    """The settings of a resumed run. `checkpoint` also contains the identity of the run.

    `task`: for a run in a checkpoint table with several tasks, the number of this one. `archive`: that of the run.
    """

    checkpoint: Path | TableAddress
    archive: str | None = None
    task: int | None = None
    connection: Connection = field(default_factory=Connection)
    budget: Budget = field(default_factory=Budget)
    pacing: PacingSettings = field(default_factory=PacingSettings)
    tuning: Tuning = field(default_factory=Tuning)
    max_items: int | None = None
    ignore: frozenset[str] = frozenset()
    verify: bool = False
    assume_yes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """Assumptions of a plan, for a table that does not exist yet, or instead of the table's own values.

    Sizes in bytes, capacity in units per second, `consumer_rate` in records per second; `consumer_ms` is the
    time that a consumer takes for one record.
    """

    items: int | None = None
    item_bytes: float | None = None
    wcu: float | None = None
    rcu: float | None = None
    indexes: int = 0
    on_demand: bool = False
    consumer_rate: float | None = None
    consumer_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings:
    """A run by several tasks. `tasks` None: by the write budget. `on` None: on machines of your own."""

    tasks: int | None = None
    on: FleetPlace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings:
    """The settings of a plan for `run`, or without a table (`run` is None) for `assumed`.

    `sample_s` limits the sampling. `fleet` None: one machine.

    `budget`, `tuning` and `max_items` are those of a run without a table.
    """

    run: RunSettings | None
    assumed: Assumed = field(default_factory=Assumed)
    sample_s: float = 10.0
    fleet: FleetSettings | None = None
    budget: Budget = field(default_factory=Budget)
    tuning: Tuning = field(default_factory=Tuning)
    max_items: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """How records are delivered. None leaves a choice to the function's event source mapping (delivery/rules.py).

    `retries` may be UNLIMITED. `function` is a name, ARN or NAME:QUALIFIER; `to` is a file, `-`, or
    `python:MODULE.FUNCTION`: one of them is set, but for `redrive`, whose records name their function.
    `concurrency` bounds invocations at a time, `max_rate` is records per second, `max_iterator_age_s` the age up to
    which the function's own mapping may fall behind.
    """

    function: str | None = None
    to: str | None = None
    whole_events: bool = False
    batch_size: int | None = None
    window_s: float | None = None
    parallelization: int | None = None
    retries: int | None = None
    max_record_age_s: float | None = None
    bisect: bool | None = None
    partial_failures: bool | None = None
    filters: tuple[str, ...] | None = None
    how: DeliveryHow = "direct"
    concurrency: int | None = None
    max_rate: float | None = None
    max_iterator_age_s: float | None = None
    give_up_after_s: float = DEFAULT_GIVE_UP_AFTER_S
    checkpoint: Path | None = None
    run_id: str | None = None
    dry_run: bool = False
    assume_yes: bool = False
    ignore: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySettings:
    """A replay of a table's events. Times are seconds since the epoch; `until` None is now.

    Without `exports` and `as_event`, the source is the stream from `since` on. `as_event` makes events of present
    items. `selection` and `kinds` choose among the records of every source.
    """

    table: str
    delivery: DeliverySettings
    connection: Connection = field(default_factory=Connection)
    since: float | None = None
    until: float | None = None
    exports: tuple[str, ...] = ()
    as_event: EventImage | None = None
    kinds: frozenset[str] = frozenset()
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    latest_per_key: bool = False
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedriveSettings:
    """A redrive of failed batches from `source`: a queue's URL or ARN, `s3://bucket/prefix`, a file, or `-`.

    `keep` leaves the queue's messages where they are.
    """

    source: str
    delivery: DeliverySettings
    connection: Connection = field(default_factory=Connection)
    keep: bool = False
