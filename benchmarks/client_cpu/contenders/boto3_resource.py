"""A boto3 resource in a loop: one thread per segment, `update_item` for each item of a page."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3

from benchmarks.client_cpu.contenders.common import CONDITION, EXPRESSION, REGION, Job, job


def touch_segment(what: Job, segment: int) -> None:
    """Scan a segment and touch its items one after the other."""
    session = boto3.session.Session(region_name=REGION)
    table = session.resource("dynamodb", endpoint_url=what.url).Table(what.table)
    scan: dict[str, Any] = {
        "Segment": segment,
        "TotalSegments": what.segments,
        "ProjectionExpression": "pk, revision",
    }
    while True:
        page = table.scan(**scan)
        for item in page["Items"]:
            table.update_item(
                Key={"pk": item["pk"]},
                UpdateExpression=EXPRESSION,
                ConditionExpression=CONDITION,
                ExpressionAttributeNames={"#r": "revision"},
                ExpressionAttributeValues={":one": 1},
            )
        last = page.get("LastEvaluatedKey")
        if last is None:
            return
        scan["ExclusiveStartKey"] = last


def main() -> None:
    """All segments at once."""
    what = job()
    with ThreadPoolExecutor(what.segments) as pool:
        for _ in pool.map(lambda segment: touch_segment(what, segment), range(what.segments)):
            pass


if __name__ == "__main__":
    main()
