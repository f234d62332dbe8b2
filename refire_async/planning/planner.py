"""`refire plan`: samples the table within bounds, then computes the plan."""

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from anyio import to_thread

from refire_async.aws.errors import AwsError
from refire_async.aws.event_source_mappings import ask_mappings
from refire_async.aws.other_services import UnansweredError
from refire_async.aws.session import Session, describe, open_session
from refire_async.errors import UsageError
from refire_async.model.keys import IndexKeys, KeySchema
from refire_async.model.marker import DEFAULT_ATTRIBUTE, Marker
from refire_async.model.run import RunSpec, new_run_id
from refire_async.model.selection import Selection
from refire_async.model.stop import StopRequest
from refire_async.model.table import BillingMode, Index, Stream, Table, Throughput
from refire_async.pacing.capacity import (
    NEW_ON_DEMAND_READ,
    NEW_ON_DEMAND_WRITE,
    Ceilings,
    ceilings,
    partitions,
)
from refire_async.pipeline.sizing import choose_page_items, choose_readers, choose_workers, total_segments
from refire_async.planning.forecast.cost import DEFAULT_PRICES, Prices
from refire_async.planning.forecast.duration import Rates
from refire_async.planning.forecast.load import Load, scan_rcu, units_of
from refire_async.planning.forecast.plan import ConsumerRate, Plan, Settings, make_plan
from refire_async.planning.survey.key_list import MOST_DRAWN, survey_list
from refire_async.planning.survey.lookup import MOST_LOOKED_UP
from refire_async.planning.survey.request import SurveyRequest
from refire_async.planning.survey.table import survey
from refire_async.settings import Assumed, Budget, PlanSettings, RunSettings, Tuning
from refire_async.sources.importing import ImportContext, draw_from_export, import_keys
from refire_async.sources.key_list import choose_segments as choose_list_segments
from refire_async.sources.key_list import draw_items, open_list
from refire_async.sources.resolving import select

_CONNECTIONS = 16
_WHOLE = Budget(wcu_percent=100.0)


async def plan(settings: PlanSettings, *, prices: Prices = DEFAULT_PRICES) -> Plan:
    """The plan for these settings.

    Raises:
        RefireError: the settings are invalid, or the table cannot be described or read.
    """
    if settings.run is None:
        return plan_without_table(settings, prices)
    async with open_session(settings.run.connection, _CONNECTIONS) as session:
        return await _plan_run(session, settings, settings.run, prices)


async def _plan_run(session: Session, settings: PlanSettings, run: RunSettings, prices: Prices) -> Plan:
    assumed = settings.assumed
    table = await describe(session, run.table)
    selection = select(table, run.selection)
    attribute = run.marker_attribute or DEFAULT_ATTRIBUTE[run.marker]
    limits = ceilings(table, attribute, run.budget, selection.index)
    segments = total_segments(selection, table, limits.scarcest_write, run.tuning.segments)
    readers = choose_readers(limits.scarcest_write)
    if assumed.items is not None and assumed.item_bytes is not None:
        load = _assumed_load(assumed, limits.write, readers, segments)
    else:
        ttl_attribute = await session.control.ttl_attribute(table.name)
        request = SurveyRequest(
            table=table,
            selection=selection,
            marker=Marker(run.marker, attribute, run.run_id or new_run_id()),
            ttl_attribute=None if selection.include_expired else ttl_attribute,
            page_items=choose_page_items(readers),
            segments=segments,
            max_rcu=limits.read,
            within_s=settings.sample_s,
            now_s=session.clock.now(),
        )
        if selection.listed:
            load, segments = await _survey_list(session, request, run)
        else:
            load = await survey(session.data, request)
        if assumed.items is not None and load.items:
            load = replace(load, items=assumed.items, rcu=load.rcu * assumed.items / load.items)
    load = _at_most(load, run.max_items)
    shards, consumers = await _consumers(session, table, assumed)
    return make_plan(
        load,
        _rates(limits, partitions(table), run.budget.max_rate),
        _rates(ceilings(table, attribute, _WHOLE, selection.index), partitions(table)),
        billing=table.billing,
        shards=shards,
        settings=_recommended(run.tuning, segments, limits, run.budget),
        consumers=consumers,
        prices=prices,
        regions=1 + len(table.replicas),
        fleet_settings=settings.fleet,
    )


def plan_without_table(settings: PlanSettings, prices: Prices = DEFAULT_PRICES) -> Plan:
    """The plan for a table that does not exist yet. All items have one size, and every index projects all attributes.

    Raises:
        UsageError: the number of items or their size is missing.
    """
    assumed, budget, tuning = settings.assumed, settings.budget, settings.tuning
    if assumed.items is None or assumed.item_bytes is None:
        raise UsageError("no table given", "name it with --table NAME, or give --items and --item-size")
    table = _assumed_table(assumed, assumed.items, assumed.item_bytes)
    attribute = DEFAULT_ATTRIBUTE["revision"]
    limits = ceilings(table, attribute, budget)
    if assumed.wcu is None and budget.max_wcu is None:
        limits = replace(limits, bound_by=f"{budget.wcu_percent:g}% of a new table's capacity")
    segments = total_segments(Selection("scan"), table, limits.scarcest_write, tuning.segments)
    readers = choose_readers(limits.scarcest_write)
    load = _at_most(_assumed_load(assumed, limits.write, readers, segments), settings.max_items)
    shards = partitions(table)
    return make_plan(
        load,
        _rates(limits, shards, budget.max_rate),
        _rates(ceilings(table, attribute, _WHOLE), shards),
        billing=table.billing,
        shards=shards,
        settings=_recommended(tuning, segments, limits, budget),
        consumers=ConsumerRate(_rate(assumed, shards, 1)),
        prices=prices,
        fleet_settings=settings.fleet,
    )


