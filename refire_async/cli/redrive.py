"""`refire redrive`: deliver failed batches again."""

import re
from dataclasses import dataclass
from typing import Any

import click

from refire_async.cli import options
from refire_async.cli.delivery_options import DeliveryOptions, delivery, make_delivery
from refire_async.cli.help import Command
from refire_async.cli.options_to_settings import make_connection, make_monitored_output
from refire_async.cli.params import Readable
from refire_async.errors import UsageError
from refire_async.settings import RedriveSettings

_QUEUE = re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,80}(\.fifo)?|https?://[^\s/]+/\S+")


class FailureSource(Readable):
    """Where failed batches are: a queue's URL or ARN, a prefix in S3, a file, or `-`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text as given. Raises UsageError."""
        if _QUEUE.fullmatch(value):
            return value
        if re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", value, re.DOTALL):
            return value
        return super().convert(value, param, ctx)


@dataclass(frozen=True, kw_only=True)
class RedriveOptions(DeliveryOptions):
    """`refire redrive`."""

    source: str
    keep: bool


@click.command(
    "redrive",
    cls=Command,
    unexpected="one source at a time",
    examples=(
        (
            "Deliver the failed batches in a queue again, and delete their messages",
            "refire redrive https://sqs.eu-west-1.amazonaws.com/123456789012/orders-failed",
        ),
        (
            "Look first: count them, show three records, invoke nothing",
            "refire redrive s3://my-failures/aws/lambda/ --dry-run",
        ),
    ),
)
@click.argument("source", metavar="SOURCE", type=FailureSource("SOURCE"))
@options.flag("Safety", "--keep", "Leave the queue's messages where they are.")
@options.connection
@delivery
@options.output
@options.log_file
@options.monitoring
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Deliver batches again that a Lambda event source mapping or an EventBridge Pipe gave up.

    SOURCE is the on-failure destination: an SQS queue (URL or ARN; also SNS through SQS), s3://bucket/prefix, or a
    file of such records (- for standard input). The function is the one that failed; --function names another.
    """
    parsed = RedriveOptions(**given)
    settings = RedriveSettings(
        source=parsed.source,
        delivery=make_delivery(ctx, parsed),
        connection=make_connection(parsed),
        keep=parsed.keep,
    )
    if parsed.how == "mapping":
        raise UsageError("redrive delivers with --how direct only", "remove --how mapping")
    output = make_monitored_output(ctx, parsed)

    from refire_async.cli import delivery_session  # noqa: PLC0415 - brings the engine, which is slow to import

    return delivery_session.execute(settings, output)
