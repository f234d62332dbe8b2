"""outage: the rest of a run after the service, the network or the capacity was gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from benchmarks.consumer.scenario import in_virtual_time
from benchmarks.framework.scenario import Bench, BenchmarkError, Metrics, Scenario, choice
from benchmarks.outage.report import plot, table
from refire_async.aws.transport_errors import failure
from refire_async.engine import run as engine
from refire_async.errors import ExitCode
from refire_async.events import Event
from refire_async.model.stop import StopRequest
from refire_async.sandbox.errors import ServiceError
from refire_async.settings import Budget, RunSettings
from tests.support.inprocess_server import WRITES, InProcess, table_spec
from tests.support.virtual_time import run_virtual

TABLE = "orders"
BEGINS_S = 3.0


def _service() -> Exception:
    return ServiceError("InternalServerError", "Internal server error", status=500)


def _network() -> Exception:
    return failure("ConnectError", "dynamodb.example", "Network is unreachable")


def _throttled() -> Exception:
    reason = {
        "reason": "TableWriteProvisionedThroughputExceeded",
        "resource": "arn:aws:dynamodb:::table/orders",
    }
    return ServiceError("ThrottlingException", "slow down", extra={"throttlingReasons": [reason]})


KINDS: dict[str, Callable[[], Exception]] = {
    "service": _service,
    "network": _network,
    "throttled": _throttled,
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """A run of `items` at `wcu` units per second, with an outage of each kind and length (s)."""

    kinds: tuple[str, ...] = tuple(KINDS)
    lengths_s: tuple[float, ...] = (2.0, 10.0, 60.0)
    items: int = 6_000
    wcu: int = 1_000


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """Each outage once: virtual time is the same in each round."""
    cases = [(kind, length) for kind in parameters.kinds for length in parameters.lengths_s]
    bench.steps.begin(len(cases))
    found = []
    for number, (kind, length) in enumerate(cases):
        bench.steps.step(f"{kind}, {length:g} s")
        fail = choice(KINDS, kind)
        figures = run_virtual(_in_loop, parameters, fail, length, bench.folder / f"{number}.refire")
        found.append({"kind": kind, "length_s": length, **figures})
    return {"cases": found}


async def _in_loop(
    parameters: Parameters, fail: Callable[[], Exception], length_s: float, checkpoint: Path
) -> dict[str, Any]:
    capacity = {"ReadCapacityUnits": 40_000, "WriteCapacityUnits": 10 * parameters.wcu}
    db = InProcess(
        table_spec(
            BillingMode="PROVISIONED",
            ProvisionedThroughput=capacity,
            Generate={"Count": parameters.items, "HashPrefix": "k"},
        )
    )
    begun = anyio.current_time()
    begin, end = begun + BEGINS_S, begun + BEGINS_S + length_s
    sent: list[tuple[float, int, bool]] = []

    def watch(operation: str, request: dict[str, Any]) -> None:
        now = anyio.current_time()
        down = begin <= now < end
        if operation in WRITES:
            sent.append((now, len(request.get("Statements", [0])), not down))
        if down:
            raise fail()

    db.watch = watch
    with in_virtual_time(db):
        settings = RunSettings(
            table=TABLE, checkpoint=checkpoint, budget=Budget(max_wcu=float(parameters.wcu))
        )
        result = await engine.run(settings, emit=_ignore, stop=StopRequest())
    if result.exit_code is not ExitCode.COMPLETE or result.summary.counts.touched != parameters.items:
        raise BenchmarkError(f"the run did not end well: {result.reason or result.summary}")
    return _figures(sent, begun, end, parameters.wcu)


def _ignore(_event: Event) -> None:
    """No one watches."""


def _figures(sent: list[tuple[float, int, bool]], begun: float, end: float, wcu: int) -> dict[str, Any]:
    """What was sent: (time, items, whether it was accepted)."""
    after = [(at, items) for at, items, accepted in sent if accepted and at >= end]
    if not after:
        raise BenchmarkError("nothing was left after the outage; give it more items")
    rest, seconds = sum(items for _, items in after), after[-1][0] - after[0][0]
    busiest = max(sum(items for at, items, _ in sent if start <= at < start + 1.0) for start, *_ in sent)
    per_second: dict[int, int] = {}
    for at, items, accepted in sent:
        if accepted:
            per_second[int(at - begun)] = per_second.get(int(at - begun), 0) + items
    last = max(per_second)
    return {
        "rest_items": rest,
        "rest_s": seconds,
        "ideal_s": rest / wcu,
        "to_ideal": seconds / (rest / wcu),
        "noticed_s": after[0][0] - end,
        "peak_share": busiest / wcu,
        "per_second": [[second, per_second.get(second, 0)] for second in range(last + 1)],
    }


SCENARIO = Scenario(
    name="outage",
    question="How long does the rest of a run take after an outage?",
    full=Parameters(),
    quick=Parameters(lengths_s=(2.0,), items=5_000),
    run=run,
    table=table,
    plot=plot,
    on_real=False,
)
