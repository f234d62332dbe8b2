"""Messages for errors of the service that end the run: one line with the cause, one with the action to take."""

import re

ITEM_WRITES = frozenset(
    ("BatchExecuteStatement", "ExecuteStatement", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
)
"""Operations whose requests contain item data. The service's messages about them may quote it."""

_DENIED = re.compile(r"(?:User: )?(?P<who>\S+) is not authorized to perform: (?P<what>[\w:*]+)")
_RESOURCE = re.compile(r"on resource: (?P<where>\S+)")
_IAM_ACTION = {
    "BatchExecuteStatement": "dynamodb:PartiQLUpdate",
    "ExecuteStatement": "dynamodb:PartiQLUpdate",
    "Invoke": "lambda:InvokeFunction",
}
_MESSAGE_LIMIT = 300

_LOG_IN = "choose another --profile, or log in again (`aws sso login`)"

_FIXED: dict[str, tuple[str, str]] = {
    "UnrecognizedClient": (
        "the service does not know these credentials",
        f"check the access key and that it belongs to this partition and account, {_LOG_IN}",
    ),
    "InvalidClientTokenId": ("the service does not know these credentials", _LOG_IN),
    "MissingAuthenticationToken": (
        "the request reached the service without a signature",
        "check --endpoint-url and any proxy: one of them removes the Authorization header",
    ),
    "InvalidSignature": (
        "the service does not accept the signature",
        "check that the secret key belongs to the access key, and --region, which is part of the signature",
    ),
    "IncompleteSignature": (
        "the service cannot read the signature",
        "check the access key for blanks or line ends, and any proxy that changes headers",
    ),
    "UnknownOperation": (
        "the endpoint does not know the operation",
        "check that --endpoint-url is that of DynamoDB",
    ),
    "TrimmedDataAccess": (
        "the stream no longer has these records: it keeps them for 24 hours",
        "verify within 24 hours of the run",
    ),
}
_SAME_AS = {"SignatureDoesNotMatch": "InvalidSignature", "InvalidAccessKeyId": "InvalidClientTokenId"}


def advise(code: str, operation: str, said: str) -> tuple[str, str]:
    """Message and action for an error that ends the run.

    `code` is the short name of the error, `said` the service's message in one line. The result contains that message
    only if it cannot quote item data or credentials: if it is about resources, or about a read, whose request contains
    what the user wrote.
    """
    name = code.removesuffix("Exception")
    fixed = _FIXED.get(_SAME_AS.get(name, name))
    if fixed is not None:
        what, action = fixed
        return f"{operation} was refused: {what} ({code})", action
    if name == "AccessDenied":
        return _access_denied(operation, said)
    said = said[:_MESSAGE_LIMIT].rstrip(". ")
    if name == "ResourceNotFound":
        return (
            f"{operation} was refused: {said or 'no such table, index or stream'}",
            "check --table, --index, --region, and that --profile is of the account that has the table",
        )
    if name.startswith("HTTP "):
        return (
            f"{operation} was answered with {name}, and not by DynamoDB",
            "check --endpoint-url and the proxy settings (HTTPS_PROXY, NO_PROXY)",
        )
    if operation in ITEM_WRITES or not said:
        return (
            f"{operation} was refused: {code}",
            "check the table's settings against the service's documentation",
        )
    return f"{operation} was refused ({code}): {said}", "correct the option that it names"


def _access_denied(operation: str, said: str) -> tuple[str, str]:
    """Name the missing IAM action. The message of a PartiQL batch names it more precisely than its operation."""
    denied, resource = _DENIED.search(said), _RESOURCE.search(said)
    action = denied["what"] if denied else _IAM_ACTION.get(operation, f"dynamodb:{operation}")
    principal = denied["who"] if denied else "these credentials"
    where = f" on {resource['where'].rstrip('.')}" if resource else ""
    if "explicit deny" in said:
        return (
            f"{principal} may not perform {action}{where}",
            "remove the explicit deny from the policy that has it",
        )
    return (
        f"{principal} may not perform {action}{where}",
        f"allow {action} in its IAM policy, or choose another --profile",
    )
