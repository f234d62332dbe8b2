"""The IAM policy that probes need: limited to the prefix where AWS allows that. Pure."""

from collections.abc import Iterable
from typing import Any

from tests.probes.facts import Probe
from tests.probes.resources import PREFIX, ROLE_PATH

_TABLE = f"arn:*:dynamodb:*:*:table/{PREFIX}*"

_ACTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "dynamodb": {
        _TABLE: (
            *(
                "CreateTable",
                "DeleteTable",
                "DescribeTable",
                "UpdateTable",
                "TagResource",
                "ListTagsOfResource",
            ),
            *("DescribeTimeToLive", "UpdateTimeToLive", "DescribeContinuousBackups"),
            *("DescribeKinesisStreamingDestination", "UpdateContinuousBackups", "ExportTableToPointInTime"),
            *(
                "PutItem",
                "GetItem",
                "UpdateItem",
                "DeleteItem",
                "BatchWriteItem",
                "BatchGetItem",
                "Query",
                "Scan",
            ),
            *("ConditionCheckItem", "PartiQLSelect", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete"),
        ),
        f"{_TABLE}/*": (
            *("Query", "Scan", "PartiQLSelect", "DescribeStream", "GetShardIterator", "GetRecords"),
            "DescribeExport",
        ),
        "*": ("ListTables", "ListStreams", "DescribeLimits"),
    },
    "lambda": {
        f"arn:*:lambda:*:*:function:{PREFIX}*": (
            *(
                "CreateFunction",
                "DeleteFunction",
                "GetFunction",
                "GetFunctionConfiguration",
                "InvokeFunction",
            ),
            *("PutFunctionConcurrency", "DeleteFunctionConcurrency", "GetFunctionConcurrency"),
            *("PublishVersion", "CreateAlias", "ListTags", "TagResource"),
        ),
        "*": (
            *("ListFunctions", "ListEventSourceMappings", "CreateEventSourceMapping", "TagResource"),
            *("DeleteEventSourceMapping", "GetEventSourceMapping"),
        ),
    },
    "iam": {
        f"arn:*:iam::*:role{ROLE_PATH}{PREFIX}*": (
            *("CreateRole", "DeleteRole", "GetRole", "PassRole", "TagRole", "ListRoleTags"),
            *("PutRolePolicy", "DeleteRolePolicy", "ListRolePolicies"),
        ),
        "*": ("ListRoles",),
    },
    "sqs": {
        f"arn:*:sqs:*:*:{PREFIX}*": (
            *("CreateQueue", "DeleteQueue", "GetQueueAttributes", "GetQueueUrl", "TagQueue", "ListQueueTags"),
            *("SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"),
        ),
        "*": ("ListQueues",),
    },
    "s3": {
        f"arn:*:s3:::{PREFIX}*": (
            *(
                "CreateBucket",
                "DeleteBucket",
                "ListBucket",
                "GetBucketTagging",
                "PutBucketTagging",
                "TagResource",
            ),
        ),
        f"arn:*:s3:::{PREFIX}*/*": ("PutObject", "GetObject", "DeleteObject", "AbortMultipartUpload"),
        "*": ("ListAllMyBuckets",),
    },
}

_NAMES = {
    "lambda:Invoke": ("lambda:InvokeFunction",),
    "dynamodb:BatchExecuteStatement": ("dynamodb:PartiQLUpdate", "dynamodb:PartiQLSelect"),
    "dynamodb:ExecuteStatement": ("dynamodb:PartiQLUpdate", "dynamodb:PartiQLSelect"),
    "dynamodb:ExecuteTransaction": ("dynamodb:PartiQLUpdate",),
    "dynamodb:TransactWriteItems": ("dynamodb:UpdateItem", "dynamodb:ConditionCheckItem", "dynamodb:PutItem"),
    "dynamodb:TransactGetItems": ("dynamodb:GetItem",),
    "s3:ListBuckets": ("s3:ListAllMyBuckets",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject",),
    "sqs:SendMessageBatch": ("sqs:SendMessage",),
    "sqs:DeleteMessageBatch": ("sqs:DeleteMessage",),
    "sqs:ChangeMessageVisibilityBatch": ("sqs:ChangeMessageVisibility",),
}
"""Actions of operations that are called otherwise (Service Authorization Reference)."""


def services_of(probes: Iterable[Probe]) -> list[str]:
    """The services in whose policies these probes need something."""
    services = {"dynamodb"}
    for probe in probes:
        services.update(probe.services)
    if "lambda" in services:
        services.add("iam")
    return [service for service in _ACTIONS if service in services]


def policy(services: Iterable[str]) -> dict[str, Any]:
    """The policy document: one statement for each service and resource."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": f"{service.capitalize()}{number or ''}",
                "Effect": "Allow",
                "Action": [f"{service}:{action}" for action in actions],
                "Resource": resource,
            }
            for service in services
            for number, (resource, actions) in enumerate(_ACTIONS[service].items())
        ],
    }


def actions_of(operation: str) -> tuple[str, ...]:
    """The IAM actions of an operation such as `dynamodbstreams:GetRecords`."""
    named = operation.replace("dynamodbstreams:", "dynamodb:")
    return _NAMES.get(named, (named,))


def allowed(services: Iterable[str]) -> set[str]:
    """All actions of the policy."""
    return {
        f"{service}:{action}"
        for service in services
        for actions in _ACTIONS[service].values()
        for action in actions
    }
