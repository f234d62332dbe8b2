"""Verifies an attempt while it runs, and runs a canary before it.

The attempt is passed in as a function, so this module does not depend on how a run works.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import anyio
from anyio import to_thread

from refire_async.aws.session import Session
from refire_async.checkpoint.reading import peek
from refire_async.engine.canary_consumers import wait_for_consumers
from refire_async.engine.questions import AfterCanary, Confirm
from refire_async.errors import ExitCode, RefireError
from refire_async.events import CanaryFlown, Emit, Event, RunEnded, Stopping, VerifyStarted
from refire_async.model.canary import Canary
from refire_async.model.counts import Counts
from refire_async.model.run import Result
from refire_async.model.stop import StopRequest
from refire_async.model.table import Table
from refire_async.planning.forecast.outlook import Outlook
from refire_async.verification.verifier import verify_checkpoint
from refire_async.verification.verify import other_runs, stream_of

RunAttempt: TypeAlias = Callable[[], Awaitable[Result]]


async def with_verification(
    attempt: RunAttempt, checkpoint: Path, session: Session, table: Table, *, emit: Emit, stop: StopRequest
) -> Result:
    """Run an attempt, read its stream meanwhile, and return the result with the verification.

    An attempt that the user stopped is not verified. An error of the verification does not affect the run.

    Raises:
        RefireError: as `attempt`; or the verification cannot begin, so the attempt did not begin either.
    """
    results: list[Result] = []
    refusals: list[RefireError] = []
    verifying = anyio.CancelScope()

    async def work() -> None:
        try:
            result = await attempt()
        except RefireError as error:
            refusals.append(error)
            verifying.cancel()
            return
        results.append(result)
        if stop.reason not in (None, "limit"):
            verifying.cancel()
            return
        if stop.reason is None:
            stop.subscribe(verifying.cancel)
        emit(VerifyStarted(result.summary.run_id))

    proof, why = None, "the verification was interrupted"
    with verifying:
        try:
            proof = await verify_checkpoint(
                checkpoint,
                session.streams,
                expected=table.item_count,
                current=stream_of(table),
                others=await to_thread.run_sync(_others, checkpoint),
                work=work,
                clock=session.clock.now,
            )
        except RefireError as error:
            why = str(error)
            if not results and not refusals:
                if stream_of(table) is not None:
                    raise  # the first write has not been sent yet
                await work()
    if refusals:
        raise refusals[0]
    (result,) = results
    if proof is None:
        ran = result.exit_code in (ExitCode.COMPLETE, ExitCode.SOME_FAILED)
        return replace(result, unproven=why, exit_code=ExitCode.UNPROVEN if ran else result.exit_code)
    code = result.exit_code if proof.counts.clean else proof.exit_code
    return replace(result, proof=proof, exit_code=code)


async def run_canary(
    attempt: Callable[[Emit, StopRequest], Awaitable[Result]],
    checkpoint: Path,
    session: Session,
    table: Table,
    *,
    remaining: Callable[[Counts], Awaitable[Outlook]],
    assume_yes: bool,
    confirm: Confirm | None,
    emit: Emit,
    stop: StopRequest,
) -> Result | None:
    """Run and verify the first items of a run. Returns None if the run continues, else the result of the stopped run.

    `remaining` estimates what is left of the run after items with these outcomes.
    With `assume_yes` a clean canary needs no confirmation. Without `confirm` the run stops after the canary.
    """
    inner = StopRequest()
    stop.subscribe(lambda: inner.request(stop.reason or "terminated", stop.error))

    def relay(event: Event) -> None:
        if not isinstance(event, RunEnded | Stopping):
            emit(event)

    result = await with_verification(
        lambda: attempt(relay, inner), checkpoint, session, table, emit=emit, stop=inner
    )
    if inner.reason != "limit":
        emit(RunEnded(result.summary))
        return result
    since = (await to_thread.run_sync(peek, checkpoint)).created_s
    canary, go = None, False
    with anyio.CancelScope() as deciding:
        stop.subscribe(deciding.cancel)
        consumers = await wait_for_consumers(
            session.services, table.stream.arn or "", since, now=session.clock.now
        )
        counts = result.summary.counts
        canary = Canary(counts.touched, result.proof, result.unproven, consumers, counts.failed)
        emit(CanaryFlown(canary))
        go = assume_yes and canary.clean
        if not go and confirm is not None:
            go = await confirm(AfterCanary(canary, await remaining(counts)))
    if go and stop.reason is None:
        return None
    emit(RunEnded(result.summary))
    if stop.reason is not None:
        reason = "stopped after the canary"
    elif canary is not None and canary.clean:
        reason = "the canary passed but the run was not confirmed; use --yes"
    else:
        reason = "the canary is not clean"
    code = ExitCode.INTERRUPTED if stop.reason == "interrupted" else ExitCode.STOPPED
    if result.proof is not None and not result.proof.counts.clean:
        code = ExitCode.UNPROVEN
    return replace(result, reason=reason, exit_code=code)


def _others(checkpoint: Path) -> list[Path]:
    return other_runs(checkpoint, peek(checkpoint))
