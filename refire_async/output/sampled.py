"""What a run and a delivery have in common for those who show how far they are."""

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from refire_async.events import Subscriber

T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class Sampled(Protocol[T_co]):
    """Something that is in progress."""

    def sample(self, now: float) -> T_co:
        """How far it is; `now` in seconds, monotonic."""
        ...


class ProgressSink(Subscriber, ABC, Generic[T_contra]):
    """A subscriber that also takes samples of the progress: a log, or JSON lines."""

    @abstractmethod
    def progress(self, now: T_contra) -> None:
        """Write how far it is; called about every 10 s."""

    @abstractmethod
    def flush(self) -> None:
        """Write pending counts."""


class ProgressLog(ProgressSink[T_contra]):
    """A log, which also takes a sample on request (SIGUSR1)."""

    @abstractmethod
    def snapshot(self, now: T_contra) -> None:
        """Log how far it is, in full."""
