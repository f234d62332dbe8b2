"""The effect of a run on the consumers of the stream: their backlog, and the age of its oldest record. Pure."""

from dataclasses import dataclass

from refire_async.model.units import STREAM_RETENTION_S

SAFE_AGE_S = STREAM_RETENTION_S / 4
"""Age of the oldest record at which there is still time to fix a consumer that has stopped."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """A run of `seconds` that emits `records` evenly; consumers process `consumer_rate` records/s."""

    records: int
    seconds: float
    consumer_rate: float

    @property
    def emitted_rate(self) -> float:
        """Records per second during the run."""
        return self.records / self.seconds if self.seconds > 0 else 0.0

    def at(self, moment: float) -> float:
        """Waiting records `moment` seconds after the start."""
        emitted = min(self.records, self.emitted_rate * moment) if self.seconds > 0 else float(self.records)
        return max(0.0, emitted - self.consumer_rate * moment)

    @property
    def largest(self) -> float:
        """The largest number of waiting records, which is that at the run's end."""
        return self.at(self.seconds)

    @property
    def oldest_s(self) -> float:
        """The largest age in seconds of a record when it is read, which is that of the last one."""
        return self.largest / self.consumer_rate

    @property
    def drained_s(self) -> float:
        """Seconds from the start until all records are read."""
        return max(self.seconds, self.records / self.consumer_rate)

    @property
    def loses_records(self) -> bool:
        """Whether records would expire before they are read."""
        return self.oldest_s >= STREAM_RETENTION_S

    def safe_rate(self) -> float | None:
        """Items per second that keep the age below `SAFE_AGE_S`; None if no limit is necessary."""
        if self.oldest_s <= SAFE_AGE_S:
            return None
        # The last record waits records/consumer_rate - records/rate.
        return self.records / (self.records / self.consumer_rate - SAFE_AGE_S)
