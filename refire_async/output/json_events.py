"""Events of a run as JSON Lines for other programs. Types and fields are documented API (docs/scripting.md).

Key values can be personal data, so no event contains any: the summary names the file with the keys of failed items.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

import orjson

from refire_async.events import (
    BudgetChanged,
    CanaryFlown,
    CheckpointSaved,
    ConsumerSeen,
    ItemFailed,
    Noticed,
    Paused,
    Recovered,
    Resumed,
    Retried,
    RunEnded,
    RunStarted,
    Stopping,
    Throttled,
    Waiting,
)
from refire_async.model.proof import Proof
from refire_async.model.units import utc_iso
from refire_async.output.log_throttle import LogThrottle
from refire_async.output.sampled import ProgressSink
from refire_async.output.snapshot import Snapshot, consumer_fields

T = TypeVar("T")


class JsonLines(ProgressSink[T]):
    """Passes each event that programs can act on to `write`, as a line without a line end: what all commands share.

    `clock` (seconds, monotonic) limits repeated lines; `wall` (Unix seconds) stamps them.
    """

    counted = "items"
    """The field with the number of items that a line is about."""

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._write = write
        self._wall = wall
        self._throttle = LogThrottle(clock, self._write_repeated)
        self._run_id: str | None = None
        self._stop_reported = False
        self.handlers: dict[type, Callable[[Any], None]] = {
            Noticed: lambda event: self._event("finding", **asdict(event.finding)),
            Paused: lambda event: self._event("pause", why=event.why),
            Resumed: lambda event: self._event("unpause", why=event.why),
            Waiting: self._waiting,
            Recovered: lambda event: self._event("recover", after_s=round(event.after_s, 1)),
            Stopping: self._stopping,
        }

    def flush(self) -> None:
        """Write pending counts."""
        self._throttle.flush()

    def _event(self, event: str, **fields: Any) -> None:
        start = {"event": event, "time": utc_iso(self._wall()), "run_id": self._run_id}
        self._write(orjson.dumps(start | fields).decode())

    def _write_repeated(self, name: str, items: int, fields: dict[str, Any]) -> None:
        self._event(name, **{self.counted: items}, **fields)

    def _waiting(self, event: Waiting) -> None:
        if self._throttle.due("wait"):
            self._event("wait", reason=event.reason, since_s=round(event.since_s, 1))

    def _stopping(self, event: Stopping) -> None:
        if not self._stop_reported:
            self._stop_reported = True
            self._event("stop", reason=event.reason)


class JsonEvents(JsonLines[Snapshot]):
    """The events of a run."""

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(write, clock, wall)
        self._checkpoint: str | None = None
        self._before = 0
        self._saved: dict[int, int] = {}
        self._unreported = False
        self.handlers |= {
            RunStarted: self._run_started,
            Throttled: self._throttled,
            Retried: lambda event: self._throttle.add("retry", event.items, event.reason),
            ItemFailed: lambda event: self._throttle.add("item-failed", event.items, event.code),
            CheckpointSaved: self._checkpoint_saved,
            BudgetChanged: lambda event: self._event(
                "budget", max_wcu=round(event.wcu, 1), max_rcu=round(event.rcu, 1), why=event.why
            ),
            CanaryFlown: self._canary_flown,
            ConsumerSeen: self._consumer_seen,
            RunEnded: lambda _: self.flush(),
        }

    def progress(self, now: Snapshot) -> None:
        """Write the progress of the run; call it about every 10 s."""
        self._event("progress", **now.to_json())

    def proof(self, proof: Proof) -> None:
        """Write the result of `--verify`."""
        self._event("proof", **proof.to_json())

    def flush(self) -> None:
        """Write pending counts."""
        super().flush()
        if self._unreported and self._checkpoint is not None:
            self._write_saved()

    def _write_repeated(self, name: str, items: int, fields: dict[str, Any]) -> None:
        if name == "item-failed":
            fields = {"code": fields["reason"]}
        super()._write_repeated(name, items, fields)

    def _run_started(self, event: RunStarted) -> None:
        spec = event.spec
        self._run_id = spec.run_id
        self._checkpoint = None if event.checkpoint == ":memory:" else event.checkpoint
        self._before, self._saved = event.settled_before.settled, {}
        self._event(
            "start",
            table=spec.table,
            resumed=event.resumed,
            selection=spec.selection.kind,
            index=spec.selection.index,
            marker=spec.marker.kind,
            marker_attribute=spec.marker.attribute,
            segments=spec.total_segments,
            expected_items=event.expected_items,
            settled_before=self._before,
            max_wcu=round(event.max_wcu, 1),
            max_rcu=round(event.max_rcu, 1),
            bound_by=event.bound_by,
            checkpoint=self._checkpoint,
        )

    def _throttled(self, event: Throttled) -> None:
        kind = "read" if "Read" in event.reason else "write"
        self._throttle.add("throttle", event.items, event.reason, resource=event.resource, kind=kind)

    def _checkpoint_saved(self, event: CheckpointSaved) -> None:
        self._unreported |= self._saved.get(event.part) != event.settled
        self._saved[event.part] = event.settled
        if self._unreported and self._checkpoint is not None and self._throttle.due("checkpoint"):
            self._write_saved()

    def _write_saved(self) -> None:
        self._unreported = False
        self._event("checkpoint", checkpoint=self._checkpoint, saved=self._before + sum(self._saved.values()))

    def _consumer_seen(self, event: ConsumerSeen) -> None:
        self._event("consumer", **consumer_fields(event))

    def _canary_flown(self, event: CanaryFlown) -> None:
        canary = event.canary
        self._event(
            "canary",
            items=canary.items,
            clean=canary.clean,
            unproven=canary.unproven,
            failed=canary.failed,
        )
