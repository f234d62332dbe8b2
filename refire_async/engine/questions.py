"""The questions that a run asks its caller before it continues."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from refire_async.model.canary import Canary
from refire_async.model.other_run import OtherRuns
from refire_async.planning.forecast.outlook import Outlook

Question: TypeAlias = Canary | OtherRuns | Outlook
"""Continue after this canary? Run at the same time as these other runs? Begin what this outlook describes?"""

Confirm: TypeAlias = Callable[[Question], Awaitable[bool]]
"""Answers a question: True to continue."""
