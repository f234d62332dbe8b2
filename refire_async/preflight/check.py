"""Collect facts and apply the rules: for `refire check`, and before the first write of `run` and `resume`."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from anyio import to_thread

from refire_async.aws.errors import AwsError
from refire_async.aws.other_services import TIMEOUT_S
from refire_async.aws.session import Session, describe
from refire_async.checkpoint import catalog
from refire_async.checkpoint.catalog import unfinished_runs
from refire_async.errors import UsageError
from refire_async.model.finding import Finding
from refire_async.model.marker import DEFAULT_ATTRIBUTE
from refire_async.model.run import RunSpec
from refire_async.model.selection import Selection
from refire_async.model.table import Table
from refire_async.pacing.capacity import ceilings
from refire_async.preflight.collect import collect
from refire_async.preflight.facts import CheckedRun, Denied, Depth, Facts
from refire_async.preflight.rules import apply_rules
from refire_async.settings import ResumeSettings, RunSettings
from refire_async.sources.resolving import select

START_S = 0.5
"""Seconds for the sample before a run: enough for all of it unless the read budget is small."""


async def check(session: Session, settings: RunSettings, *, try_writing: bool = True) -> list[Finding]:
    """All findings that need no write, with the permission to write unless `try_writing` is false.

    Raises:
        UsageError: the selection does not fit the table.
        RefusedError, AwsError: the table cannot be described.
    """
    table = await describe(session, settings.table)
    selection = select(table, settings.selection)
    denied: tuple[Denied, ...] = ()
    ttl_attribute = None
    try:
        ttl_attribute = await session.control.ttl_attribute(table.name)
    except AwsError as error:
        if error.name != "AccessDenied":
            raise
        denied = (Denied(error.message, error.action),)
    run = checked_run(session, settings, table, selection, ttl_attribute)
    facts = await _collect_facts(
        session,
        run,
        Depth(sample_s=TIMEOUT_S, whole_items=True, write_as=settings.tuning.writer if try_writing else None),
    )
    return apply_rules(replace(facts, denied=(*denied, *facts.denied)))


async def before_run(session: Session, run: CheckedRun) -> list[Finding]:
    """The findings before the first write of a run, which itself shows whether writing is permitted.

    A run that reads a list or an index may have no permission to scan the table, so then there is no sample. Its first
    page shows whether reading is permitted.
    """
    reads_table = not run.selection.listed and run.selection.index is None
    return apply_rules(await _collect_facts(session, run, Depth(sample_s=START_S if reads_table else None)))


async def _collect_facts(session: Session, run: CheckedRun, depth: Depth) -> Facts:
    """Facts from the services, and from the checkpoints in the state folder and in the folder of the run's own."""
    own, folders = run.checkpoint, set()
    with suppress(
        UsageError
    ):  # without a home folder there is no state folder, and the checkpoint is elsewhere
        folders.add(catalog.runs_folder())
        if own is None and run.run_id is not None:
            own = catalog.runs_folder() / f"{run.run_id}{catalog.SUFFIX}"
    if own is not None:
        folders.add(own.parent)
    others = await to_thread.run_sync(unfinished_runs, run.table, folders, own)
    return replace(await collect(session, run, depth), others=tuple(others))


def checked_resume(session: Session, settings: ResumeSettings, spec: RunSpec, table: Table) -> CheckedRun:
    """The resumed run, for `before_run`."""
    limits = ceilings(table, spec.marker.attribute, settings.budget, spec.selection.index)
    return CheckedRun(
        table=table,
        region=session.region,
        selection=spec.selection,
        marker_kind=spec.marker.kind,
        marker_attribute=spec.marker.attribute,
        limits=limits,
        max_rate=settings.budget.max_rate,
        max_items=settings.max_items,
        ttl_attribute=spec.ttl_attribute,
        run_id=spec.run_id,
        checkpoint=settings.checkpoint if isinstance(settings.checkpoint, Path) else None,
    )


def checked_run(
    session: Session, settings: RunSettings, table: Table, selection: Selection, ttl_attribute: str | None
) -> CheckedRun:
    """The run with these settings."""
    attribute = settings.marker_attribute or DEFAULT_ATTRIBUTE[settings.marker]
    return CheckedRun(
        table=table,
        region=session.region,
        selection=selection,
        marker_kind=settings.marker,
        marker_attribute=attribute,
        limits=ceilings(table, attribute, settings.budget, selection.index),
        max_rate=settings.budget.max_rate,
        max_items=settings.max_items,
        ttl_attribute=ttl_attribute,
        expected_stream=settings.stream_arn,
        run_id=settings.run_id,
        checkpoint=settings.checkpoint if isinstance(settings.checkpoint, Path) else None,
        where_words=settings.selection.where_words,
    )
