"""The questions that a run asks its caller before it continues."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from refire_async.model.canary import Canary
from refire_async.model.delivery import DeliveryOutlook
from refire_async.model.other_run import OtherRuns
from refire_async.planning.forecast.outlook import Outlook


@dataclass(frozen=True, slots=True)
class AfterCanary:
    """The question whether to continue after `canary` with what `remaining` describes."""

    canary: Canary
    remaining: Outlook


Question: TypeAlias = AfterCanary | OtherRuns | Outlook | DeliveryOutlook
"""Continue after a canary? Run at the same time as these other runs? Begin what this outlook describes?"""

Confirm: TypeAlias = Callable[[Question], Awaitable[bool]]
"""Answers a question: True to continue."""
