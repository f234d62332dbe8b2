"""`refire plan`: forecast the capacity, time and cost of a run."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from refire_async.cli import options
from refire_async.cli.help import Command
from refire_async.cli.options_to_settings import make_budget, make_ignore, make_run
from refire_async.cli.params import (
    Duration,
    ExistingFile,
    FilePath,
    Number,
    OneOf,
    Whole,
    Word,
    origin,
    quoted,
)
from refire_async.cli.parsed_options import PlanOptions
from refire_async.cli.streams import print_json, print_result
from refire_async.errors import UsageError
from refire_async.settings import Assumed, FleetSettings, PlanSettings, Tuning

if TYPE_CHECKING:
    from refire_async.planning.forecast.cost import Prices

WITHOUT = "Assumptions, without a table or instead of sampled values"
CONSUMERS = "Consumers"
FLEET = "Several machines"
DELIVERY = "A replay or redrive, instead of a run"
SELECTS = (
    "index",
    "key_value",
    "key_value_range",
    "where",
    "filter",
    "keys_file",
    "export",
    "sample",
)
"""Options that select some of a table's items; the other selection options depend on these."""


class Scaled(Word):
    """A number with an optional unit, which multiplies it."""

    def __init__(self, metavar: str, unit_factors: dict[str, float], example: str) -> None:
        super().__init__(metavar, r"(?s).*", "a number", f"for example {example}")
        self._factors = unit_factors
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Raises UsageError."""
        found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-z]*)", str(value).strip(), re.ASCII)
        factor = self._factors.get(found[2].lower()) if found else None
        if found is None or factor is None or not float(found[1]) > 0:
            known = ", ".join(unit.upper() for unit in self._factors if unit)
            raise UsageError(
                f"{origin(ctx, param)} must be a number above 0, optionally with {known}, not {quoted(value)}",
                f"for example {self._example}",
            )
        return float(found[1]) * factor


_RECORD_BYTES, _BATCH_SIZE = 2_048.0, 100
_COUNT = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_BYTES = {"": 1.0, "b": 1.0, "kb": 1024.0, "k": 1024.0, "mb": 1024.0**2}


@click.command(
    "plan",
    cls=Command,
    unexpected="name the table with --table {0}",
    examples=(
        ("How long would a run take, and what would it cost?", "refire plan --table orders"),
        (
            "The same for a table that does not exist yet",
            "refire plan --items 500M --item-size 1.2KB --wcu 40000 --indexes 2",
        ),
    ),
)
@options.table
@options.connection
@options.selection
@options.marker
@options.budget
@options.segments
@options.workers
@options.max_items
@options.ignore
@options.option(
    WITHOUT, "--items", Scaled("N", _COUNT, "--items 500M"), "Number of items, such as 250000 or 500M."
)
@options.option(
    WITHOUT,
    "--item-size",
    Scaled("SIZE", _BYTES, "--item-size 1.2KB"),
    "Mean size of an item, such as 900, 1.2KB or 80KB.",
)
@options.option(WITHOUT, "--wcu", Number("N", "--wcu 40000"), "Its write capacity in WCU/s.")
@options.option(WITHOUT, "--rcu", Number("N", "--rcu 20000"), "Its read capacity in RCU/s.")
@options.option(
    WITHOUT,
    "--indexes",
    Whole("N", "--indexes 2", 0, 20),
    "Indexes that hold the marker.",
    default="0",
)
@options.flag(WITHOUT, "--on-demand", "It is on-demand: billed per request, not per hour.")
@options.option(
    CONSUMERS,
    "--consumer-rate",
    Number("N", "--consumer-rate 500"),
    "Records/s that the consumers handle together.",
)
@options.option(
    CONSUMERS,
    "--consumer-ms",
    Number("N", "--consumer-ms 20"),
    "Milliseconds per record; shards and parallelization multiply the rate.",
)
@options.option(
    FLEET,
    "--on",
    OneOf("PLACE", "ecs", "batch", "glue", "emr"),
    "Where the tasks run: ecs and batch (Fargate), glue, emr (Serverless).",
)
@options.option(
    FLEET,
    "--tasks",
    Whole("N", "--tasks 8", 1, 10_000),
    "Tasks that share the run; default with --on: one per 20,000 WCU/s of budget.",
)
@options.option(
    DELIVERY, "--records", Scaled("N", _COUNT, "--records 2M"), "Number of records to deliver, such as 2M."
)
@options.option(
    DELIVERY,
    "--record-size",
    Scaled("SIZE", _BYTES, "--record-size 2KB"),
    "Mean size of a record with its images; default 2KB.",
    unset="2KB",
)
@options.option(
    DELIVERY,
    "--batch-size",
    Whole("N", "--batch-size 100", 1, 10_000),
    "Records per batch at most; default 100.",
    unset="100",
)
@options.option(
    DELIVERY,
    "--function-ms",
    Number("N", "--function-ms 300"),
    "Milliseconds that the function takes for a batch.",
)
@options.option(
    DELIVERY, "--function-memory", Whole("MB", "--function-memory 512", 128, 10_240), "Its memory in MB."
)
@options.option(
    DELIVERY,
    "--concurrency",
    Whole("N", "--concurrency 20", 1, 1_000),
    "Invocations at a time; default 10.",
    unset="10",
)
@options.option(
    DELIVERY,
    "--shards",
    Whole("N", "--shards 4", 1, 100_000),
    "Shards of the stream; default: not a limit.",
    unset="not a limit",
)
@options.option(
    DELIVERY,
    "--parallelization",
    Whole("N", "--parallelization 10", 1, 10),
    "Batches of one shard at a time.",
    default="1",
)
@options.option("Output", "--prices", ExistingFile("FILE"), "JSON file with your own prices.")
@options.option(
    "Output", "--plot", FilePath("FILE"), "Write a chart of progress and backlog to this .svg file."
)
@options.option(
    "Output",
    "--sample-seconds",
    Duration("--sample-seconds 30s"),
    "Maximum time to sample the table; default 10s.",
    default="10s",
)
@options.output
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Forecast a run: capacity units, time, cost, and the load on the consumers.

    Reads the table's description and samples a few thousand items within the read budget. Writes nothing.
    """
    parsed = PlanOptions(**given)
    if parsed.records is not None:
        return _plan_delivery(ctx, parsed)
    _refuse_delivery_options(ctx)
    settings = make_settings(ctx, parsed)
    prices = read_prices(parsed.prices)

    import orjson  # noqa: PLC0415 - not needed to show help

    from refire_async.engine.event_loop import run_loop  # noqa: PLC0415
    from refire_async.output.plan import describe_plan  # noqa: PLC0415
    from refire_async.planning import planner  # noqa: PLC0415 - brings the engine

    made = run_loop(lambda: planner.plan(settings, prices=prices))
    title = f"table {settings.run.table}" if settings.run else "a table that does not exist yet"
    if (path := parsed.plot) is not None:
        from refire_async.output.plan_plot import save_plot  # noqa: PLC0415 - not needed to show help

        save_plot(made, title, path)
    if parsed.json:
        print_json(orjson.dumps(made.to_json()).decode())
    else:
        print_result(describe_plan(made, title))
    return 0


