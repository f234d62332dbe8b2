"""Puts a sitting together from its parts: source, writer, budgets, journal."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from refire_async.checkpoint.journal import Journal
from refire_async.events import Emit
from refire_async.model.capacity import TABLE
from refire_async.model.keys import Item
from refire_async.model.run import RunSpec
from refire_async.model.table import Table
from refire_async.model.units import WCU_BYTES
from refire_async.pacing.budget import ReadBudget, WriteBudget
from refire_async.pacing.capacity import Ceilings
from refire_async.pipeline import Context, Patience, StopRequest
from refire_async.settings import Budget, Tuning
from refire_async.sources.base import Source
from refire_async.sources.keys_file import KeysFileSource
from refire_async.sources.lookup import Lookup
from refire_async.sources.table import query_source, scan_source
from refire_async.wire.dataplane import DataPlane
from refire_async.writers.base import Writer, WriteReply
from refire_async.writers.partiql import LARGEST, PartiqlWriter
from refire_async.writers.update import UpdateWriter

UNBOUNDED = 1e9
"""Units per second that no table has: a dry run writes nothing and need not wait for a write budget."""


class DryWriter:
    """Writes nothing and says that all went well, so that a dry run is a run in all else."""

    largest = LARGEST

    async def write(self, items: Sequence[Item]) -> WriteReply:
        """See `Writer.write`."""
        del items
        return WriteReply(None)


def make_source(data: DataPlane, table: Table, spec: RunSpec) -> Source:
    """The source that the run's selection names."""
    selection = spec.selection
    if selection.keys_file is not None:
        return KeysFileSource(Path(selection.keys_file), spec.keys)
    attributes = _attributes(spec)
    index = table.index(selection.index) if selection.index else None
    carries_marker = index is None or all(index.projects(name, spec.keys) for name in attributes)
    if index is not None and not carries_marker:
        attributes = spec.keys.names
    if selection.kind == "query":
        keys = spec.keys if index is None else index.keys
        return query_source(data, spec.table, selection, attributes, keys, carries_marker=carries_marker)
    return scan_source(
        data,
        spec.table,
        selection,
        attributes,
        total_segments=spec.total_segments,
        carries_marker=carries_marker,
    )


def make_writer(data: DataPlane, spec: RunSpec, tuning: Tuning) -> Writer:
    """PartiQL batches where they can name everything, else single updates."""
    if tuning.writer == "partiql" and PartiqlWriter.fits(spec.table, spec.keys, spec.marker):
        return PartiqlWriter(data, spec.table, spec.keys, spec.marker)
    return UpdateWriter(data, spec.table, spec.keys, spec.marker)


def make_context(
    data: DataPlane,
    table: Table,
    spec: RunSpec,
    *,
    limits: Ceilings,
    budget: Budget,
    tuning: Tuning,
    journal: Journal,
    dry: bool,
    emit: Emit,
    stop: StopRequest,
) -> Context:
    """Everything that the tasks of one sitting share."""
    writer: Writer = DryWriter() if dry else make_writer(data, spec, tuning)
    if dry:
        limits = replace(limits, write=dict.fromkeys(limits.write, UNBOUNDED))
        budget = replace(budget, max_rate=None)
    return Context(
        spec=spec,
        source=make_source(data, table, spec),
        lookup=Lookup(data, spec.table, _attributes(spec)),
        writer=writer,
        journal=journal,
        write_budget=WriteBudget(limits.write, budget.max_rate),
        read_budget=ReadBudget(limits.read),
        patience=Patience(tuning.give_up_after_s, emit),
        emit=emit,
        stop=stop,
        item_bytes=table.size_bytes / table.item_count if table.item_count else float(WCU_BYTES),
    )


def table_rate(limits: Ceilings) -> float:
    """Write units per second at which the table itself can be touched: the scarcest resource rules."""
    return min(limits.write.get(TABLE, UNBOUNDED), *limits.write.values())


def _attributes(spec: RunSpec) -> tuple[str, ...]:
    names = [*spec.keys.names, spec.marker.attribute]
    if spec.ttl_attribute is not None and spec.ttl_attribute not in names:
        names.append(spec.ttl_attribute)
    return tuple(names)
