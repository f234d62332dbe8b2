"""The options of `replay` and `redrive`: as click shows them, as parsed, and as settings."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import orjson

from refire_async.cli import options
from refire_async.cli.options import ANY_TEXT, flag, option
from refire_async.cli.options_to_settings import make_ignore
from refire_async.cli.params import Duration, Number, OneOf, RunId, Whole, Word, origin
from refire_async.cli.parsed_options import ConnectionOptions, IgnoreOptions, MonitoredOutputOptions
from refire_async.errors import UsageError
from refire_async.settings import DEFAULT_GIVE_UP_AFTER_S, UNLIMITED, DeliveryHow, DeliverySettings

KINDS = ("INSERT", "MODIFY", "REMOVE")
_TO = "Target"
_BATCHES = "Batches (default: as the function's event source mapping has them)"
_FUNCTION = (
    r"(arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:)?[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9$_-]{1,128})?"
)


class Time(Duration):
    """A point in time: ISO 8601 with a zone, or how long ago: `2h`, `30m`."""

    def __init__(self, example: str) -> None:
        super().__init__(example)
        self.metavar = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds since the epoch. Raises UsageError."""
        text = str(value)
        if re.fullmatch(r"[0-9hms]+", text):
            return time.time() - super().convert(text, param, ctx)
        try:
            at = datetime.fromisoformat(text)
            if at.tzinfo is None:
                raise self.refuse(
                    value, "a time with its zone", f"for example {text}Z or {text}+09:00", param, ctx
                )
            return at.timestamp()
        except (ValueError, OverflowError):
            action = "for example 2026-11-30T03:00+09:00, 2026-11-30T03:00Z, or 2h for two hours ago"
            raise self.refuse(value, "a time with its zone, or a duration", action, param, ctx) from None


class Kinds(OneOf):
    """One kind of event, or several with commas between them."""

    def __init__(self) -> None:
        super().__init__("KINDS", *KINDS)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The kinds as a tuple. Raises UsageError."""
        return tuple(OneOf.convert(self, word.strip(), param, ctx) for word in value.split(","))


class Pattern(Word):
    """A filter pattern: a JSON object."""

    def __init__(self) -> None:
        super().__init__("JSON", ANY_TEXT, "a JSON object", """for example '{"eventName": ["INSERT"]}'""")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text. Raises UsageError."""
        try:
            is_object = isinstance(orjson.loads(value), dict)
        except orjson.JSONDecodeError:
            is_object = False
        if not is_object:
            raise self.refuse(value, self._expected, self._action, param, ctx)
        return str(value)

    def split_envvar_value(self, rv: str) -> list[str]:
        """The variable's value as it is: one pattern."""
        return [rv]