_DELIVERY_OPTIONS = (
    "record_size",
    "batch_size",
    "function_ms",
    "function_memory",
    "concurrency",
    "shards",
    "parallelization",
)
_BOTH = ("records", "max_rate", "prices", "json", *_DELIVERY_OPTIONS)
"""Options of a plan of a delivery. Those about logs and the place of AWS have no effect there and do no harm."""

_HARMLESS = (
    "config",
    "region",
    "profile",
    "endpoint_url",
    "log_level",
    "log_format",
    "no_progress",
    "quiet",
    "verbose",
)


def _plan_delivery(ctx: click.Context, parsed: PlanOptions) -> int:
    """Print the plan of a delivery. Raises UsageError."""
    for param in _given_on_command_line(ctx):
        if param.name not in (*_BOTH, *_HARMLESS):
            raise UsageError(
                f"{origin(ctx, param)} and --records cannot be combined",
                "leave --records out to plan a run, or leave the other out to plan a replay or redrive",
            )
    import orjson  # noqa: PLC0415 - not needed to show help

    from refire_async.output.delivery import describe_delivery_plan  # noqa: PLC0415
    from refire_async.planning.forecast.delivery import (  # noqa: PLC0415
        DEFAULT_CONCURRENCY,
        DeliverySpeed,
        forecast_delivery,
        whole_batches,
    )

    speed = DeliverySpeed(
        concurrency=parsed.concurrency or DEFAULT_CONCURRENCY,
        batch_s=None if parsed.function_ms is None else parsed.function_ms / 1_000,
        shards=parsed.shards,
        parallelization=parsed.parallelization,
        max_rate=parsed.max_rate,
        memory_mb=parsed.function_memory,
    )
    load = whole_batches(
        math.ceil(parsed.records or 1), parsed.record_size or _RECORD_BYTES, parsed.batch_size or _BATCH_SIZE
    )
    made = forecast_delivery(load, speed, read_prices(parsed.prices))
    if parsed.json:
        print_json(orjson.dumps(made.to_json()).decode())
    else:
        print_result(describe_delivery_plan(made))
    return 0


