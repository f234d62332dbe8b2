"""`replay`: the original events of a table, delivered again to one target."""

import math
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
from anyio import to_thread

from refire_async.aws.session import Session, describe, open_session
from refire_async.delivery.conditions import record_condition
from refire_async.delivery.key_files import read_keys
from refire_async.delivery.patterns import Patterns
from refire_async.delivery.selection import RecordSelection
from refire_async.delivery.sink import Preview, Source
from refire_async.delivery.sources.export import ExportSource
from refire_async.delivery.sources.items import ItemSource, Reading
from refire_async.delivery.sources.made import RecordMaker
from refire_async.delivery.sources.stream import StreamSource
from refire_async.delivery.spec import DeliverySpec
from refire_async.delivery.window import Window
from refire_async.engine.delivering import Prepared, run_prepared, saved_spec
from refire_async.engine.delivery_target import FoundTarget, find_target, mapping_reads
from refire_async.engine.mapped import by_mapping, check_mapping
from refire_async.engine.questions import Confirm
from refire_async.errors import RefusedError
from refire_async.events import Emit, ignore
from refire_async.model.delivery import DeliveryResult
from refire_async.model.finding import Finding
from refire_async.model.marker import DEFAULT_ATTRIBUTE
from refire_async.model.run import new_run_id
from refire_async.model.selection import Selection
from refire_async.model.stop import StopRequest
from refire_async.model.table import Table
from refire_async.model.units import utc_text
from refire_async.pacing.budget import ReadBudget
from refire_async.pacing.capacity import ceilings
from refire_async.pipeline.sizing import total_segments
from refire_async.pipeline.triage import is_expired
from refire_async.preflight.findings import RECORDS_TRIMMED, STALE_IMAGES
from refire_async.settings import ReplaySettings
from refire_async.sources.resolving import select

_READERS = 64

_ITEMS_AGAIN = (
    "items of up to one page per segment: present items are read again from the last saved position"
)


async def replay(
    settings: ReplaySettings,
    *,
    emit: Emit = ignore,
    stop: StopRequest | None = None,
    confirm: Confirm | None = None,
) -> DeliveryResult:
    """Deliver a table's original events again, in order per key. The table is not written.

    `emit` is called with each event and must return at once. `stop` ends the delivery in order. `confirm` answers
    whether to deliver what the preview found; without it, `assume_yes` must be set unless the target is local.

    Raises:
        RefireError: the replay could not begin. Once it has begun, every end is a result.
    """
    stop = stop or StopRequest()
    if settings.delivery.how == "mapping":
        check_mapping(settings)
    async with open_session(settings.connection, _READERS) as session:
        table = await describe(session, settings.table)
        saved = await to_thread.run_sync(saved_spec, settings.delivery)
        run_id = settings.delivery.run_id or (new_run_id() if saved is None else saved.run_id)
        if settings.until is None and not settings.exports and settings.as_event is None:
            # Filter patterns have no more digits than these.
            now = math.floor(session.clock.now() * 1e3) / 1e3
            settings = replace(settings, until=now if saved is None else saved.until)
        target = await find_target(session, settings.delivery, table.stream.arn)
        with TemporaryDirectory(prefix="refire-") as folder:
            async with _open_source(session, settings, table, target, Path(folder), run_id, emit) as source:
                prepared = _prepare(session, settings, table, target, source, run_id)
                if settings.delivery.how == "mapping":
                    prepared = by_mapping(prepared, session.services, target, settings)
                return await run_prepared(prepared, emit=emit, stop=stop, confirm=confirm)


