"""Moments as checkpoints keep them."""

from datetime import datetime


def seconds_of(moment: str) -> float:
    """ISO 8601 text as seconds since the epoch."""
    return datetime.fromisoformat(moment).timestamp()
