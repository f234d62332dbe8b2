"""Recording a run while it works: the tally's differences every second, and what happened when.

What cannot be written ends the recording, never the run.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import anyio
from anyio import to_thread

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
from refire_async.model.proof import Proof
from refire_async.model.series import Note, Point
from refire_async.output.counters import Counters
from refire_async.settings import Budget, PacingSettings, ResumeSettings, RunSettings, Tuning

Clock: TypeAlias = Callable[[], float]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

LOOK_S = 1.0
LOOKS_PER_SAVE = 2
MOST_WAITING = 1_000
"""Notes that wait for the next save; should there ever be more within seconds, the rest is let go."""

PLAIN: dict[type, str] = {
    BudgetChanged: "budget",
    Paused: "pause",
    Resumed: "unpause",
    AdviceMissing: "advice-missing",
    AdviceBack: "advice-back",
    ProcessReplaced: "process-replaced",
    Stopping: "stop",
}
"""Events whose fields are their note."""


class Recorder(Subscriber):
    """Subscriber whose `run` saves what it and `tally` were told. `settings` are those of this sitting, for the report.

    `clock` counts seconds, `wall` tells the time (seconds since the epoch), `lost` is told why a recording ended.
    """

    def __init__(
        self,
        tally: Counters,
        settings: Mapping[str, Any],
        lost: Callable[[str], None],
        *,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
    ) -> None:
        self._tally, self._settings, self._lost = tally, settings, lost
        self._clock, self._wall = clock, wall
        self._checkpoint: Path | None = None
        self._recording: Recording | None = None
        self._over = self._ended = False
        self._seen, self._seen_at = _look(tally), clock()
        self._points: list[Point] = []
        self._notes: list[Note] = []
        self._waits_for: str | None = None
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
        if event.reason != self._waits_for:
            self._note("wait", {"reason": event.reason})
        self._waits_for = event.reason

    def _suspended(self, event: Suspended) -> None:
        """Time in which the process did nothing is no time at work."""
        if event.part == 0:
            self._seen_at += event.seconds

    def _recovered(self, event: Recovered) -> None:
        self._note("recover", asdict(event))
        self._waits_for = None

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
        self._ended = True  # what comes after, such as a proof, is not the run

    async def run(self, sleep: Sleep = anyio.sleep) -> None:
        """Look every second and save every other one, until cancelled; then save what is left."""
        looks = 0
        try:
            while not self._over:
                await sleep(LOOK_S)
                self._take_point()
                looks += 1
                if looks % LOOKS_PER_SAVE == 0:
                    await self._save()
        finally:
            with anyio.CancelScope(shield=True):
                self._take_point()
                await self._save()
                if self._recording is not None:
                    await to_thread.run_sync(self._recording.close)

    def _started(self, event: RunStarted) -> None:
        if event.checkpoint != ":memory:":
            self._checkpoint = Path(event.checkpoint)
        self._seen, self._seen_at, self._ended = _look(self._tally), self._clock(), False
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
        if self._tally.started is None or self._ended:
            return
        now, before = _look(self._tally), self._seen
        at = self._clock()
        seconds = at - self._seen_at
        if seconds <= 0:
            return
        self._seen, self._seen_at = now, at
        self._points.append(
            Point(
                at=self._wall() - seconds,
                seconds=seconds,
                budget=self._tally.budget_wcu * seconds,
                allowed=self._tally.allowed_wcu * seconds,
                index_budgets={name: wcu * seconds for name, wcu in self._tally.index_budgets.items()},
                items=round(now["items"][""] - before["items"][""]),
                rcu=now["rcu"][""] - before["rcu"][""],
                ages={
                    name: one.age_s for name, one in self._tally.consumers.items() if one.age_s is not None
                },
                **{name: _grown(now[name], before[name]) for name in _GROUPS},
            )
        )

    async def _save(self) -> None:
        if self._checkpoint is None or self._over:
            return
        points, self._points = self._points, []
        notes, self._notes = self._notes, []
        try:
            # Cancelled before it has begun, it would take with it what is to be written.
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._write, self._checkpoint, points, notes)
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            self._over = True
            # A run that was refused at its first write has no checkpoint any more, which is no loss.
            if self._checkpoint.exists():
                self._lost(str(error))

    def _write(self, checkpoint: Path, points: list[Point], notes: list[Note]) -> None:
        if self._recording is None:
            self._recording = Recording(checkpoint)
        self._recording.save(points, notes)


_GROUPS = ("wcu", "throttled", "retries", "failed", "writes", "reads", "bands")


def _look(tally: Counters) -> dict[str, dict[str, float]]:
    """The tally's figures at this moment."""
    return {
        "items": {"": tally.written},
        "rcu": {"": tally.rcu},
        "wcu": dict(tally.wcu),
        "throttled": {
            f"{reason} {resource.rpartition(':table/')[2]}".rstrip(): items
            for (reason, resource), items in tally.throttles.by_reason.items()
        },
        "retries": dict(tally.retries),
        "failed": dict(tally.failed),
        "writes": _numbered(tally.writes.counts),
        "reads": _numbered(tally.reads.counts),
        "bands": _numbered(tally.bands),
    }


def _numbered(counts: list[int]) -> dict[str, float]:
    return {str(index): number for index, number in enumerate(counts) if number}


def _grown(now: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {name: grown for name, value in now.items() if (grown := value - before.get(name, 0))}


def recorded_settings(settings: RunSettings | ResumeSettings) -> dict[str, Any]:
    """What was asked of a sitting, as far as it is no default. Which items is in the checkpoint: not here."""
    asked: dict[str, Any] = {}
    for given, default in (
        (settings.budget, Budget()),
        (settings.pacing, PacingSettings()),
        (settings.tuning, Tuning()),
    ):
        usual = asdict(default)
        asked |= {name: value for name, value in asdict(given).items() if value != usual[name]}
    rest = {"max_items": settings.max_items, "verify": settings.verify, "ignore": sorted(settings.ignore)}
    return asked | {name: value for name, value in rest.items() if value}


def record_proof(checkpoint: Path, proof: Proof) -> str | None:
    """Keep the result of a proof with its run. Gives why it could not be kept, if so."""
    data = asdict(proof) | {"missing_keys_file": None}  # paths are of this machine; the report goes elsewhere
    try:
        with Recording(checkpoint) as recording:
            recording.save([], [Note(time.time(), "proof", data)])
    except RecordingError as error:
        return str(error)
    return None
