"""The part of IAM that our policies need: what a document allows, and what a request needs."""

import fnmatch
from typing import Any

from refire_async.aws.permissions import NEEDS
from tests.support.proxy import Call


def allows(document: dict[str, Any], action: str, resource: str) -> bool:
    """The decision of IAM, for documents of our form (no conditions, no denials)."""

    def as_list(value: Any) -> list[str]:
        return value if isinstance(value, list) else [value]

    return any(
        action in statement["Action"]
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in as_list(statement["Resource"]))
        for statement in document["Statement"]
    )


def needed(call: Call, arn: str) -> tuple[str, str]:
    """The IAM action of a request, and its resource."""
    service = "dynamodb" if ("dynamodb", call.operation) in NEEDS else "dynamodbstreams"
    action = NEEDS[service, call.operation].action
    if "StreamArn" in call.body or "ShardIterator" in call.body:
        return action, f"{arn}/stream/2026-01-01T00:00:00.000"
    index = call.body.get("IndexName")
    return action, f"{arn}/index/{index}" if index else arn
