"""Subscribers to the events of a delivery: counters for progress, log lines, and JSON lines for programs."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from refire_async.events import (
    AdviceBack,
    AdviceMissing,
    BatchDelivered,
    BatchFailed,
    DeliveryEnded,
    DeliveryStarted,
    InvocationRetried,
    InvocationThrottled,
    MappingSeen,
    MessageSettled,
    Noticed,
    Paused,
    RecordsLost,
    Recovered,
    Resumed,
    Stopping,
    Subscriber,
    Waiting,
)
from refire_async.model.units import utc_iso
from refire_async.output.json_events import JsonLines
from refire_async.output.log_throttle import LogThrottle
from refire_async.output.logs import Logger
from refire_async.output.sampled import ProgressLog
from refire_async.output.text import units, visible


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySnapshot:
    """How far a delivery is. `expected` is 0 if unknown; the rate is this attempt's since it began to deliver."""

    state: str
    settled: int
    expected: int
    failed: int
    records_per_second: float

    def describe(self) -> str:
        """What it is doing, in a few words."""
        rate = f", {units(self.records_per_second)} records/s" if self.settled else ""
        failed = f", {self.failed:,} failed" if self.failed else ""
        return visible(self.state) + rate + failed

    def to_json(self) -> dict[str, Any]:
        """The fields that a log line and a JSON event share."""
        return {
            "state": self.state,
            "settled": self.settled,
            "expected": self.expected or None,
            "failed": self.failed,
            "records_per_second": round(self.records_per_second, 1),
        }


