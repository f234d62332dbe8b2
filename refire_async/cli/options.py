"""The options that commands share, one decorator per group. parsed_options.py has one typed record per group."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import click

from refire_async.cli.params import (
    Checkpoint,
    Duration,
    Endpoint,
    ExportFolder,
    FilePath,
    Flag,
    KeyValues,
    NotifyAddress,
    Number,
    OneOf,
    Option,
    Percent,
    Rates,
    Readable,
    Whole,
    Word,
    Zone,
)
from refire_async.preflight.findings import IGNORABLE
from refire_async.settings import DEFAULT_WCU_PERCENT

LogFormat: TypeAlias = Literal["text", "json"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

LOG_LEVELS: tuple[LogLevel, ...] = ("debug", "info", "warning", "error")
ANY_TEXT = r"(?s).+"
SELECTION = "Selection (default: the whole table)"


class Findings(OneOf):
    """One finding, or several separated by commas."""

    def __init__(self) -> None:
        super().__init__("ID", *IGNORABLE)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The findings as a tuple. Raises UsageError."""
        words = [word.strip() for word in value.split(",")]
        return tuple(OneOf.convert(self, word, param, ctx) for word in words)


def option(
    group: str, name: str, kind: "click.ParamType[Any]", text: str, *, short: str = "", **settings: Any
) -> Decorator:
    """One option under the heading `group` of the help; `short` is its one-letter name, such as `-t`."""
    names = (name, short) if short else (name,)
    return click.option(*names, cls=Option, group=group, type=kind, help=text, **settings)


def flag(group: str, name: str, text: str, *, short: str = "") -> Decorator:
    """An option without a value. Its variable takes 1 or 0."""
    return option(group, name, Flag(), text, short=short, is_flag=True, default=False)


