"""pacing: the whole budget and never more, hot keys that delay no other lane, capacity that comes and goes."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import boto3

from benchmarks.framework import capacity, stream
from benchmarks.framework.backends import CREDENTIALS, REGION, Sandbox, sandbox
from benchmarks.framework.refire import Refire, Run, own_place
from benchmarks.framework.scenario import Bench, Metrics, Scenario
from benchmarks.framework.statistics import interleave, paired_ratio, spread
from benchmarks.framework.tables import TABLE, config
from benchmarks.pacing import meter
from benchmarks.pacing.cases import ALONE, LANES, QUEUE, Case, Parameters, case
from benchmarks.pacing.figures import BACK, Change, Ran, per_second
from benchmarks.pacing.meter import Look
from benchmarks.pacing.report import plot, table

COME_BACK_S = 60.0
SEEN_S = 2.0


def run(bench: Bench, parameters: Parameters) -> Metrics:
    """Every case once a round."""
    cases = {name: case(name, parameters) for name in parameters.cases}
    order = interleave(list(cases), parameters.rounds)
    bench.steps.begin(sum(map(len, order)))
    values: dict[str, dict[str, list[float]]] = {name: {} for name in cases}
    drawn: dict[str, list[list[float]]] = {}
    for number, names in enumerate(order, 1):
        for name in names:
            bench.steps.step(f"round {number}: {name}")
            found, drawn[name] = _measure(bench, cases[name])
            for figure, value in found.items():
                values[name].setdefault(figure, []).append(value)
    for name in (LANES, QUEUE):
        if name in values and ALONE in values:
            ratios = paired_ratio(values[name]["others_s"], values[ALONE]["others_s"])
            values[name]["others_to_alone"] = list(ratios.values)
    return {"cases": [_case(name, cases[name], values[name], drawn[name]) for name in cases]}


def _case(
    name: str, one: Case, values: Mapping[str, Sequence[float]], drawn: list[list[float]]
) -> dict[str, Any]:
    """Figures of all rounds, held against what must be true of the middle one."""
    figures = {figure: spread(found).to_json() for figure, found in values.items()}
    targets = [
        {
            "figure": target.figure,
            "limit": target.limit,
            "at_least": target.at_least,
            "met": target.met(spread(values[target.figure]).median),
        }
        for target in one.targets
        if target.figure in values
    ]
    met = all(target["met"] for target in targets)
    return {
        "case": name,
        "budget_wcu": one.budget_wcu,
        "is_to_miss": one.is_to_miss,
        "as_it_should": met is not one.is_to_miss,
        "figures": figures,
        "targets": targets,
        "per_second": drawn,
    }


@dataclass(slots=True)
class _Changes:
    """Gives the table other capacities when their time comes, and ends the run when it has come back from them."""

    server: Sandbox
    wanted: Sequence[tuple[float, int]]
    made: list[Change] = field(default_factory=list)
    ended: bool = False

    def seen(self, run: Run, looks: Sequence[Look]) -> None:
        """The sandbox was looked at again."""
        if not self.wanted or self.ended or not looks[-1].accepted:
            return
        now = looks[-1].time
        if len(self.made) < len(self.wanted):
            after_s, wcu = self.wanted[len(self.made)]
            if now - meter.began(looks) >= after_s:
                _provision(self.server.url, wcu)
                self.made.append(Change(now, wcu))
            return
        last = self.made[-1]
        since = now - last.time
        # It has gone on for two seconds, so that the plot shows it.
        back = since > SEEN_S and meter.rate(looks, now - SEEN_S, now) >= BACK * last.wcu
        if back or since > COME_BACK_S:
            self.ended = True
            run.signal(signal.SIGTERM)


def _provision(url: str, wcu: int) -> None:
    client = boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    throughput = {"ReadCapacityUnits": wcu, "WriteCapacityUnits": wcu}
    client.update_table(TableName=TABLE, ProvisionedThroughput=throughput)
    client.close()


def _measure(bench: Bench, one: Case) -> tuple[dict[str, float], list[list[float]]]:
    """One run: its figures, and what was accepted second by second."""
    settings = dataclasses.replace(config(one.spec), growth_after=one.growth_after_s)
    with sandbox(settings) as server:
        place = own_place(TABLE, server.url, bench.folder)
        refire = Refire(bench.folder, place, program=one.program)
        changes, before_s = _Changes(server, one.changes), server.cpu_s
        looks: list[Look] = []
        with refire.start("--wcu-percent", "100", *one.arguments) as running:
            for seen in meter.watch(running, server, TABLE, one.index):
                looks.append(seen)
                changes.seen(running, looks)
            running.finish((0, 3) if one.changes else (0,))
        server_cpu_s = server.cpu_s - before_s
        resource = capacity.resource(server.stats(), TABLE, one.index)
        by_second = partial(stream.by_second, server.url, TABLE)
        ran = Ran(running, one.budget_wcu, resource, looks, changes.made, by_second)
        figures = one.judge(ran)
    usage = running.usage
    assert usage is not None  # noqa: S101 - it has ended
    cpu = {
        "engine_cpu_share": usage.cpu_s / usage.wall_s,
        "backend_cpu_share": server_cpu_s / usage.wall_s,
    }
    return figures | cpu, per_second(ran)


QUICK = Parameters(
    cases=("uniform 2000", LANES, QUEUE, ALONE, "index"),
    rounds=1,
    seconds=4.0,
    four_items=24_000,
)

SCENARIO = Scenario(
    name="pacing",
    question="Does a run spend its whole budget and never more, and does a hot partition hold up the rest?",
    full=Parameters(),
    quick=QUICK,
    run=run,
    table=table,
    plot=plot,
    on_real=False,
)
