"""Control operations of a few lines each."""

from __future__ import annotations

from typing import Any

from refire_async.sandbox.database import Session
from refire_async.sandbox.errors import validation
from refire_async.sandbox.operations.common import TABLE_NAME
from refire_async.sandbox.shapes import boolean, check, integer, structure, text

_TABLE = structure({"TableName": TABLE_NAME})
_LIST = structure(Limit=integer(1, 100), ExclusiveStartTableName=text(3, 255, pattern="[a-zA-Z0-9_.-]+"))
_TTL = structure(
    {
        "TableName": TABLE_NAME,
        "TimeToLiveSpecification": structure({"Enabled": boolean, "AttributeName": text(1, 255)}),
    }
)


def list_tables(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """ListTables, in order of name."""
    check(_LIST, request)
    start, limit = request.get("ExclusiveStartTableName") or "", request.get("Limit") or 100
    names = sorted(name for name in session.database.tables if name > start)
    response: dict[str, Any] = {"TableNames": names[:limit]}
    if len(names) > limit:
        response["LastEvaluatedTableName"] = names[limit - 1]
    return response


def describe_time_to_live(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """DescribeTimeToLive."""
    check(_TABLE, request)
    ttl = session.database.described_table(request["TableName"]).ttl
    shown = {"TimeToLiveStatus": "ENABLED" if ttl.enabled else "DISABLED"}
    if ttl.enabled and ttl.attribute is not None:
        shown["AttributeName"] = ttl.attribute
    return {"TimeToLiveDescription": shown}


def update_time_to_live(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """UpdateTimeToLive. The setting is kept; items do not expire by themselves."""
    check(_TTL, request)
    ttl = session.database.described_table(request["TableName"]).ttl
    wanted = request["TimeToLiveSpecification"]
    if wanted["Enabled"] == ttl.enabled:
        raise validation(f"TimeToLive is already {'enabled' if ttl.enabled else 'disabled'}")
    if ttl.enabled and wanted["AttributeName"] != ttl.attribute:
        raise validation("TimeToLive is active on a different AttributeName: " + str(ttl.attribute))
    ttl.enabled, ttl.attribute = wanted["Enabled"], wanted["AttributeName"]
    return {"TimeToLiveSpecification": wanted}


def describe_continuous_backups(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """DescribeContinuousBackups: always disabled."""
    check(_TABLE, request)
    session.database.described_table(request["TableName"])
    return {
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
        }
    }


def describe_kinesis_streaming_destination(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """DescribeKinesisStreamingDestination: there is none."""
    check(_TABLE, request)
    table = session.database.described_table(request["TableName"])
    return {"TableName": table.name, "KinesisDataStreamDestinations": []}


def describe_limits(session: Session, _request: dict[str, Any]) -> dict[str, Any]:
    """DescribeLimits: the quotas that the capacity model enforces."""
    settings = session.database.settings
    return {
        "AccountMaxReadCapacityUnits": int(settings.account_read_units),
        "AccountMaxWriteCapacityUnits": int(settings.account_write_units),
        "TableMaxReadCapacityUnits": int(settings.quota_read_units),
        "TableMaxWriteCapacityUnits": int(settings.quota_write_units),
    }
