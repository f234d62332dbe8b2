"""Records a run in its checkpoint: the change of the counters every second, and events as notes.

A failed write ends the recording, never the run.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import anyio
from anyio import to_thread

from refire_async.checkpoint.dynamodb.recorded import TableRecording
from refire_async.checkpoint.recording import Recording, RecordingError
from refire_async.events import (
    AdviceBack,
    AdviceMissing,
    BudgetChanged,
    CanaryFlown,
    Noticed,
    Paused,
    ProcessReplaced,
    Recovered,
    Resumed,
    RunEnded,
    RunStarted,
    Stopping,
    Subscriber,
    Suspended,
    Waiting,
)
from refire_async.model.address import SCHEME, parse_address
from refire_async.model.proof import Proof
from refire_async.model.series import Note, Point
from refire_async.output.counters import Counters
from refire_async.settings import Budget, Connection, PacingSettings, ResumeSettings, RunSettings, Tuning

Clock: TypeAlias = Callable[[], float]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

SAMPLE_S = 1.0
SAMPLES_PER_SAVE = 2
MOST_WAITING = 1_000
"""Maximum number of notes kept until the next save; further ones are dropped."""

PLAIN: dict[type, str] = {
    BudgetChanged: "budget",
    Paused: "pause",
    Resumed: "unpause",
    AdviceMissing: "advice-missing",
    AdviceBack: "advice-back",
    ProcessReplaced: "process-replaced",
    Stopping: "stop",
}
"""Events whose fields are recorded as they are, and the kind of their note."""


class Recorder(Subscriber):
    """Subscriber that records `counters`, events and the attempt's `settings`; `run` saves them.

    `clock` is in monotonic seconds, `wall` in Unix seconds; `lost` is called with the reason if recording fails.
    """

    def __init__(
        self,
        counters: Counters,
        settings: Mapping[str, Any],
        lost: Callable[[str], None],
        *,
        connection: Connection = Connection(),  # noqa: B008 - a frozen value
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
    ) -> None:
        self._counters, self._settings, self._lost = counters, settings, lost
        self._connection = connection
        self._clock, self._wall = clock, wall
        self._place: _FileRecording | TableRecording | None = None
        self._over = self._ended = False
        self._seen, self._seen_at = _read(counters), clock()
        self._points: list[Point] = []
        self._notes: list[Note] = []
        self._wait_reason: str | None = None
        self.handlers = dict.fromkeys(PLAIN, self._plain) | {
            RunStarted: self._started,
            Suspended: self._suspended,
            Noticed: lambda event: self._note("finding", asdict(event.finding)),
            Waiting: self._waiting,
            Recovered: self._recovered,
            CanaryFlown: self._canary_flown,
            RunEnded: self._run_ended,
        }

    def _plain(self, event: Any) -> None:
        self._note(PLAIN[type(event)], asdict(event))

    def _waiting(self, event: Waiting) -> None:
        if event.reason != self._wait_reason:
            self._note("wait", {"reason": event.reason})
        self._wait_reason = event.reason

    def _suspended(self, event: Suspended) -> None:
        """Exclude the time in which the process was suspended."""
        if event.part == 0:
            self._seen_at += event.seconds

    def _recovered(self, event: Recovered) -> None:
        self._note("recover", asdict(event))
        self._wait_reason = None

    def _canary_flown(self, event: CanaryFlown) -> None:
        canary = event.canary
        self._note(
            "canary",
            {
                "items": canary.items,
                "clean": canary.clean,
                "unproven": canary.unproven,
                "failed": canary.failed,
            },
        )

    def _run_ended(self, event: RunEnded) -> None:
        self._note("end", event.summary.to_json())
        self._take_point()
        self._ended = True  # later events, such as a verification's, are not part of the run

    async def run(self, sleep: Sleep = anyio.sleep) -> None:
        """Take a sample every second and save every second one, until cancelled; then save the rest."""
        samples = 0
        try:
            while not self._over:
                await sleep(SAMPLE_S)
                self._take_point()
                samples += 1
                if samples % SAMPLES_PER_SAVE == 0:
                    await self._save()
        finally:
            with anyio.CancelScope(shield=True):
                self._take_point()
                await self._save(last=True)

    def _started(self, event: RunStarted) -> None:
        if event.checkpoint.startswith(SCHEME):
            self._place = self._place or TableRecording(parse_address(event.checkpoint), self._connection)
        elif event.checkpoint != ":memory:":
            self._place = self._place or _FileRecording(Path(event.checkpoint))
        self._seen, self._seen_at, self._ended = _read(self._counters), self._clock(), False
        self._note(
            "start",
            {
                "resumed": event.resumed,
                "expected": event.expected_items,
                "settled_before": event.settled_before.settled,
                "max_wcu": event.max_wcu,
                "max_rcu": event.max_rcu,
                "budget": event.budget,
                "billing": event.billing,
                "settings": self._settings,
            },
        )

    def _note(self, kind: str, data: dict[str, Any]) -> None:
        if len(self._notes) < MOST_WAITING:
            self._notes.append(Note(self._wall(), kind, data))

    def _take_point(self) -> None:
        if self._counters.started is None or self._ended:
            return
        now, before = _read(self._counters), self._seen
        at = self._clock()
        seconds = at - self._seen_at
        if seconds <= 0:
            return
        self._seen, self._seen_at = now, at
        self._points.append(
            Point(
                at=self._wall() - seconds,
                seconds=seconds,
                budget=self._counters.budget_wcu * seconds,
                allowed=self._counters.allowed_wcu * seconds,
                index_budgets={name: wcu * seconds for name, wcu in self._counters.index_budgets.items()},
                items=round(now["items"][""] - before["items"][""]),
                rcu=now["rcu"][""] - before["rcu"][""],
                ages={
                    name: one.age_s for name, one in self._counters.consumers.items() if one.age_s is not None
                },
                **{name: _grown(now[name], before[name]) for name in _GROUPS},
            )
        )

    async def _save(self, *, last: bool = False) -> None:
        if self._place is None or self._over:
            return
        points, self._points = self._points, []
        notes, self._notes = self._notes, []
        try:
            # The shield: if it were cancelled in the middle, these points would be lost.
            with anyio.CancelScope(shield=True):
                await self._place.save(points, notes)
                if last:
                    await self._place.close()
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            self._over = True
            # A run that was refused at its first write has no checkpoint any more: nothing to report.
            if not self._place.gone:
                self._lost(str(error))


class _FileRecording:
    """The recording in a checkpoint file."""

    def __init__(self, checkpoint: Path) -> None:
        self._checkpoint = checkpoint
        self._recording: Recording | None = None

    @property
    def gone(self) -> bool:
        """Whether there is no checkpoint any more."""
        return not self._checkpoint.exists()

    async def save(self, points: list[Point], notes: list[Note]) -> None:
        """Save new points and notes. Raises RecordingError."""
        await to_thread.run_sync(self._write, points, notes)

    def _write(self, points: list[Point], notes: list[Note]) -> None:
        if self._recording is None:
            self._recording = Recording(self._checkpoint)
        self._recording.save(points, notes)

    async def close(self) -> None:
        """Close the file."""
        if self._recording is not None:
            await to_thread.run_sync(self._recording.close)


_GROUPS = ("wcu", "throttled", "retries", "failed", "writes", "reads", "bands")


def _read(counters: Counters) -> dict[str, dict[str, float]]:
    """The current counters by group and name."""
    return {
        "items": {"": counters.written},
        "rcu": {"": counters.rcu},
        "wcu": dict(counters.wcu),
        "throttled": {
            f"{reason} {resource.rpartition(':table/')[2]}".rstrip(): items
            for (reason, resource), items in counters.throttles.by_reason.items()
        },
        "retries": dict(counters.retries),
        "failed": dict(counters.failed),
        "writes": _numbered(counters.writes.counts),
        "reads": _numbered(counters.reads.counts),
        "bands": _numbered(counters.bands),
    }


def _numbered(counts: list[int]) -> dict[str, float]:
    return {str(index): number for index, number in enumerate(counts) if number}


def _grown(now: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {name: grown for name, value in now.items() if (grown := value - before.get(name, 0))}


def recorded_settings(settings: RunSettings | ResumeSettings) -> dict[str, Any]:
    """Settings of an attempt that differ from the defaults, without the selection, which the checkpoint has."""
    changed: dict[str, Any] = {}
    for given, default in (
        (settings.budget, Budget()),
        (settings.pacing, PacingSettings()),
        (settings.tuning, Tuning()),
    ):
        usual = asdict(default)
        changed |= {name: value for name, value in asdict(given).items() if value != usual[name]}
    rest = {"max_items": settings.max_items, "verify": settings.verify, "ignore": sorted(settings.ignore)}
    return changed | {name: value for name, value in rest.items() if value}


def record_proof(checkpoint: Path, proof: Proof) -> str | None:
    """Save the result of a verification in the checkpoint. Returns the error text if that fails, else None."""
    try:
        with Recording(checkpoint) as recording:
            recording.save([], [note_of_proof(proof)])
    except RecordingError as error:
        return str(error)
    return None


def note_of_proof(proof: Proof) -> Note:
    """The note on a verification that has just ended."""
    data = asdict(proof) | {"missing_keys_file": None}  # a path of this machine, while the report is shared
    data["tally"] = data.pop("counts")  # its name in checkpoints
    return Note(time.time(), "proof", data)
