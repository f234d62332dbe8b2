"""The run to check, and the collected facts: frozen values that the rules read."""

from dataclasses import dataclass
from pathlib import Path

from refire_async.aws.autoscaling import ScalableTarget
from refire_async.aws.event_source_mappings import Mapping
from refire_async.model.keys import AttributeValue
from refire_async.model.marker import MarkerKind
from refire_async.model.other_run import OtherRun
from refire_async.model.selection import Selection
from refire_async.model.table import Table
from refire_async.pacing.capacity import Ceilings
from refire_async.settings import WriterKind


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRun:
    """The run to check."""

    table: Table
    region: str
    selection: Selection
    marker_kind: MarkerKind
    marker_attribute: str
    limits: Ceilings
    max_rate: float | None = None
    max_items: int | None = None
    ttl_attribute: str | None = None
    expected_stream: str | None = None
    run_id: str | None = None
    checkpoint: Path | None = None
    """The run's own checkpoint, if known."""
    where_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Depth:
    """Which facts to collect.

    `sample_s`: seconds for the sample; with None there is no sample and no test of permissions to read. `whole_items`:
    read all attributes, for the size of each item, and not only keys, marker and TTL attribute. `write_as`: test the
    permission to write with this writer, on a key that does not exist.
    """

    sample_s: float | None = None
    whole_items: bool = False
    write_as: WriterKind | None = None


@dataclass(frozen=True, slots=True)
class FunctionHealth:
    """A function's last 15 minutes (CloudWatch, AWS/Lambda). None where there are no data points."""

    function: str
    iterator_age_s: float | None = None
    errors: float | None = None
    throttles: float | None = None


@dataclass(frozen=True, slots=True)
class KinesisStream:
    """A Kinesis destination. `shards` is None for an on-demand stream, and if unknown."""

    arn: str
    shards: int | None


@dataclass(frozen=True, slots=True)
class SampledItems:
    """Facts from items spread over the table. No message contains a value of `markers`."""

    markers: tuple[AttributeValue | None, ...]
    """One for each item; None where it has none."""
    mean_write_units: float
    near_limit: int
    expired: int
    rcu: float

    @property
    def items(self) -> int:
        """Number of sampled items."""
        return len(self.markers)


@dataclass(frozen=True, slots=True)
class Denied:
    """A missing permission: the service's message, without item data."""

    message: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All facts. None means unknown; `unanswered` has the reasons, one line each."""

    run: CheckedRun
    kinesis: tuple[KinesisStream, ...] = ()
    pitr: bool | None = None
    mappings: tuple[Mapping, ...] | None = None
    open_shards: int | None = None
    health: tuple[FunctionHealth, ...] = ()
    live_wcu: float | None = None
    """The highest minute of the table's consumed write units in the last hour, per second."""
    scaling: tuple[ScalableTarget, ...] = ()
    sample: SampledItems | None = None
    not_sampled: str | None = None
    denied: tuple[Denied, ...] = ()
    unanswered: tuple[str, ...] = ()
    others: tuple[OtherRun, ...] = ()