def _assumed_table(assumed: Assumed, items: int, item_bytes: float) -> Table:
    """A table with indexes, all of the assumed capacity."""
    write = assumed.wcu or NEW_ON_DEMAND_WRITE
    read = assumed.rcu or (NEW_ON_DEMAND_READ if assumed.on_demand else write)
    if assumed.on_demand:
        billing: BillingMode = "PAY_PER_REQUEST"
        throughput = Throughput(warm_read=read, warm_write=write)
    else:
        billing, throughput = "PROVISIONED", Throughput(read, write)
    keys = IndexKeys((("", "S"),))
    return Table(
        name="",
        arn="",
        table_id="",
        status="ACTIVE",
        keys=KeySchema("", "S", None, None),
        billing=billing,
        throughput=throughput,
        indexes=tuple(
            Index(f"{n + 1}", "global", keys, "ALL", throughput=throughput) for n in range(assumed.indexes)
        ),
        stream=Stream(enabled=True),
        item_count=items,
        size_bytes=int(items * item_bytes),
    )


def _at_most(load: Load, max_items: int | None) -> Load:
    """The load of a run that stops after `max_items`."""
    if max_items is None or max_items >= load.items:
        return load
    return replace(load, items=max_items, rcu=load.rcu * max_items / load.items)


def _recommended(tuning: Tuning, segments: int, limits: Ceilings, budget: Budget) -> Settings:
    return Settings(
        segments=segments,
        workers=tuning.workers or choose_workers(tuning.writer, limits.scarcest_write),
        max_wcu=limits.scarcest_write,
        max_rate=budget.max_rate,
    )


def _assumed_load(assumed: Assumed, resources: Iterable[str], readers: int, segments: int) -> Load:
    items, size = assumed.items or 0, assumed.item_bytes or 0.0
    units = {name: units_of(size) for name in resources}
    rcu = scan_rcu(items, size, choose_page_items(readers), segments)
    return Load(items=items, item_bytes=size, item_wcu=units, rcu=rcu)


async def _survey_list(session: Session, request: SurveyRequest, run: RunSettings) -> tuple[Load, int]:
    """The load of a run over the list, and the number of its segments.

    A list of keys is read to its end, as by a run: bad lines are reported, and a key that is listed twice counts once.
    The manifest of an export has the number of its items.
    """
    table, selection = request.table, request.selection
    spec = RunSpec(
        run_id=request.marker.run_id,
        table=table.name,
        table_id=table.table_id,
        keys=table.keys,
        selection=selection,
        marker=request.marker,
        total_segments=1,
        ttl_attribute=request.ttl_attribute,
    )
    context = ImportContext(session.services, lambda _event: None, StopRequest(), run.ignore)
    draw = random.Random()  # noqa: S311 - the sample is no secret
    if selection.kind == "export":
        items, drawn = await draw_from_export(spec, table, context, MOST_LOOKED_UP, draw)
    else:
        with TemporaryDirectory(prefix="refire-") as folder:
            path = Path(folder) / "list"
            await import_keys(spec, table, path, context)
            found = open_list(path)
            items, drawn = found.items, await to_thread.run_sync(draw_items, found, MOST_DRAWN, draw)
    return await survey_list(session.data, request, items, drawn), choose_list_segments(items)


def _rates(limits: Ceilings, among: int, max_rate: float | None = None) -> Rates:
    return Rates(limits.write, limits.read, max_rate, limits.bound_by, among)


async def _consumers(session: Session, table: Table, assumed: Assumed) -> tuple[int, ConsumerRate]:
    """The number of open shards, and the consumers as far as known. Estimated if a service does not answer."""
    shards = partitions(table)  # one for each partition
    batch, parallelization = 100, 1
    if table.stream.enabled and table.stream.arn is not None:
        try:
            known = await session.streams.shards(table.stream.arn)
            shards = sum(shard.is_open for shard in known) or shards
            mappings = [
                mapping
                for mapping in await ask_mappings(session.services, table.stream.arn)
                if mapping.enabled
            ]
            if mappings:
                batch = min(mapping.batch_size for mapping in mappings)
                parallelization = min(mapping.parallelization for mapping in mappings)
        except (UnansweredError, AwsError):
            pass  # not available: the plan states its assumptions
    return shards, ConsumerRate(_rate(assumed, shards, parallelization), batch)


def _rate(assumed: Assumed, shards: int, parallelization: int) -> float | None:
    if assumed.consumer_rate is not None:
        return assumed.consumer_rate
    if assumed.consumer_ms is not None:
        return shards * parallelization * 1_000.0 / assumed.consumer_ms
    return None