def _refuse_delivery_options(ctx: click.Context) -> None:
    """Refuse options of a delivery where a run is planned. Raises UsageError."""
    for param in _given_on_command_line(ctx):
        if param.name in _DELIVERY_OPTIONS:
            raise UsageError(
                f"{origin(ctx, param)} needs --records",
                "add --records N to plan a replay or redrive, or leave it out",
            )


def _given_on_command_line(ctx: click.Context) -> list[click.Parameter]:
    return [
        param
        for param in ctx.command.params
        if ctx.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE
    ]


def make_settings(ctx: click.Context, parsed: PlanOptions) -> PlanSettings:
    """The settings of a plan. Raises UsageError."""
    assumed = Assumed(
        items=None if parsed.items is None else round(parsed.items),
        item_bytes=parsed.item_size,
        wcu=parsed.wcu,
        rcu=parsed.rcu,
        indexes=parsed.indexes,
        on_demand=parsed.on_demand,
        consumer_rate=parsed.consumer_rate,
        consumer_ms=parsed.consumer_ms,
    )
    fleet = None
    if parsed.on is not None or parsed.tasks is not None:
        fleet = FleetSettings(tasks=parsed.tasks, on=parsed.on)
    if parsed.table is None:
        if assumed.items is None or assumed.item_bytes is None:
            raise UsageError("no table given", "name it with --table NAME, or give --items and --item-size")
        _refuse_selection(ctx, parsed)
        return PlanSettings(
            run=None,
            assumed=assumed,
            fleet=fleet,
            budget=make_budget(parsed),
            tuning=_tuning(parsed),
            max_items=parsed.max_items,
        )
    for name in ("wcu", "rcu", "indexes", "on_demand"):
        if getattr(parsed, name):
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} is for a plan without a table", "leave it out, or leave out --table")
    run = replace(
        make_run(ctx, parsed),
        tuning=_tuning(parsed),
        ignore=make_ignore(parsed),
    )
    return PlanSettings(run=run, assumed=assumed, sample_s=parsed.sample_seconds, fleet=fleet)


def _tuning(parsed: PlanOptions) -> Tuning:
    return Tuning(segments=parsed.segments, workers=parsed.workers, writer=parsed.writer or "partiql")


def _refuse_selection(ctx: click.Context, parsed: PlanOptions) -> None:
    """Refuse selection options where there is no table. Raises UsageError."""
    for param in ctx.command.params:
        if param.name in SELECTS and getattr(parsed, param.name) not in (None, ()):
            raise UsageError(
                f"{origin(ctx, param)} needs a table to select from",
                "add --table NAME, or leave it out and give the number of selected items with --items",
            )


def read_prices(path: Path | None) -> "Prices":
    """The prices in this file, or the default prices. Raises UsageError."""
    import orjson  # noqa: PLC0415 - not needed to show help

    from refire_async.planning.forecast.cost import DEFAULT_PRICES, parse_prices  # noqa: PLC0415

    if path is None:
        return DEFAULT_PRICES
    try:
        data = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise UsageError(
            f"--prices {path} is not JSON: {error}", 'for example {"write_million": 0.725}'
        ) from None
    return parse_prices(data)
