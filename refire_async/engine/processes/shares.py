"""The leased shares of the processes of one run."""

from refire_async.pacing.governor import RateLimits
from refire_async.pacing.shares import Terms
from refire_async.pipeline import Context

TERMS = Terms(lease_s=5.0, beat_s=1.0)
"""For processes of one machine."""

TASK_TERMS = Terms(lease_s=10.0, beat_s=2.0)
"""For tasks, which may be on several machines. A lease ends before a task can be taken over."""


def name_of(number: int) -> str:
    """The name of a process as a member: its number, which no other process of the run has."""
    return str(number)


def consumed(context: Context, rate_limits: RateLimits) -> float | None:
    """The write units that a process has consumed, in seconds of the whole budget; None during a pause."""
    ceiling = rate_limits.scarcest_write
    return context.journal.totals.wcu / ceiling if ceiling else None