def _together(options: Sequence[Decorator]) -> Decorator:
    def apply(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorate in reversed(options):
            function = decorate(function)
        return function

    return apply


connection = _together(
    [
        option(
            "Connection",
            "--region",
            Word("NAME", r"[a-z0-9-]{1,60}", "the name of a region", "for example --region eu-west-1"),
            "AWS region; default: from the AWS configuration.",
            unset="from the AWS configuration",
        ),
        option(
            "Connection",
            "--profile",
            Word("NAME", ANY_TEXT, "the name of a profile", "aws configure list-profiles shows them"),
            "Profile of the AWS configuration.",
            unset="from the AWS configuration",
        ),
        option(
            "Connection",
            "--endpoint-url",
            Endpoint("URL"),
            "Custom endpoint, such as that of `refire sandbox`.",
            unset="AWS itself",
        ),
    ]
)

table = option(
    "Table",
    "--table",
    Word(
        "NAME",
        r"[a-zA-Z0-9_.-]{3,255}|arn:[^\s]+:table/[a-zA-Z0-9_.-]{3,255}",
        "the name of a table (3 to 255 of a-z, A-Z, 0-9, _ . -)",
        "for example --table orders",
    ),
    "The table whose items fire again.",
    short="-t",
    also=("DynamoTable",),
)

table_filter = option(
    "Run",
    "--table",
    Word(
        "NAME",
        r"[a-zA-Z0-9_.-]{3,255}|arn:[^\s]+:table/[a-zA-Z0-9_.-]{3,255}",
        "the name of a table",
        "for example --table orders",
    ),
    "Only runs of this table.",
)

_SELECTION = [
    option(
        SELECTION,
        "--index",
        Word("NAME", r"[a-zA-Z0-9_.-]{3,255}", "the name of an index", "for example --index by-day"),
        "Find items through this index; the table's items are touched.",
    ),
    option(
        SELECTION,
        "--key-name",
        Word("NAME", ANY_TEXT, "the name of a hash key", "leave it out to take it from the table"),
        "Name of the hash key; default: from the table or index.",
        also=("HashKeyName",),
    ),
    option(
        SELECTION,
        "--key-value",
        KeyValues("VALUE", ANY_TEXT, "a value (keys are never empty)", "leave it out for all hash keys"),
        "Only items with this hash key (base64 if binary). Repeat it for more keys. NAME=VALUE for an index with "
        "several hash attributes: one of each.",
        also=("HashKeyValue",),
        multiple=True,
    ),
    option(
        SELECTION,
        "--key-value-range",
        Word("A..B", ANY_TEXT, "a range", "for example 2026-11-01..2026-11-20"),
        "Only items with these hash keys: days, months (2026-01..2026-03) or numbers.",
    ),
    option(
        SELECTION,
        "--key-type",
        OneOf("S|N|B", "S", "N", "B"),
        "Type of --key-value; default: from the table.",
    ),
    option(
        SELECTION,
        "--sort-key-condition",
        Word("COND", ANY_TEXT, "a condition", "for example '> 2026-01-31'"),
        "Condition on the sort key: '> X', 'between X and Y', 'begins_with X'.",
    ),
    option(
        SELECTION,
        "--where",
        Word("COND", ANY_TEXT, "a condition", """for example "status = 'OPEN' and total > 100\""""),
        """Only items like "status = 'OPEN' and total > 100". Filtered items cost reads too.""",
    ),
    option(
        SELECTION,
        "--filter",
        Word("EXPR", ANY_TEXT, "an expression", "for example '#s = :open'"),
        "The same as a filter expression, such as '#s = :open'.",
    ),
    option(
        SELECTION,
        "--names",
        Word("JSON", ANY_TEXT, "a JSON object", """for example '{"#s": "status"}'"""),
        """Names in expressions: '{"#s": "status"}'.""",
    ),
    option(
        SELECTION,
        "--values",
        Word("JSON", ANY_TEXT, "a JSON object", """for example '{":open": "OPEN"}'"""),
        """Values in expressions: '{":open": "OPEN"}', plain or DynamoDB JSON.""",
    ),
    option(
        SELECTION,
        "--keys-file",
        Readable("FILE"),
        "Only the keys in this file (JSON lines or CSV, also gzip), - or s3://bucket/key.",
    ),
    option(
        SELECTION,
        "--sample",
        Percent("P%", "--sample 1%"),
        "Only this share of the items, by a hash of the key: always the same items.",
    ),
    flag(SELECTION, "--exclude-expired", "Skip items whose TTL has expired (default)."),
    flag(SELECTION, "--include-expired", "Include items whose TTL has expired but that still exist."),
]

_EXPORT = option(
    SELECTION,
    "--export",
    ExportFolder("FOLDER"),
    "Only the items of this DynamoDB export (s3://… or a folder); the table is not read.",
)

selection = _together([*_SELECTION, _EXPORT])
replay_selection = _together(_SELECTION)
"""Without --export, which names events there."""

max_items = option(
    "Safety",
    "--max-items",
    Whole("N", "--max-items 1000", 1, 10**15),
    "Stop (resumable) after this many items.",
)

marker = _together(
    [
        option(
            "Marker",
            "--marker",
            OneOf("KIND", "revision", "stamp"),
            "revision counts up (default), stamp writes the run's id.",
            default="revision",
        ),
        option(
            "Marker",
            "--marker-attribute",
            Word("NAME", ANY_TEXT, "the name of an attribute", "for example --marker-attribute revision"),
            "The attribute that a touch changes; default revision or refire_run_id.",
            unset="revision, or refire_run_id for stamps",
        ),
    ]
)

budget = _together(
    [
        option(
            "Speed",
            "--max-wcu",
            Number("N", "--max-wcu 500"),
            "Maximum WCU/s, for the table and for each index. Overrides --wcu-percent.",
        ),
        option(
            "Speed",
            "--wcu-percent",
            Number("P", "--wcu-percent 50", 100.0),
            f"Share of the table's write capacity to use; default {DEFAULT_WCU_PERCENT:g}.",
            unset="80",
        ),
        option("Speed", "--max-rcu", Number("N", "--max-rcu 200"), "Maximum RCU/s."),
        option(
            "Speed",
            "--max-rate",
            Number("N", "--max-rate 100"),
            "Maximum items/s, for consumers that are slower than the table.",
        ),
    ]
)

pacing = _together(
    [
        option(
            "Speed",
            "--rate",
            Rates("TIMES"),
            "Rate by the time of day: '08:00,20% 20:00,90% Sat-Sun,100%'; or one rate.",
        ),
        option(
            "Speed",
            "--rate-timezone",
            Zone("ZONE"),
            "Time zone of --rate, such as Europe/Berlin; default: this machine's.",
            unset="that of this machine",
        ),
        option(
            "Speed",
            "--headroom",
            Percent("P%", "--headroom 20%", 95.0),
            "Yield to live writes and keep this share of the capacity free.",
        ),
        option(
            "Speed",
            "--max-iterator-age",
            Duration("--max-iterator-age 5m", 10, 12 * 3600),
            "Slow down or pause to keep Lambda consumers from falling further behind.",
        ),
        option(
            "Speed",
            "--consumer-rate",
            Number("N", "--consumer-rate 500"),
            "Records/s the consumers can take on top of live traffic (default: measured).",
        ),
        option(
            "Safety",
            "--max-consumer-errors",
            Whole("N", "--max-consumer-errors 10", 0, 10**9),
            "Stop (resumable) when a Lambda consumer has had more errors than this.",
        ),
    ]
)

segments = option(
    "Speed",
    "--segments",
    Whole("N", "--segments 64", 1, 1_000_000),
    "Number of parallel scan segments; default: chosen from the table's size.",
    unset="chosen from the table's size",
)

writer = option(
    "Speed",
    "--writer",
    OneOf("KIND", "partiql", "update"),
    "partiql: batches of 25 (default); update: item by item.",
    unset="partiql",
)

workers = _together(
    [
        option(
            "Speed", "--workers", Whole("N", "--workers 32", 1, 1024), "Write requests in flight at once."
        ),
        option(
            "Speed",
            "--processes",
            Whole("N", "--processes 2", 1, 64),
            "Processes that share segments and budget; default 1, enough for 40,000 WCU/s.",
            unset="1",
        ),
        writer,
    ]
)

checkpoint = option(
    "Safety",
    "--checkpoint",
    FilePath("FILE"),
    "File for the run's state; default: one per run in your state folder.",
    unset="one per run in your state folder",
)

run_checkpoint = option(
    "Safety",
    "--checkpoint",
    Checkpoint("PLACE"),
    "State of the run: a file, or dynamodb://TABLE/RUN_ID; default: a file in your state folder.",
    unset="one per run in your state folder",
)

ARCHIVE = Word("PREFIX", r"s3://[a-z0-9.-]{3,63}(/[!-~]*)?", "a place in S3", "write s3://bucket/prefix")

archive = option(
    "Several machines",
    "--archive",
    ARCHIVE,
    "Where a run in a checkpoint table keeps pages and lists of keys: s3://bucket/prefix; default: in that table.",
    unset="in the checkpoint table",
)

task = option(
    "Several machines",
    "--task",
    Whole("K", "--task 0", 0, 9_999),
    "The number of this one, from 0; default: its number in an array job.",
    also=("AWS_BATCH_JOB_ARRAY_INDEX",),
)

tasks = _together(
    [
        option(
            "Several machines",
            "--tasks",
            Whole("N", "--tasks 4", 1, 10_000),
            "Processes that share the run, on any machines; needs a checkpoint in a table.",
        ),
        task,
    ]
)

give_up_after = option(
    "Safety",
    "--give-up-after",
    Duration("--give-up-after 30m"),
    "Stop (resumable) after this time without progress; default 10m.",
    unset="10m",
)

ignore = option(
    "Safety",
    "--ignore",
    Findings(),
    "Continue despite this finding, such as stream-disabled. Can be repeated.",
    multiple=True,
)

stream_arn = option(
    "Safety",
    "--stream-arn",
    Word(
        "ARN",
        r"arn:[^\s]+/stream/\S+",
        "the ARN of a DynamoDB stream",
        "aws dynamodbstreams list-streams shows it",
    ),
    "The stream that consumers read; a table with another stream is refused.",
)

verify = flag(
    "Verification",
    "--verify",
    "Read the stream during the run and verify at the end that each item fired once.",
)

canary = option(
    "Verification",
    "--canary",
    Whole("N", "--canary 100", 1, 100_000),
    "Touch N items across the table first, verify their events, check the consumers, then ask.",
)

yes = flag("Safety", "--yes", "Do not ask for confirmation.")

json_output = flag("Output", "--json", "Print the result as JSON: the last line of standard output.")

output = _together(
    [
        json_output,
        option(
            "Output",
            "--log-level",
            OneOf("LEVEL", *LOG_LEVELS),
            "Logs on standard error: debug, info (default), warning or error.",
            default="info",
        ),
        option(
            "Output",
            "--log-format",
            OneOf("FORMAT", "text", "json"),
            "text or json; default text on a terminal, else json.",
            unset="text on a terminal, else json",
        ),
        flag("Output", "--no-progress", "Show no progress on standard error."),
        flag("Output", "--quiet", "No progress; log only warnings and errors.", short="-q"),
        flag("Output", "--verbose", "Log everything, as --log-level debug.", short="-v"),
    ]
)


log_file = option(
    "Output",
    "--log-file",
    FilePath("FILE"),
    "Also log to this file: JSON lines, with the traceback of a bug.",
)


notify = option(
    "Output",
    "--notify",
    NotifyAddress("URL|sns:ARN"),
    "Send the summary here when the run ends: an https POST of JSON, or SNS.",
)

monitoring = _together(
    [
        notify,
        option(
            "Output",
            "--metrics-port",
            Whole("N", "--metrics-port 9464", 1, 65_535),
            "Serve metrics for Prometheus on this port during the run (docs/metrics.md).",
        ),
        option(
            "Output",
            "--metrics-host",
            Word("ADDRESS", r"[0-9A-Za-z.:-]{1,253}", "an address", "for example 0.0.0.0"),
            "Address to serve metrics on; default 127.0.0.1, this machine only.",
        ),
        flag("Output", "--emf", "Write a line of CloudWatch metrics (EMF) to standard error at the end."),
    ]
)
