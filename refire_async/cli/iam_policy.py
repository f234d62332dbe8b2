"""`refire iam-policy`: print the IAM policy with exactly the permissions that a command needs."""

import os
from typing import Any

import click

from refire_async.aws import permissions
from refire_async.aws.function_names import parse_function
from refire_async.aws.permissions import COMMANDS, TableArn, Use, parse_arn, policy
from refire_async.aws.queue_names import is_queue, parse_queue
from refire_async.cli import options
from refire_async.cli.help import Command
from refire_async.cli.params import NotifyAddress, OneOf, Word, quoted
from refire_async.cli.streams import print_json, print_result
from refire_async.errors import UsageError
from refire_async.settings import DeliveryHow, WriterKind

_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/job"


class Commands(OneOf):
    """One command, or several separated by commas."""

    def __init__(self) -> None:
        super().__init__("COMMAND", *COMMANDS)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The commands as a tuple. Raises UsageError."""
        if isinstance(value, tuple):
            return value
        return tuple(OneOf.convert(self, word.strip(), param, ctx) for word in value.split(","))


@click.command(
    "iam-policy",
    cls=Command,
    unexpected="name the table with --table {0}",
    examples=(
        ("What a run of the whole table needs", f"refire iam-policy --table {_ARN}"),
        (
            "The same plus verification, for a table given by name",
            "refire iam-policy -t orders --account 123456789012 --command run,verify",
        ),
    ),
)
@options.option(
    "Permissions",
    "--table",
    Word("NAME", options.ANY_TEXT, "a table", f"for example --table {_ARN}"),
    "The table's ARN, or its name with --account and --region.",
    short="-t",
)
@options.option(
    "Permissions",
    "--account",
    Word("NUMBER", r"\d{12}", "the 12 digits of an AWS account", "for example --account 123456789012"),
    "The AWS account of a table that is given by name.",
)
@options.option(
    "Permissions",
    "--region",
    Word("NAME", r"[a-z0-9-]{1,60}", "the name of a region", "for example --region eu-west-1"),
    "Its region; default: AWS_REGION or AWS_DEFAULT_REGION.",
    unset="from AWS_REGION",
)
@options.option(
    "Permissions",
    "--command",
    Commands(),
    "run (default), resume, check, plan, verify, replay, redrive or doctor; separate several by commas.",
    default=("run",),
)
@options.flag("Permissions", "--dry-run", "For --dry-run: without the permission to write or to invoke.")
@options.option(
    "Selection",
    "--index",
    Word("NAME", r"[a-zA-Z0-9_.-]{3,255}", "the name of an index", "for example --index by-day"),
    "For items that are found through this index.",
)
@options.flag("Selection", "--by-key", "For runs with --key-value: Query instead of Scan.")
@options.option(
    "Selection",
    "--keys-file",
    Word("FILE", options.ANY_TEXT, "a path or s3://bucket/key", "for example --keys-file failed.jsonl"),
    "For runs with this keys file: neither Scan nor Query; s3://bucket/key adds S3.",
)
@options.option(
    "Selection",
    "--export",
    Word("FOLDER", options.ANY_TEXT, "a folder or s3://bucket/folder", "for example --export ./export"),
    "For runs over this export: neither Scan nor Query; s3://… adds S3.",
)
@options.option(
    "Permissions",
    "--notify",
    NotifyAddress("sns:ARN"),
    "For runs with this --notify: a topic takes sns:Publish.",
)
@options.option(
    "Delivery",
    "--function",
    Word("NAME", options.ANY_TEXT, "a Lambda function", "for example --function orders-consumer:live"),
    "For replay and redrive to this function: a name in the table's account, or an ARN.",
)
@options.option(
    "Delivery",
    "--to",
    Word("FILE", options.ANY_TEXT, "a file, - or python:MODULE.FUNCTION", "for example --to events.jsonl"),
    "For replay and redrive to a file or a local handler: nothing is invoked.",
)
@options.option(
    "Delivery",
    "--from",
    Word(
        "SOURCE", options.ANY_TEXT, "a queue, s3://bucket/prefix or a file", "for example --from s3://failed"
    ),
    "For redrive from this source: the URL or ARN of a queue, s3://bucket/prefix, or a file.",
)
@options.option(
    "Delivery",
    "--how",
    OneOf("HOW", "direct", "mapping"),
    "For replay with this --how: mapping makes and deletes an alias and an event source mapping.",
    default="direct",
)
@options.flag("Delivery", "--as-items", "For replay --as: reads the table instead of its stream.")
@options.flag("Delivery", "--keep", "For redrive --keep: without the permission to delete messages.")
@options.option(
    "Delivery",
    "--kms-key",
    Word(
        "ARN",
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[a-zA-Z0-9-]+",
        "the ARN of a key",
        "an alias will not do",
    ),
    "The customer managed key of the queue or bucket: adds kms:Decrypt on it.",
)
@options.option(
    "Permissions",
    "--checkpoint-table",
    Word(
        "NAME", r"[a-zA-Z0-9_.-]{3,255}", "the name of a table", "for example --checkpoint-table refire-runs"
    ),
    "For runs with --checkpoint dynamodb://NAME/…, in the account and region of the table.",
)
@options.option(
    "Permissions",
    "--archive",
    options.ARCHIVE,
    "For runs with --archive: the same s3://bucket/prefix.",
)
@options.option("Speed", "--writer", OneOf("KIND", "partiql", "update"), "partiql (default) or update.")
@options.json_output
def command(
    *,
    table: str | None,
    account: str | None,
    region: str | None,
    command: tuple[permissions.Command, ...],
    dry_run: bool,
    index: str | None,
    by_key: bool,
    keys_file: str | None,
    export: str | None,
    notify: str | None,
    function: str | None,
    to: str | None,
    how: DeliveryHow,
    as_items: bool,
    keep: bool,
    kms_key: str | None,
    checkpoint_table: str | None,
    archive: str | None,
    writer: WriterKind | None,
    json: bool,
    **source: str | None,  # `--from`: a word of Python
) -> int:
    """Print the IAM policy with exactly the permissions that a command needs. Sends nothing to AWS."""
    if table is None:
        raise UsageError("no table given", f"name its ARN, for example --table {_ARN}")
    where = _table(table, account, region)
    if function is None and to is None and {"replay", "redrive"} & set(command):
        raise UsageError(
            "replay and redrive deliver to a target that is not given",
            "add --function NAME, or --to FILE for one that is no function",
        )
    if how == "mapping" and (function is None or "replay" not in command):
        raise UsageError(
            "--how mapping is for --command replay with --function", "add them, or leave out --how"
        )
    use = Use(
        table=where,
        commands=command,
        index=index,
        by_key=by_key,
        keys_file=_in_s3("--keys-file", keys_file),
        export=_in_s3("--export", export),
        writer=writer or "partiql",
        dry_run=dry_run,
        function=None if function is None else _function(function, where),
        items=as_items,
        failed=_failed(source["from"], where),
        keep=keep,
        mapping=how == "mapping",
        kms_key=kms_key,
        checkpoint_table=checkpoint_table,
        archive=archive,
        topic=notify if (notify or "").startswith("arn:") else None,
    )

    import orjson  # noqa: PLC0415 - not needed to show help

    text = orjson.dumps(policy(use), option=0 if json else orjson.OPT_INDENT_2).decode()
    print_json(text) if json else print_result(text)
    return 0


def _table(text: str, account: str | None, region: str | None) -> TableArn:
    """The table with this ARN, or with this name in an account and a region. Raises UsageError."""
    if text.startswith("arn:"):
        found = parse_arn(text)
        for option, value, there in (("account", account, found.account), ("region", region, found.region)):
            if value is not None and value != there:
                raise UsageError(f"--{option} {value} is not that of --table {text}", "leave it out")
        return found
    region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    missing = [name for name, value in (("--account", account), ("--region", region)) if not value]
    if account is None or not region:
        raise UsageError(
            f"--table must be the ARN of a table, or its name with --account and --region, not {quoted(text)} alone",
            f"add {' and '.join(missing)}, for example --account 123456789012 --region eu-west-1",
        )

    from botocore.session import Session  # noqa: PLC0415 - slow to import, not needed to show help

    partition = Session().get_partition_for_region(region)
    return parse_arn(str(TableArn(partition, region, account, text)))


def _function(text: str, table: TableArn) -> str:
    """The ARN of a function, with its qualifier; what the text leaves open is the table's. Raises UsageError."""
    found = parse_function(text)
    where = f"{found.region or table.region}:{found.account or table.account}"
    arn = f"arn:{table.partition}:lambda:{where}:function:{found.name}"
    return f"{arn}:{found.qualifier}" if found.qualifier else arn


def _failed(text: str | None, table: TableArn) -> str | None:
    """The ARN of a queue or `s3://bucket/prefix`, None for a file. Raises UsageError."""
    if text is None:
        return None
    if text.startswith("s3://"):
        rest = text.removeprefix("s3://")
        if not rest.partition("/")[0] or set(rest) & set("*?$"):
            raise UsageError(
                f"--from {text!r} names no bucket", "give it as s3://bucket/prefix, without wildcards"
            )
        return text
    if not is_queue(text):
        return None
    queue = parse_queue(text)
    return f"arn:{table.partition}:sqs:{queue.region or table.region}:{queue.account}:{queue.name}"


def _in_s3(option: str, name: str | None) -> str | None:
    """`name` unchanged. Raises UsageError if it is in S3 and not one object: a wildcard would allow too much."""
    if name is None or not name.startswith("s3://"):
        return name
    bucket, _, key = name.removeprefix("s3://").partition("/")
    if not bucket or not key or set(bucket + key) & set("*?$"):
        raise UsageError(
            f"{option} {name!r} does not name an object", "give it as s3://bucket/key, without wildcards"
        )
    return name
