"""What an attempt begins with: the spec of its run, checked against the table, and the attempt itself."""

from dataclasses import replace
from typing import NamedTuple

import anyio

from refire_async.aws.session import Session, describe
from refire_async.checkpoint.identity import check_table
from refire_async.engine.attempt import Attempt
from refire_async.engine.questions import Confirm
from refire_async.errors import RefusedError, UsageError
from refire_async.events import Emit, Noticed
from refire_async.model.finding import Finding
from refire_async.model.marker import DEFAULT_ATTRIBUTE, Marker
from refire_async.model.other_run import OtherRuns
from refire_async.model.run import RunSpec, new_run_id
from refire_async.model.table import Table
from refire_async.pacing.capacity import Ceilings
from refire_async.pacing.timetable import Timetable
from refire_async.pacing.watchers.assemble import read_timetable
from refire_async.pacing.watchers.function_history import with_history
from refire_async.pacing.watchers.functions import Function, find_functions
from refire_async.pipeline.sizing import total_segments
from refire_async.preflight.check import before_run, checked_resume, checked_run
from refire_async.preflight.findings import NEED_CONFIRMATION, OTHER_RUN_WORKING
from refire_async.preflight.marker import check_marker
from refire_async.preflight.rules import refuse
from refire_async.settings import Connection, PacingSettings, ResumeSettings, RunSettings
from refire_async.sources.resolving import select


class Start(NamedTuple):
    """When an attempt began, by the event loop's clock (s), and the timetable of its rates."""

    begun_at: float
    timetable: Timetable | None

    @classmethod
    def now(cls, pacing: PacingSettings) -> "Start":
        """Raises UsageError for a timetable that is none."""
        return cls(anyio.current_time(), read_timetable(pacing))


async def specify(
    session: Session, settings: RunSettings, emit: Emit, confirm: Confirm | None
) -> tuple[RunSpec, Table, Ceilings]:
    """Specify the run and check it against the table. Asks if there is another unfinished run of the table."""
    table = await describe(session, settings.table)
    attribute = settings.marker_attribute or DEFAULT_ATTRIBUTE[settings.marker]
    ttl_attribute = await session.control.ttl_attribute(table.name)
    check_marker(table, attribute, ttl_attribute)
    selection = select(table, settings.selection)
    checked = checked_run(session, settings, table, selection, ttl_attribute)
    found = await before_run(session, checked)
    report(found, settings.ignore, emit)
    await confirm_other_runs(
        found, settings.ignore, assume_yes=settings.assume_yes or settings.dry_run, confirm=confirm
    )
    run_id = settings.run_id or new_run_id()
    spec = RunSpec(
        run_id=run_id,
        table=table.name,
        table_id=table.table_id,
        keys=table.keys,
        selection=selection,
        marker=Marker(settings.marker, attribute, run_id),
        total_segments=total_segments(
            selection, table, checked.limits.scarcest_write, settings.tuning.segments
        ),
        ttl_attribute=None if selection.include_expired else ttl_attribute,
    )
    return spec, table, checked.limits


async def begin_again(
    session: Session,
    settings: ResumeSettings,
    start: Start,
    spec: RunSpec,
    *,
    connection: Connection,
    emit: Emit,
    confirm: Confirm | None,
) -> Attempt:
    """Check a run that is resumed against its table, and make its attempt. Asks if another run of the table works."""
    table = await describe(session, spec.table)
    check_table(settings.checkpoint, spec, table)
    ttl_attribute = await session.control.ttl_attribute(table.name)
    check_marker(table, spec.marker.attribute, ttl_attribute)
    checked = checked_resume(session, settings, spec, table)
    found = await before_run(session, checked)
    report(found, settings.ignore, emit)
    working = [one for one in found if one.id == OTHER_RUN_WORKING.id]
    await confirm_other_runs(working, settings.ignore, assume_yes=settings.assume_yes, confirm=confirm)
    attempt = await begin(
        session, settings, start, spec, table=table, ceilings=checked.limits, connection=connection
    )
    return replace(attempt, resumed=True)


async def begin(
    session: Session,
    settings: RunSettings | ResumeSettings,
    start: Start,
    spec: RunSpec,
    *,
    table: Table,
    ceilings: Ceilings,
    connection: Connection,
    dry: bool = False,
) -> Attempt:
    """The attempt of a run, new or resumed, that these settings ask for."""
    return Attempt(
        spec=spec,
        table=table,
        ceilings=ceilings,
        begun_at=start.begun_at,
        connection=connection,
        budget=settings.budget,
        timetable=start.timetable,
        pacing=settings.pacing,
        tuning=settings.tuning,
        max_items=settings.max_items,
        dry=dry,
        functions=await _functions_to_monitor(session, settings.pacing, table, dry=dry),
        verify=settings.verify,
    )


def report(found: list[Finding], ignored: frozenset[str], emit: Emit) -> None:
    """Emit findings that are warnings or ignored. Raises RefusedError for a finding that prevents the run."""
    for finding in found:
        if finding.level == "warn" or finding.id in ignored:
            emit(Noticed(finding))
    refuse(found, ignored)


async def confirm_other_runs(
    found: list[Finding], ignored: frozenset[str], *, assume_yes: bool, confirm: Confirm | None
) -> None:
    """Ask whether to run at the same time as other runs of the table, if there are any.

    Raises:
        UsageError: there is no way to ask.
        RefusedError: the answer is no.
    """
    others = tuple(one for one in found if one.id in NEED_CONFIRMATION and one.id not in ignored)
    if not others or assume_yes:
        return
    if confirm is None:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        raise UsageError(
            f"{others[0].message}{more}, and there is no terminal for confirmation",
            f"{others[0].action}, or run both with --yes or --ignore {others[0].id}",
        )
    if not await confirm(OtherRuns(others)):
        raise RefusedError("the run was not confirmed", "nothing was written")


async def _functions_to_monitor(
    session: Session, pacing: PacingSettings, table: Table, *, dry: bool
) -> tuple[Function, ...]:
    """The consumers that the user wants to monitor. Raises RefusedError."""
    if dry or not pacing.watches_consumers:
        return ()
    now = session.clock.now()
    found = await find_functions(session.services, table, now)
    if pacing.max_iterator_age_s is None:
        return found
    if pacing.consumer_rate is not None:
        return tuple(replace(one, min_rate=pacing.consumer_rate, live_share=0.0) for one in found)
    return await with_history(found, session.services, session.streams, table, now)
