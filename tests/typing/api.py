"""Uses of the public API as a type checker must see them. mypy reads this file; nothing runs it."""

from pathlib import Path
from typing import assert_type

import refire_async
from refire_async import (
    Assumed,
    Budget,
    Connection,
    Counts,
    DeliveryCounts,
    DeliveryResult,
    DeliverySettings,
    Event,
    ExitCode,
    Finding,
    PacingSettings,
    Plan,
    PlanSettings,
    Proof,
    RedriveSettings,
    RefireError,
    ReplaySettings,
    Result,
    ResumeSettings,
    RunSettings,
    SelectionSettings,
    StopRequest,
    Summary,
    Tuning,
    VerifySettings,
    check,
    plan,
    redrive,
    replay,
    resume,
    run,
    verify,
)

settings = RunSettings(
    table="orders",
    connection=Connection(region="eu-west-1", profile="production", endpoint_url=None),
    selection=SelectionSettings(key_values=("customer-7",)),
    budget=Budget(wcu_percent=50.0, max_rate=500.0),
    pacing=PacingSettings(max_iterator_age_s=300.0),
    tuning=Tuning(processes=2),
    checkpoint=Path("orders.refire"),
)


def show(event: Event) -> None:
    """A subscriber to all events."""
    assert_type(event, Event)


async def use() -> None:
    """Every function, with and without what is optional."""
    stop = StopRequest()
    result = await run(settings)
    assert_type(result, Result)
    assert_type(await run(settings, emit=show, stop=stop), Result)
    assert_type(await resume(ResumeSettings(checkpoint=Path("orders.refire")), emit=show, stop=stop), Result)
    assert_type(result.summary, Summary)
    assert_type(result.summary.counts, Counts)
    assert_type(result.exit_code, ExitCode)
    assert_type(await check(settings), list[Finding])
    assert_type(await plan(PlanSettings(run=settings, assumed=Assumed(consumer_rate=500.0))), Plan)
    assert_type(await verify(VerifySettings(checkpoint=Path("orders.refire"))), Proof)
    delivery = DeliverySettings(function="billing:live", assume_yes=True)
    delivered = await replay(
        ReplaySettings(table="orders", delivery=delivery, since=0.0), emit=show, stop=stop
    )
    assert_type(delivered, DeliveryResult)
    assert_type(delivered.summary.counts, DeliveryCounts)
    assert_type(await redrive(RedriveSettings(source="failed.jsonl", delivery=delivery)), DeliveryResult)
    assert_type(refire_async.__version__, str)
    try:
        await run(settings)
    except RefireError as error:
        assert_type(error.message, str)
        assert_type(error.action, str)

    await run(settings, show)  # type: ignore[call-arg]  # emit is given by name
    await run(settings, emit=show, stop=None)
    RunSettings(table="orders", wcu=5)  # type: ignore[call-arg]  # no such setting