def delivery(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that both commands share."""
    for decorate in reversed(_SHARED):
        function = decorate(function)
    return function


def _switch(group: str, name: str, on: str, off: str) -> list[options.Decorator]:
    return [flag(group, f"--{name}", on), flag(group, f"--no-{name}", off)]


_SHARED: list[options.Decorator] = [
    option(
        _TO,
        "--function",
        Word("NAME[:QUALIFIER]", _FUNCTION, "a function's name or ARN", "for example --function orders:live"),
        "The Lambda function that receives the events.",
    ),
    option(
        _TO,
        "--to",
        Word(
            "FILE|-|python:MODULE.FUNCTION",
            ANY_TEXT,
            "a file, - or python:MODULE.FUNCTION",
            "for example --to -",
        ),
        "Write the records to a file instead, or call a Python handler here. Nothing is invoked on AWS.",
    ),
    flag(_TO, "--batch", "With --to FILE: whole events, one per line, as a function receives them."),
    option(
        _TO,
        "--how",
        OneOf("HOW", "direct", "mapping"),
        "direct: invoke the function from here (default). mapping: let Lambda read the stream, through a temporary "
        "event source mapping.",
        default="direct",
    ),
    option(_BATCHES, "--batch-size", Whole("N", "--batch-size 100", 1, 10_000), "Records per batch at most."),
    option(
        _BATCHES,
        "--window",
        Duration("--window 30s", 0, 300),
        "How long a batch may wait to fill, up to 300s.",
    ),
    option(
        _BATCHES,
        "--parallelization",
        Whole("N", "--parallelization 10", 1, 10),
        "Batches of one shard at a time; the order per key is kept.",
    ),
    option(
        _BATCHES,
        "--retries",
        Whole("N", "--retries 3", UNLIMITED, 10_000),
        "Retries per batch; -1 without limit.",
    ),
    option(
        _BATCHES,
        "--max-record-age",
        Duration("--max-record-age 6h", 60, 7 * 86_400),
        "Give up records that are older than this.",
    ),
    *_switch(
        _BATCHES,
        "bisect",
        "Halve a batch whose invocation failed.",
        "Do not halve it, whatever the mapping says.",
    ),
    *_switch(
        _BATCHES,
        "partial-failures",
        "Read batchItemFailures in the function's answer (ReportBatchItemFailures).",
        "Do not read it, whatever the mapping says.",
    ),
    option(
        _BATCHES,
        "--filter-pattern",
        Pattern(),
        "Deliver only records that match this event filter pattern. Repeat it for alternatives.",
        multiple=True,
    ),
    option(
        "Speed",
        "--concurrency",
        Whole("N", "--concurrency 20", 1, 1_000),
        "Invocations at a time, over all shards; default 10.",
        unset="10",
    ),
    option("Speed", "--max-rate", Number("N", "--max-rate 500"), "Records/s at most."),
    option(
        "Speed",
        "--max-iterator-age",
        Duration("--max-iterator-age 5m", 10, 12 * 3600),
        "Pause while the function's own mapping is further behind than this.",
    ),
    option(
        "Safety",
        "--run-id",
        RunId("for example --run-id fix-2026-01-31"),
        "Name of the delivery; default: generated.",
    ),
    options.checkpoint,
    options.give_up_after,
    flag("Safety", "--dry-run", "Invoke nothing: count the records and show three of them."),
    options.ignore,
    options.yes,
]


@dataclass(frozen=True, kw_only=True)
class DeliveryOptions(ConnectionOptions, IgnoreOptions, MonitoredOutputOptions):
    """`delivery`, with connection and output: what `replay` and `redrive` share. Times in seconds."""

    function: str | None
    to: str | None
    batch: bool
    how: DeliveryHow
    batch_size: int | None
    window: float | None
    parallelization: int | None
    retries: int | None
    max_record_age: float | None
    bisect: bool
    no_bisect: bool
    partial_failures: bool
    no_partial_failures: bool
    filter_pattern: tuple[str, ...]
    concurrency: int | None
    max_rate: float | None
    max_iterator_age: float | None
    run_id: str | None
    checkpoint: Path | None
    give_up_after: float | None
    dry_run: bool
    yes: bool


def make_delivery(ctx: click.Context, parsed: DeliveryOptions) -> DeliverySettings:
    """How records are delivered. Raises UsageError where options cannot be combined."""
    if parsed.function is not None and parsed.to is not None:
        raise UsageError("--function and --to cannot be combined", "leave one of them out")
    if parsed.batch and (parsed.to is None or parsed.to.startswith("python:")):
        raise UsageError("--batch needs --to FILE", "add --to FILE, or remove --batch")
    if parsed.how == "mapping" and parsed.to is not None:
        raise UsageError("--how mapping and --to cannot be combined", "remove --to, or use --how direct")
    if parsed.to == "-" and parsed.json:
        raise UsageError(
            "--to - and --json cannot be combined", "both write to standard output; give --to a file"
        )
    return DeliverySettings(
        function=parsed.function,
        to=parsed.to,
        whole_events=parsed.batch,
        batch_size=parsed.batch_size,
        window_s=parsed.window,
        parallelization=parsed.parallelization,
        retries=parsed.retries,
        max_record_age_s=parsed.max_record_age,
        bisect=_switched(ctx, "bisect", on=parsed.bisect, off=parsed.no_bisect),
        partial_failures=_switched(
            ctx, "partial_failures", on=parsed.partial_failures, off=parsed.no_partial_failures
        ),
        filters=parsed.filter_pattern or None,
        how=parsed.how,
        concurrency=parsed.concurrency,
        max_rate=parsed.max_rate,
        max_iterator_age_s=parsed.max_iterator_age,
        give_up_after_s=parsed.give_up_after or DEFAULT_GIVE_UP_AFTER_S,
        checkpoint=parsed.checkpoint,
        run_id=parsed.run_id,
        dry_run=parsed.dry_run,
        assume_yes=parsed.yes,
        ignore=make_ignore(parsed),
    )


def _switched(ctx: click.Context, name: str, *, on: bool, off: bool) -> bool | None:
    if on and off:
        one, other = (
            origin(ctx, next(param for param in ctx.command.params if param.name == which))
            for which in (name, f"no_{name}")
        )
        raise UsageError(f"{one} and {other} cannot be combined", "leave one of them out")
    return True if on else False if off else None
