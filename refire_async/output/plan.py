"""A plan as text, for a terminal of 80 columns."""

from refire_async.model.capacity import TABLE
from refire_async.model.units import STREAM_RETENTION_S
from refire_async.output.text import count, duration, percent, units
from refire_async.planning.forecast.fleet import DEFAULT_QUOTA_WCU, PLACES, Fleet, FleetCost
from refire_async.planning.forecast.plan import ONE_PROCESS, Plan

_WIDTH = 48
_BARS = " ▁▂▃▄▅▆▇█"


def describe_plan(plan: Plan, title: str) -> str:
    """The plan: items and units, duration, cost, effect on the stream's consumers, and suggested settings."""
    lines = [f"Plan for {title}", "", *_load(plan), "", *_time(plan), "", *_money(plan), "", *_stream(plan)]
    if plan.fleet is not None and plan.fleet_cost is not None:
        lines += ["", *_fleet(plan, plan.fleet, plan.fleet_cost)]
    lines += ["", *_settings(plan)]
    return "\n".join(lines)


def _row(name: str, text: str) -> str:
    return f"  {name:<11} {text}"


def _load(plan: Plan) -> list[str]:
    load = plan.load
    more = "at least " if load.at_least else ""
    how = f" (from a sample of {count(load.sampled)})" if load.sampled else ""
    lines = [_row("items", f"{more}{count(load.items)}, {count(load.item_bytes)} bytes each on average{how}")]
    if load.quantiles:
        small, middle, large, largest = load.quantiles
        lines.append(
            _row(
                "sizes",
                f"p10 {count(small)}, median {count(middle)}, p90 {count(large)}, max {count(largest)} bytes",
            )
        )
    for name, each in sorted(load.item_wcu.items()):
        what = "writes" if name == TABLE else f"  {name}"
        lines.append(_row(what, f"{units(load.items * each)} WCU, {each:.2f} per item"))
    lines.append(_row("reads", f"{units(load.rcu)} RCU"))
    return lines


def _time(plan: Plan) -> list[str]:
    took = plan.duration
    lines = [
        _row("takes", f"{duration(took.seconds)}, bound by {took.bound_by}"),
        _row("at", ", ".join(f"{share:.0%}: {duration(seconds)}" for share, seconds in plan.others[:3])),
        _row("", ", ".join(f"{share:.0%}: {duration(seconds)}" for share, seconds in plan.others[3:])),
        _row("", "of the table's whole capacity"),
    ]
    if took.bound_by == ONE_PROCESS:
        lines.append(_row("", "more machines are faster: --on ecs, batch, glue or emr"))
    if plan.load.hottest_share > 0.01:
        lines.append(
            _row(
                "hottest key",
                f"about {percent(plan.load.hottest_share)} of the items may share one, limited to 1,000 WCU/s",
            )
        )
    return lines


def _money(plan: Plan) -> list[str]:
    cost = plan.cost
    split = f"writes ${cost.writes:,.2f}, reads ${cost.reads:,.2f}"
    costs = (
        [f"${cost.total:,.2f}: {split}"]
        if cost.extra
        else [f"no extra cost: ${cost.total:,.2f} of capacity you already pay for", split]
    )
    return [
        *(_row("" if number else "costs", text) for number, text in enumerate(costs)),
        _row(
            "",
            f"and Lambda requests ${cost.consumers:,.2f} (prices of {plan.prices.region}, {plan.prices.date})",
        ),
    ]


def _stream(plan: Plan) -> list[str]:
    shards = f"{plan.shards} shard{'' if plan.shards == 1 else 's'}"
    rate = plan.load.items / plan.duration.seconds
    lines = [_row("stream", f"{count(plan.records)} records, {units(rate)}/s, over {shards}")]
    backlog = plan.backlog
    if backlog is None:
        lines.append(_row("consumers", "give --consumer-rate or --consumer-ms to see their backlog"))
        return lines
    lines.append(_row("consumers", f"{units(backlog.consumer_rate)} records/s"))
    if not backlog.largest:
        lines.append(_row("", "they keep up"))
        return lines
    lines.append(
        _row(
            "backlog",
            f"up to {count(backlog.largest)} records, the oldest {duration(backlog.oldest_s)} old",
        )
    )
    lines.append(_row("", f"all read after {duration(backlog.drained_s)}"))
    lines += curves(plan)
    if backlog.loses_records:
        lines.append(_row("WARNING", "records older than 24 hours expire unread: see --max-rate below"))
    elif backlog.oldest_s > STREAM_RETENTION_S / 4:
        lines.append(_row("caution", "records get over 6 hours old; the stream keeps them for 24 hours"))
    return lines


def _fleet(plan: Plan, fleet: Fleet, cost: FleetCost) -> list[str]:
    """Tasks, workers, time and price of a run on several machines."""
    place = PLACES[fleet.on] if fleet.on else None
    where = "machines of your own" if place is None else f"{fleet.on}: {place.worker} each"
    lines = [_row("tasks", f"{count(fleet.tasks)}, on {count(fleet.workers)} workers ({where})")]
    if place is not None and place.drivers:
        lines.append(_row("", "one of the workers is the driver"))
    if place is not None and cost.compute is not None:
        lines.append(
            _row("", f"{duration(cost.seconds)} with about {duration(place.start_s)} until they start")
        )
        lines.append(_row("", f"workers ${cost.compute:,.2f}, checkpoint ${cost.store:,.2f}"))
    else:
        lines.append(_row("", f"checkpoint ${cost.store:,.2f}"))
    if fleet.archive:
        lines.append(_row("", "with pages in S3 (--archive): one table could not take them all"))
    if plan.rates.write.get(TABLE, 0.0) > DEFAULT_QUOTA_WCU:
        lines.append(
            _row(
                "quota",
                f"above the default of {count(DEFAULT_QUOTA_WCU)} WCU/s per table: see Service Quotas",
            )
        )
    return lines


def _settings(plan: Plan) -> list[str]:
    chosen = plan.settings
    words = [
        f"--max-wcu {chosen.max_wcu:.0f}",
        f"--segments {chosen.segments}",
        f"--workers {chosen.workers}",
    ]
    if plan.fleet is not None:
        words.append(f"--tasks {plan.fleet.tasks}")
    if chosen.max_rate is not None:
        words.append(f"--max-rate {chosen.max_rate:.0f}")
    return [_row("settings", " ".join(words))]


def curves(plan: Plan, width: int = _WIDTH) -> list[str]:
    """Progress and backlog from the start until the backlog is empty, as two rows of bars."""
    if plan.backlog is None:
        return []
    end = plan.backlog.drained_s
    times = [end * (step + 0.5) / width for step in range(width)]
    done = [min(1.0, time / plan.duration.seconds) for time in times]
    most = plan.backlog.largest or 1.0
    waiting = [plan.backlog.at(time) / most for time in times]
    return [
        _row("touched", _bars(done)),
        _row("waiting", _bars(waiting)),
        _row("", f"0{duration(end):>{width - 1}}"),
    ]


def _bars(shares: list[float]) -> str:
    return "".join(_BARS[min(8, round(share * 8))] for share in shares)
