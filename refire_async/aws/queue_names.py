"""Names of SQS queues: an ARN, or the URL that SQS gives. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from refire_async.errors import UsageError

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):sqs:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):(?P<name>[a-zA-Z0-9_.-]{1,80})"
)
_PATH = re.compile(r"/(?:queue/[a-z0-9-]+/)?(?P<account>\d{1,12})/(?P<name>[a-zA-Z0-9_.-]{1,80})/?")
_HOSTS = (
    re.compile(r"sqs(?:-fips)?\.(?P<region>[a-z0-9-]+)\..+"),
    re.compile(r"(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.queue\..+"),
)
"""Those of AWS, present and former; emulators copy them."""


@dataclass(frozen=True, slots=True)
class QueueName:
    """A queue. `region` is None where the text does not say it; `url` is None where an ARN was given."""

    account: str
    name: str
    region: str | None = None
    url: str | None = None

    def __str__(self) -> str:
        return self.url or f"{self.account}/{self.name}"


def is_queue(text: str) -> bool:
    """Whether a text is meant to name a queue, and not a file or S3."""
    return text.startswith(("https://", "http://", "arn:"))


def parse_queue(text: str) -> QueueName:
    """A queue from its ARN or URL. Raises UsageError."""
    if found := _ARN.fullmatch(text):
        return QueueName(found["account"], found["name"], found["region"])
    try:
        parts = urlsplit(text)
        path = _PATH.fullmatch(parts.path)
    except ValueError:
        path = None
    if path is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise UsageError(
            "the queue is not named by an SQS URL or ARN",
            "give it as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME or arn:aws:sqs:REGION:ACCOUNT:NAME",
        )
    if parts.username is not None or parts.password is not None:
        raise UsageError("the queue's URL holds a user name", "give it without")
    regions = [found["region"] for host in _HOSTS if (found := host.fullmatch(parts.hostname))]
    return QueueName(path["account"].zfill(12), path["name"], regions[0] if regions else None, text)
