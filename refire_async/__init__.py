"""Make Amazon DynamoDB Streams fire again for items that are already in a table.

This is the public Python API (docs/python.md). Names are imported when they are first used, so that `refire --help`
stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refire_async.engine.redrive import redrive
    from refire_async.engine.replay import replay
    from refire_async.engine.run import check, resume, run
    from refire_async.errors import (
        CheckpointRefusedError,
        ExitCode,
        RefireError,
        RefusedError,
        StoppedError,
        UsageError,
    )
    from refire_async.events import Emit, Event
    from refire_async.model.address import TableAddress
    from refire_async.model.counts import Counts
    from refire_async.model.delivery import (
        DeliveryCounts,
        DeliveryOutlook,
        DeliveryResult,
        DeliverySummary,
    )
    from refire_async.model.finding import Finding
    from refire_async.model.proof import Proof
    from refire_async.model.run import DryRun, Result, Summary
    from refire_async.model.stop import StopRequest
    from refire_async.planning.forecast.plan import Plan
    from refire_async.planning.planner import plan
    from refire_async.settings import (
        Assumed,
        Budget,
        Connection,
        DeliverySettings,
        FleetSettings,
        PacingSettings,
        PlanSettings,
        RedriveSettings,
        ReplaySettings,
        ResumeSettings,
        RunSettings,
        SelectionSettings,
        Tuning,
        VerifySettings,
    )
    from refire_async.verification.verify import verify

__version__ = "0.1.0"

__all__ = [
    "Assumed",
    "Budget",
    "CheckpointRefusedError",
    "Connection",
    "Counts",
    "DeliveryCounts",
    "DeliveryOutlook",
    "DeliveryResult",
    "DeliverySettings",
    "DeliverySummary",
    "DryRun",
    "Emit",
    "Event",
    "ExitCode",
    "Finding",
    "FleetSettings",
    "PacingSettings",
    "Plan",
    "PlanSettings",
    "Proof",
    "RedriveSettings",
    "RefireError",
    "RefusedError",
    "ReplaySettings",
    "Result",
    "ResumeSettings",
    "RunSettings",
    "SelectionSettings",
    "StopRequest",
    "StoppedError",
    "Summary",
    "TableAddress",
    "Tuning",
    "UsageError",
    "VerifySettings",
    "check",
    "plan",
    "redrive",
    "replay",
    "resume",
    "run",
    "verify",
]

_HOMES = {
    "engine.redrive": ("redrive",),
    "engine.replay": ("replay",),
    "engine.run": ("check", "resume", "run"),
    "errors": (
        "CheckpointRefusedError",
        "ExitCode",
        "RefireError",
        "RefusedError",
        "StoppedError",
        "UsageError",
    ),
    "events": ("Emit", "Event"),
    "model.address": ("TableAddress",),
    "model.counts": ("Counts",),
    "model.delivery": ("DeliveryCounts", "DeliveryOutlook", "DeliveryResult", "DeliverySummary"),
    "model.finding": ("Finding",),
    "model.proof": ("Proof",),
    "model.run": ("DryRun", "Result", "Summary"),
    "model.stop": ("StopRequest",),
    "planning.forecast.plan": ("Plan",),
    "planning.planner": ("plan",),
    "settings": (
        *("Assumed", "Budget", "Connection", "DeliverySettings", "PacingSettings", "PlanSettings"),
        *("FleetSettings", "RedriveSettings", "ReplaySettings"),
        *("ResumeSettings", "RunSettings", "SelectionSettings", "Tuning", "VerifySettings"),
    ),
    "verification.verify": ("verify",),
}
"""Module → its public names."""


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
