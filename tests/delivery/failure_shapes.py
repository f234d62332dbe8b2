"""Invocation records of failed batches in the shapes of the real service, for tests."""

import json
from typing import Any

STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-30T00:00:00.000"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:consumer"
SHARD = "shardId-00000001764460800000-aaaaaaaa"


def stream_record(sequence: int, key: str = "a", kind: str = "MODIFY") -> dict[str, Any]:
    """A record as it stands in an event."""
    images = {
        "NewImage": {"pk": {"S": key}, "n": {"N": "2"}},
        "OldImage": {"pk": {"S": key}, "n": {"N": "1"}},
    }
    left_out = {"INSERT": "OldImage", "REMOVE": "NewImage"}.get(kind)
    return {
        "eventID": f"{sequence:032x}",
        "eventName": kind,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1764460800.0 + sequence,
            "Keys": {"pk": {"S": key}},
            **{name: image for name, image in images.items() if name != left_out},
            "SequenceNumber": f"{sequence:021}",
            "SizeBytes": 20,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": STREAM,
    }


def invocation_record(first: int, last: int, size: int | None = None, **changes: Any) -> dict[str, Any]:
    """What SQS gets of a batch whose retries are used up. `changes` replace members at the top."""
    return {
        "requestContext": {
            "requestId": "0a1b2c3d-0000-0000-0000-000000000000",
            "functionArn": FUNCTION,
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 3,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2026-11-30T12:00:00.000Z",
        "DDBStreamBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": f"{first:021}",
            "endSequenceNumber": f"{last:021}",
            "approximateArrivalOfFirstRecord": "2026-11-30T11:00:00Z",
            "approximateArrivalOfLastRecord": "2026-11-30T11:00:05Z",
            "batchSize": last - first + 1 if size is None else size,
            "streamArn": STREAM,
        },
        **changes,
    }


def pipe_record(first: int, last: int) -> dict[str, Any]:
    """What a Pipe writes: `context` in place of the request's and the response's."""
    record = invocation_record(first, last)
    del record["requestContext"], record["responseContext"]
    record["context"] = {
        "partnerResourceArn": "arn:aws:pipes:eu-west-1:123456789012:pipe/orders",
        "condition": "RetryAttemptsExhausted",
    }
    return record


def through_sns(record: dict[str, Any]) -> dict[str, Any]:
    """The body of a queue's message that SNS has put there."""
    return {"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": json.dumps(record)}
