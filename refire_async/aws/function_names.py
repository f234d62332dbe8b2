"""Names of Lambda functions. Pure."""

import re
from dataclasses import dataclass

from refire_async.errors import UsageError

_FUNCTION = re.compile(
    r"(?:arn:(?P<partition>aws[a-z-]*):lambda:(?P<region>[a-z0-9-]+):)?"
    r"(?:(?P<account>\d{12}):(?:function:)?|function:)?"
    r"(?P<name>[a-zA-Z0-9_-]{1,140})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]{1,128}))?"
)
"""What Lambda takes for FunctionName (API reference: Invoke), a full ARN, a partial one or a name."""


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A function as the user names it. `region` and `account` are None where only the name is given.

    `address` is what Lambda takes for FunctionName; the qualifier goes beside it.
    """

    name: str
    qualifier: str | None = None
    region: str | None = None
    account: str | None = None
    address: str = ""

    def __str__(self) -> str:
        return f"{self.address}:{self.qualifier}" if self.qualifier else self.address


def parse_function(text: str) -> FunctionName:
    """`NAME[:QUALIFIER]` or an ARN, whole or in part. Raises UsageError."""
    found = _FUNCTION.fullmatch(text)
    if found is None or (found["region"] is not None and found["account"] is None):
        raise UsageError(
            f"{text!r} names no Lambda function",
            "give NAME, NAME:ALIAS or the function's ARN",
        )
    qualifier = found["qualifier"]
    address = text.removesuffix(f":{qualifier}") if qualifier else text
    return FunctionName(found["name"], qualifier, found["region"], found["account"], address)
