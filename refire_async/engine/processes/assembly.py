"""Assemble the `Context` of a task: source, writer, budgets."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from refire_async.aws.data_plane import DataPlane
from refire_async.checkpoint.journal import Journal
from refire_async.checkpoint.run_store import StoredKeys
from refire_async.engine.processes.task import TaskSpec
from refire_async.events import Emit
from refire_async.model.capacity import TABLE
from refire_async.model.keys import Item
from refire_async.model.run import RunSpec
from refire_async.model.stop import StopRequest
from refire_async.model.table import Table
from refire_async.model.units import WCU_BYTES
from refire_async.pacing.budget import ReadBudget, WriteBudget
from refire_async.pacing.governor import RateLimits
from refire_async.pacing.outage import Outage
from refire_async.pipeline import Context, Sizes
from refire_async.pipeline.sizing import choose_page_items
from refire_async.pipeline.writers.base import Writer, WriteReply
from refire_async.pipeline.writers.partiql import MAX_BATCH_STATEMENTS, PartiqlWriter
from refire_async.pipeline.writers.update import UpdateWriter
from refire_async.settings import Tuning
from refire_async.sources.base import Source
from refire_async.sources.key_list import KeyList, KeyListSource
from refire_async.sources.lookup import Lookup
from refire_async.sources.remote_list import RemoteListSource
from refire_async.sources.sample import Sample, SampledSource
from refire_async.sources.table import query_source, scan_source

UNBOUNDED = 1e9
"""Units per second above the capacity of any table."""


class DryWriter:
    """Writes nothing and reports success, so that everything else in a dry run is as in a real run."""

    largest = MAX_BATCH_STATEMENTS

    async def write(self, items: Sequence[Item]) -> WriteReply:
        """See `Writer.write`."""
        del items
        return WriteReply(None)


class DryBudget(WriteBudget):
    """A budget without limits, because a dry run writes nothing and waits only during a pause.

    No answer corrects its price, so it rounds sizes up from the first page on.
    """

    def __init__(self, ceilings: Mapping[str, float], max_rate: float | None = None) -> None:
        super().__init__(ceilings, max_rate)
        self._silent = True

    def follow(self, rate_limits: RateLimits) -> None:
        """See `WriteBudget.follow`."""
        unbounded = replace(rate_limits.ceilings, write={TABLE: UNBOUNDED})
        super().follow(replace(rate_limits, ceilings=unbounded, max_rate=None))


def make_source(
    data: DataPlane, table: Table, spec: RunSpec, keys: str, stored: StoredKeys | None = None
) -> Source:
    """The source of the run's selection. `keys` is the path of the run's list, if the selection is one and the list is
    not `stored` with the state of the run."""
    if spec.selection.listed:
        # An export contains the markers of its export time, which are sufficient for the condition of a first try.
        carries_marker = spec.selection.kind == "export"
        if stored is not None:
            found = KeyList(Path("in the checkpoint table"), stored.items, stored.size, stored.crc32)
            return RemoteListSource(found, stored.read, spec.total_segments, carries_marker=carries_marker)
        return KeyListSource(Path(keys), spec.total_segments, carries_marker=carries_marker)
    source = _whole_source(data, table, spec)
    percent = spec.selection.sample
    return source if percent is None else SampledSource(source, Sample(spec.keys, percent))


def _whole_source(data: DataPlane, table: Table, spec: RunSpec) -> Source:
    selection = spec.selection
    attributes = _attributes(spec)
    index = table.index(selection.index) if selection.index else None
    carries_marker = index is None or all(index.projects(name, spec.keys) for name in attributes)
    if index is not None and not carries_marker:
        attributes = spec.keys.names
    if selection.kind == "query":
        keys = spec.keys if index is None else index.keys
        return query_source(
            data,
            spec.table,
            selection,
            attributes,
            keys,
            table_keys=spec.keys,
            carries_marker=carries_marker,
        )
    return scan_source(
        data,
        spec.table,
        selection,
        attributes,
        table_keys=spec.keys,
        index_keys=None if index is None else index.keys,
        total_segments=spec.total_segments,
        carries_marker=carries_marker,
    )


def make_writer(data: DataPlane, spec: RunSpec, tuning: Tuning) -> Writer:
    """A writer of PartiQL batches if PartiQL can quote all names, else of single updates."""
    if tuning.writer == "partiql" and PartiqlWriter.fits(spec.table, spec.keys, spec.marker):
        return PartiqlWriter(data, spec.table, spec.keys, spec.marker)
    return UpdateWriter(data, spec.table, spec.keys, spec.marker)


def make_context(
    data: DataPlane,
    task: TaskSpec,
    journal: Journal,
    *,
    emit: Emit,
    stop: StopRequest,
    stored: StoredKeys | None = None,
) -> Context:
    """The objects that the readers and workers of one task share."""
    spec, table, rate_limits = task.spec, task.table, task.rate_limits
    writer: Writer = DryWriter() if task.dry else make_writer(data, spec, task.tuning)
    budget_of = DryBudget if task.dry else WriteBudget
    write_budget, read_budget = budget_of(rate_limits.ceilings.write), ReadBudget(rate_limits.ceilings.read)
    for limited in (write_budget, read_budget):
        limited.follow(rate_limits)
        limited.set_share(task.share)
    write_budget.start(rate_limits.ceilings.capacity, task.begun_at)
    return Context(
        spec=spec,
        source=make_source(data, table, spec, task.keys, stored),
        lookup=Lookup(data, spec.table, spec.keys, _attributes(spec)),
        writer=writer,
        journal=journal,
        write_budget=write_budget,
        read_budget=read_budget,
        outage=Outage(task.tuning.give_up_after_s, emit),
        emit=emit,
        stop=stop,
        sizes=Sizes(
            item_bytes=table.size_bytes / table.item_count if table.item_count else float(WCU_BYTES),
            readers=task.readers,
            workers=task.workers,
            page_items=choose_page_items(task.readers),
            max_items=task.max_items,
            per_segment=task.per_segment,
        ),
    )


def _attributes(spec: RunSpec) -> tuple[str, ...]:
    names = [*spec.keys.names, spec.marker.attribute]
    if spec.ttl_attribute is not None and spec.ttl_attribute not in names:
        names.append(spec.ttl_attribute)
    return tuple(names)