class DeliveryStats(Subscriber):
    """What a delivery has done so far, for progress. `clock` is in seconds, monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.started: DeliveryStarted | None = None
        self._began_at = clock()
        self.settled = self.failed = 0
        self.state = "reading ahead"
        self.handlers = {
            DeliveryStarted: self._started,
            BatchDelivered: self._delivered,
            BatchFailed: self._failed,
            Paused: lambda event: self._set_state(f"paused: {event.why}"),
            Resumed: lambda _: self._set_state("delivering"),
            Waiting: lambda event: self._set_state(f"waiting: {event.reason}"),
            Recovered: lambda _: self._set_state("delivering"),
            Stopping: lambda _: self._set_state("stopping"),
        }

    @property
    def expected(self) -> int:
        """Records to deliver, 0 if unknown."""
        return 0 if self.started is None else self.started.expected or 0

    @property
    def share(self) -> float | None:
        """The settled share of the records to deliver, from 0 to 1; None if their number is unknown."""
        return min(self.settled / self.expected, 1.0) if self.expected else None

    def sample(self, now: float) -> DeliverySnapshot:
        """How far the delivery is; `now` in seconds, as the clock gives it."""
        before = 0 if self.started is None else self.started.counts.delivered + self.started.counts.failed
        seconds = now - self._began_at
        return DeliverySnapshot(
            state=self.state,
            settled=self.settled,
            expected=self.expected,
            failed=self.failed,
            records_per_second=(self.settled - before) / seconds if seconds > 0 else 0.0,
        )

    def _set_state(self, state: str) -> None:
        self.state = state

    def _started(self, event: DeliveryStarted) -> None:
        self.started, self._began_at = event, self._clock()
        self.settled, self.failed = event.counts.delivered + event.counts.failed, event.counts.failed
        self.state = "delivering"

    def _delivered(self, event: BatchDelivered) -> None:
        self.settled += event.records

    def _failed(self, event: BatchFailed) -> None:
        self.settled += event.records
        self.failed += event.records


class DeliveryLog(ProgressLog[DeliverySnapshot]):
    """Log lines of a delivery. Keys and records are never logged: they can be personal data."""

    def __init__(self, logger: Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._throttle = LogThrottle(clock, self._repeated)
        self.handlers = {
            DeliveryStarted: self._started,
            Noticed: lambda event: logger.warning(
                "finding",
                id=event.finding.id,
                message=visible(event.finding.message),
                action=visible(event.finding.action),
            ),
            BatchFailed: lambda event: self._throttle.add(
                "records.failed", event.records, f"{event.condition}: {visible(event.reason)}"
            ),
            InvocationRetried: lambda event: self._throttle.add(
                "invocation.retried", event.records, visible(event.reason)
            ),
            InvocationThrottled: lambda event: self._throttle.add(
                "invocation.throttled", 1, visible(event.reason)
            ),
            RecordsLost: self._lost,
            Paused: lambda event: logger.warning("delivery.paused", why=event.why),
            Resumed: lambda event: logger.info("delivery.unpaused", why=event.why),
            Waiting: self._waiting,
            Recovered: lambda event: logger.info("service.recovered", after_s=round(event.after_s, 1)),
            Stopping: lambda event: logger.info("delivery.stopping", reason=event.reason),
            AdviceMissing: lambda event: logger.warning(
                "advice.missing", topic=event.topic, why=visible(event.why), hint=event.instead
            ),
            AdviceBack: lambda event: logger.info("advice.back", topic=event.topic),
            MappingSeen: self._mapping,
            DeliveryEnded: self._ended,
        }

    def progress(self, now: DeliverySnapshot) -> None:
        """Log how far the delivery is; call it about every 10 s."""
        self._logger.info("delivery.progress", **now.to_json())

    def snapshot(self, now: DeliverySnapshot) -> None:
        """Log how far the delivery is (on SIGUSR1)."""
        self._logger.info("delivery.snapshot", **now.to_json())

    def flush(self) -> None:
        """Log pending counts."""
        self._throttle.flush()

    def _repeated(self, name: str, items: int, fields: dict[str, Any]) -> None:
        self._logger.warning(name, records=items, **fields)

    def _started(self, event: DeliveryStarted) -> None:
        self._logger.info(
            "delivery.resumed" if event.resumed else "delivery.started",
            run_id=event.run_id,
            source=visible(event.source),
            function=visible(event.function),
            expected=event.expected,
            checkpoint=event.checkpoint,
        )

    def _mapping(self, event: MappingSeen) -> None:
        say = self._logger.warning if event.result.startswith("PROBLEM") else self._logger.info
        say("mapping.state", uuid=event.uuid, state=event.state, result=visible(event.result))

    def _lost(self, event: RecordsLost) -> None:
        self._logger.warning(
            "records.lost", shard=visible(event.shard), before=utc_iso(event.before), why=visible(event.why)
        )

    def _waiting(self, event: Waiting) -> None:
        if self._throttle.due("wait"):
            self._logger.warning(
                "service.waiting", reason=visible(event.reason), since_s=round(event.since_s, 1)
            )

    def _ended(self, event: DeliveryEnded) -> None:
        self.flush()
        summary = event.summary
        self._logger.info("delivery.ended", **summary.to_json())


class DeliveryJson(JsonLines[DeliverySnapshot]):
    """The events of a delivery as JSON Lines (docs/scripting.md)."""

    counted = "records"

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(write, clock, wall)
        self._messages = self._deleted = 0
        self.handlers |= {
            DeliveryStarted: self._started,
            BatchFailed: lambda event: self._throttle.add("records-failed", event.records, event.condition),
            InvocationRetried: lambda event: self._throttle.add("retry", event.records, event.reason),
            InvocationThrottled: lambda event: self._throttle.add("throttle", 1, event.reason),
            RecordsLost: lambda event: self._event(
                "records-lost", shard=event.shard, before=utc_iso(event.before), why=event.why
            ),
            MessageSettled: self._message,
            MappingSeen: lambda event: self._event("mapping", **asdict(event)),
            DeliveryEnded: lambda _: self.flush(),
        }

    def progress(self, now: DeliverySnapshot) -> None:
        """Write how far the delivery is; call it about every 10 s."""
        self._event("progress", **now.to_json(), messages=self._messages, messages_deleted=self._deleted)

    def plan(self, run_id: str, plan: Mapping[str, Any]) -> None:
        """Write the forecast of a dry run."""
        self._run_id = run_id
        self._event("plan", **plan)

    def _started(self, event: DeliveryStarted) -> None:
        self._run_id = event.run_id
        self._event(
            "start",
            source=event.source,
            function=event.function,
            resumed=event.resumed,
            expected=event.expected,
            checkpoint=event.checkpoint,
            settled_before=event.counts.delivered + event.counts.failed,
        )

    def _message(self, event: MessageSettled) -> None:
        self._messages += 1
        self._deleted += event.deleted