@asynccontextmanager
async def _open_source(  # noqa: PLR0917 - called once
    session: Session,
    settings: ReplaySettings,
    table: Table,
    target: FoundTarget,
    folder: Path,
    run_id: str,
    emit: Emit,
) -> AsyncIterator[Source]:
    """The source that the settings name. Raises RefireError."""
    if table.stream.arn is None or table.stream.view_type is None:
        raise RefusedError(
            f"table {table.name} has no stream",
            "enable one: records name it, and its view type decides on images",
        )
    selection, rules = select(table, settings.selection), target.rules
    keys = None
    if settings.selection.keys_file is not None and settings.as_event is None:
        keys = await read_keys(
            settings.selection.keys_file, table.name, table.keys, session.services, settings.delivery.ignore
        )
    window = Window(
        -math.inf if settings.since is None else settings.since,
        math.inf if settings.until is None else settings.until,
    )
    if settings.exports:
        yield ExportSource(
            settings.exports,
            table,
            RecordMaker(run_id, table.keys, table.stream.arn, table.stream.view_type),
            selection=_chosen(settings, target, selection, table, keys),
            rules=rules,
            services=session.services,
            folder=folder,
            window=window,
            as_event=settings.as_event or "insert",
            latest_per_key=settings.latest_per_key,
            ignored=settings.delivery.ignore,
        )
        return
    if settings.as_event is not None:
        yield ItemSource(
            table,
            selection,
            RecordMaker(run_id, table.keys, table.stream.arn, table.stream.view_type),
            records=RecordSelection(Patterns(rules.filters), kinds=settings.kinds),
            rules=rules,
            reading=await _reading(session, settings, table, selection),
            as_event=settings.as_event,
            now=session.clock.now,
        )
        return
    yield StreamSource(
        session.streams,
        table.stream.arn,
        window,
        _chosen(settings, target, selection, table, keys),
        rules,
        emit=emit,
        folder=folder,
        latest_per_key=settings.latest_per_key,
        now=session.clock.now,
    )


async def _reading(session: Session, settings: ReplaySettings, table: Table, selection: Selection) -> Reading:
    """How present items are read: as a run reads them, within its budget of reads."""
    limits = ceilings(table, DEFAULT_ATTRIBUTE["revision"], settings.budget, selection.index)
    ttl = None if selection.include_expired else await session.control.ttl_attribute(table.name)
    now = session.clock.now
    return Reading(
        data=session.data,
        budget=ReadBudget(limits.read),
        services=session.services,
        segments=total_segments(selection, table, limits.scarcest_write, None),
        leave_out=None if ttl is None else lambda item: is_expired(item.get(ttl), now()),
        ignored=settings.delivery.ignore,
    )


def _chosen(
    settings: ReplaySettings,
    target: FoundTarget,
    selection: Selection,
    table: Table,
    keys: Container[bytes] | None,
) -> RecordSelection:
    """Which records are delivered. Raises UsageError."""
    return RecordSelection(
        Patterns(target.rules.filters),
        kinds=settings.kinds,
        keys=keys,
        condition=record_condition(selection, table.keys),
    )


def _prepare(  # noqa: PLR0917 - called once
    session: Session,
    settings: ReplaySettings,
    table: Table,
    target: FoundTarget,
    source: Source,
    run_id: str,
) -> Prepared:
    spec = DeliverySpec(
        run_id=run_id,
        command="replay",
        source=_describe_source(settings, table),
        function=target.function,
        rules=target.rules,
        table=table.name,
        table_id=table.table_id,
        stream_arn=table.stream.arn,
        since=settings.since,
        until=settings.until,
        selection=selection_text(settings),
    )
    return Prepared(
        spec=spec,
        settings=settings.delivery,
        connection=settings.connection,
        source=source,
        target=target,
        reads_stream=settings.as_event is None and not settings.exports,
        repeats="" if settings.as_event is None or settings.exports else _ITEMS_AGAIN,
        findings=partial(_findings, settings, target),
        clock=session.clock.now,
    )


def _describe_source(settings: ReplaySettings, table: Table) -> str:
    if settings.exports:
        return f"{len(settings.exports)} exports of table {table.name}"
    if settings.as_event is not None:
        return f"present items of table {table.name}"
    return f"the stream of table {table.name}"


def selection_text(settings: ReplaySettings) -> str:
    """What must stay the same in every attempt of the replay, as JSON."""
    how = {} if settings.delivery.how == "direct" else {"how": settings.delivery.how}
    return orjson.dumps(
        {
            "exports": settings.exports,
            "as_event": settings.as_event,
            "kinds": sorted(settings.kinds),
            "selection": asdict(settings.selection),
            "latest_per_key": settings.latest_per_key,
            "to": settings.delivery.to,
            "whole_events": settings.delivery.whole_events,
            **how,
        }
    ).decode()


def _findings(settings: ReplaySettings, target: FoundTarget, preview: Preview) -> list[Finding]:
    found = []
    if preview.stale and target.is_live:
        found.append(
            STALE_IMAGES.found(
                f"{preview.stale:,} records have a later record of their key that is not delivered (after --until,"
                " or not selected)"
            )
        )
    if preview.lost_before is not None:
        found.append(
            RECORDS_TRIMMED.found(
                f"records from before {utc_text(preview.lost_before)} may be gone from the stream"
            )
        )
    if settings.as_event is None and not settings.exports:
        found += mapping_reads(target)
    return found
