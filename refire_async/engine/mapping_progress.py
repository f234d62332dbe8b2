"""Watches a temporary event source mapping: its state and result, and CloudWatch's metrics of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from refire_async.aws.cloudwatch import get_metric_data, metric_query
from refire_async.aws.event_source_mappings import Mapping
from refire_async.aws.other_services import Services, UnansweredError
from refire_async.aws.temporary_mapping import MappingPlane
from refire_async.delivery.mapping_watch import Figures, Verdict, Watch
from refire_async.errors import StoppedError
from refire_async.events import (
    AdviceBack,
    AdviceMissing,
    BatchDelivered,
    BatchFailed,
    Emit,
    MappingSeen,
    Stopping,
)
from refire_async.model.stop import StopRequest

POLL_S = 15.0
METRICS_TIMEOUT_S = 10.0

_METRICS = {
    "polled": "PolledEventCount",
    "filtered": "FilteredOutEventCount",
    "invoked": "InvokedEventCount",
    "failed_invokes": "FailedInvokeEventCount",
    "dropped": "DroppedEventCount",
    "to_destination": "OnFailureDestinationDeliveredEventCount",
}
"""By member of `Figures`, in namespace AWS/Lambda with dimension EventSourceMappingUUID."""

_TOPIC = "event source mapping metrics"


@dataclass(slots=True, kw_only=True)
class Progress:
    """Follows the mapping `uuid`, which was made after `since` (seconds since the epoch; `now` likewise).

    `delivered` and `failed` records have been emitted, by this attempt or an earlier one.
    """

    services: Services
    plane: MappingPlane
    uuid: str
    since: float
    now: Callable[[], float]
    emit: Emit
    delivered: int = 0
    failed: int = 0
    _seen: tuple[str, str] | None = None
    _missing: bool = False

    async def follow(
        self, watch: Watch, stop: StopRequest, count: Callable[[Watch], Awaitable[None]]
    ) -> Verdict | None:
        """Poll until the mapping is through (then how that is known), or a stop is requested (None).

        `count` is called after each poll.

        Raises:
            StoppedError: the mapping is gone, cannot be looked at, or makes no progress.
            RefusedError: it may not be looked at.
        """
        stopped = anyio.Event()
        stop.subscribe(stopped.set)
        while stop.reason is None:
            mapping = await self._look()
            figures = await self._figures()
            verdict = watch.see(
                anyio.current_time(), state=mapping.state, result=mapping.last_result or "", figures=figures
            )
            await count(watch)
            self._tell(watch)
            if verdict == "stuck":
                raise StoppedError(*_stuck(mapping, watch))
            if verdict is not None:
                return verdict
            with anyio.move_on_after(POLL_S):
                await stopped.wait()
        self.emit(Stopping(stop.reason))
        return None

    async def _look(self) -> Mapping:
        mapping = await self.plane.ask(self.uuid)
        if mapping is None:
            raise StoppedError(
                f"event source mapping {self.uuid} was deleted by another hand",
                "'refire resume' makes a new one and delivers everything again",
            )
        seen = (mapping.state, mapping.last_result or "")
        if seen != self._seen:
            self._seen = seen
            self.emit(MappingSeen(self.uuid, *seen))
        return mapping

    async def _figures(self) -> Figures | None:
        """Sums since the mapping was made; None where CloudWatch does not answer."""
        dimension = {"EventSourceMappingUUID": self.uuid}
        queries = [
            metric_query(name, "AWS/Lambda", metric, dimension, "Sum") for name, metric in _METRICS.items()
        ]
        try:
            series = await get_metric_data(
                self.services, queries, since=self.since, until=self.now(), timeout_s=METRICS_TIMEOUT_S
            )
        except UnansweredError as error:
            if not self._missing:
                self._missing = True
                instead = "the end is recognized by the mapping's last result, some minutes later"
                self.emit(AdviceMissing(_TOPIC, str(error), instead))
            return None
        if self._missing:
            self._missing = False
            self.emit(AdviceBack(_TOPIC))
        return Figures(**{name: round(sum(values.values())) for name, values in series.items()})

    def _tell(self, watch: Watch) -> None:
        """Emit what has been settled since the last poll."""
        delivered, failed = watch.delivered - self.delivered, watch.failed - self.failed
        if delivered > 0:
            self.delivered += delivered
            self.emit(BatchDelivered(self.uuid, 0, delivered, 0.0))
        if failed > 0:
            self.failed += failed
            self.emit(BatchFailed(self.uuid, 0, failed, "GivenUpByLambda", "retries or age exceeded"))


def _stuck(mapping: Mapping, watch: Watch) -> tuple[str, str]:
    """(message, action) of a mapping without progress."""
    seen = f"state {mapping.state}, last result {mapping.last_result or 'none'}"
    known = "unknown" if watch.figures is None else f"{watch.delivered + watch.failed:,}"
    return (
        f"event source mapping {mapping.uuid} makes no progress ({seen}; settled: {known} of {watch.expected:,})",
        "find the cause in the function's log, then run 'refire resume', which delivers everything again",
    )
