"""What a run does to the consumers of the stream: their backlog, and how old its oldest record gets. Pure."""

from dataclasses import dataclass

from refire_async.model.units import STREAM_RETENTION_S

SAFE_AGE_S = STREAM_RETENTION_S / 4
"""An age at which there is still time to do something about a consumer that stands still."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """A run of `seconds` that emits `records` evenly, before consumers that take `consumer_rate` records a second."""

    records: int
    seconds: float
    consumer_rate: float

    @property
    def emitted_rate(self) -> float:
        """Records per second while the run is on."""
        return self.records / self.seconds if self.seconds > 0 else 0.0

    def at(self, moment: float) -> float:
        """Records that wait `moment` seconds after the start."""
        emitted = min(self.records, self.emitted_rate * moment) if self.seconds > 0 else float(self.records)
        return max(0.0, emitted - self.consumer_rate * moment)

    @property
    def largest(self) -> float:
        """Most records that wait: at the run's end."""
        return self.at(self.seconds)

    @property
    def oldest_s(self) -> float:
        """The greatest age of a record when it is read: that of the last one."""
        return self.largest / self.consumer_rate

    @property
    def drained_s(self) -> float:
        """Seconds from the start until all is read."""
        return max(self.seconds, self.records / self.consumer_rate)

    @property
    def loses_records(self) -> bool:
        """Whether records would be trimmed unread."""
        return self.oldest_s >= STREAM_RETENTION_S

    def safe_rate(self) -> float | None:
        """Items per second that keep the age below `SAFE_AGE_S`; None if the run does as it is."""
        if self.oldest_s <= SAFE_AGE_S:
            return None
        # The last record waits records/consumer_rate - records/rate.
        return self.records / (self.records / self.consumer_rate - SAFE_AGE_S)
