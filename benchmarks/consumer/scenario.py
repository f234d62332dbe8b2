"""consumer: whether `--max-iterator-age` keeps records young and the consumer busy, with figures that come late."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio

from benchmarks.consumer.cases import AGE, BUSY, BUSY_LATER, LAG_S, PAST_MS, Case, Parameters, case
from benchmarks.consumer.function import Poll, StreamConsumer
from benchmarks.consumer.report import plot, table
from benchmarks.framework.scenario import Bench, BenchmarkError, Metrics, Scenario
from refire_async.engine import run as engine
from refire_async.events import BatchWritten, Event, Paused
from refire_async.model.stop import StopRequest
from refire_async.settings import PacingSettings, RunSettings
from tests.support.inprocess_server import EPOCH, InProcess, LoopClock, table_spec
from tests.support.lambda_functions import Function, Lambdas
from tests.support.virtual_time import run_virtual

TABLE = "orders"
WCU = 990
"""One partition, and so one shard; about twice what the fastest consumer handles."""

BATCH = 100
MINUTE_S = 60
DRAWN_S = 10
BUSY_FROM = 0.95


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """Every case once: virtual time is the same in each round."""
    cases = {name: case(name, parameters) for name in parameters.cases}
    bench.steps.begin(len(cases))
    found = []
    for number, (name, one) in enumerate(cases.items()):
        bench.steps.step(f"{name}: {one.items:,} items")
        started = time.perf_counter()
        figures, drawn = _measure(one, bench.folder / f"{number}.refire")
        figures["wall_s"] = time.perf_counter() - started
        targets = [
            {
                "figure": target.figure,
                "limit": target.limit,
                "above": target.above,
                "met": target.met(figures[target.figure]),
            }
            for target in one.targets
        ]
        found.append(
            {"case": name, "bound_s": one.bound_s, "figures": figures, "targets": targets, "over_time": drawn}
        )
    return {"cases": found, "lag_s": LAG_S, "past_ms": PAST_MS}


class _Made:
    """What the run does: items by period of time, and pauses."""

    def __init__(self) -> None:
        self.begun = anyio.current_time()
        self.ended = self.begun
        self.items: dict[int, int] = {}
        self.pauses = 0

    def handle(self, event: Event) -> None:
        """An event of the engine."""
        if isinstance(event, BatchWritten):
            self.ended = anyio.current_time()
            place = int((self.ended - self.begun) // DRAWN_S)
            self.items[place] = self.items.get(place, 0) + event.items
        elif isinstance(event, Paused):
            self.pauses += 1


@contextlib.contextmanager
def in_virtual_time(db: InProcess) -> Iterator[None]:
    """The engine finds `db`, and the machine's clock goes as the loop's."""
    clock, session = time.time, engine.open_session
    time.time, engine.open_session = LoopClock().time, db.open_session  # type: ignore[assignment]
    try:
        yield
    finally:
        time.time, engine.open_session = clock, session


def _measure(one: Case, checkpoint: Path) -> tuple[dict[str, float], dict[str, list[list[float]]]]:
    return run_virtual(_in_loop, one, checkpoint)


async def _in_loop(one: Case, checkpoint: Path) -> tuple[dict[str, float], dict[str, list[list[float]]]]:
    throughput = {"ReadCapacityUnits": 1_000, "WriteCapacityUnits": WCU}
    spec = table_spec(
        BillingMode="PROVISIONED",
        ProvisionedThroughput=throughput,
        Generate={"Count": one.items, "HashPrefix": "k"},
    )
    db = InProcess(spec)
    with in_virtual_time(db):
        functions = {name: Function(LAG_S, BatchSize=BATCH) for name in one.functions}
        if one.has_past:
            for function in functions.values():
                yesterday = int(EPOCH) - 24 * 3_600
                function.past = {("Duration", "Average"): {yesterday: PAST_MS}}
        db.services = Lambdas(time.time, **functions)  # type: ignore[assignment]
        consumers = {name: StreamConsumer(db, functions[name], rate) for name, rate in one.functions.items()}
        made = _Made()
        async with anyio.create_task_group() as tasks:
            for consumer in consumers.values():
                tasks.start_soon(consumer.run)
            await anyio.sleep(0.1)
            settings = RunSettings(
                table=TABLE,
                checkpoint=checkpoint,
                pacing=PacingSettings(max_iterator_age_s=one.bound_s, consumer_rate=one.given_rate),
            )
            result = await engine.run(settings, emit=made.handle, stop=StopRequest())
            tasks.cancel_scope.cancel()
    if result.summary.counts.touched != one.items:
        raise BenchmarkError(f"the run did not end well: {result.reason or result.summary}")
    return _judge(one, consumers, made)


def _judge(
    one: Case, consumers: dict[str, StreamConsumer], made: _Made
) -> tuple[dict[str, float], dict[str, list[list[float]]]]:
    """Busy shares are those of the slowest function: it is the one that rules."""
    name = min(one.functions, key=lambda name: one.functions[name](0.0))
    polls = [poll for poll in consumers[name].polls if made.begun <= poll.at < made.ended]
    minutes = [_busy(minute) for minute in _periods(polls, made.begun, MINUTE_S)]
    since = next((number for number, share in enumerate(minutes) if share >= BUSY_FROM), len(minutes))
    later = [poll for poll in polls if poll.at >= made.begun + since * MINUTE_S]
    oldest = max(consumer.oldest_s for consumer in consumers.values())
    ideal_s = _ideal_s(one, name)
    figures = {
        "oldest_s": oldest,
        AGE: oldest / one.bound_s,
        BUSY: _busy(polls),
        BUSY_LATER: _busy(later) if later else 0.0,
        "busy_from_min": float(since),
        "minutes": (made.ended - made.begun) / MINUTE_S,
        "time_to_ideal": (made.ended - made.begun) / ideal_s,
        "pauses": float(made.pauses),
    }
    drawn = {
        "age": [
            [number * DRAWN_S / MINUTE_S, max((poll.age_s for poll in period), default=0.0)]
            for number, period in enumerate(_periods(polls, made.begun, DRAWN_S))
        ],
        "rate": [
            [place * DRAWN_S / MINUTE_S, made.items.get(place, 0) / DRAWN_S]
            for place in range(max(made.items) + 1)
        ],
    }
    return figures, drawn


def _ideal_s(one: Case, name: str) -> float:
    """How long the consumer needs for all items if it is always busy."""
    left, seconds = float(one.items), 0.0
    while left > 0.0:
        left -= one.functions[name](seconds)
        seconds += 1.0
    return seconds


def _periods(polls: Sequence[Poll], begun: float, length_s: float) -> list[list[Poll]]:
    found: list[list[Poll]] = []
    for poll in polls:
        place = int((poll.at - begun) // length_s)
        found.extend([] for _ in range(place + 1 - len(found)))
        found[place].append(poll)
    return found


def _busy(polls: Sequence[Poll]) -> float:
    return sum(poll.busy for poll in polls) / len(polls) if polls else 0.0


QUICK = Parameters(cases=("past", "two functions"), items=120_000, minutes=5.0)

SCENARIO: Scenario[Any] = Scenario(
    name="consumer",
    question="Does --max-iterator-age keep records young and the consumer busy, with figures that come late?",
    full=Parameters(),
    quick=QUICK,
    run=run,
    table=table,
    plot=plot,
    on_real=False,
)
