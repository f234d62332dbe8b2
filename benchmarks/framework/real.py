"""What is known of a real table before anything is touched."""

from __future__ import annotations

import os

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from benchmarks.framework.scenario import BenchmarkError, RealTable


def item_count(real: RealTable) -> int:
    """About how many items it holds: DynamoDB counts them every six hours (API reference: DescribeTable).

    Raises BenchmarkError if it cannot be described.
    """
    try:
        # boto3 alone does not know AWS_REGION, which the program takes.
        region = real.region or os.environ.get("AWS_REGION")
        session = boto3.Session(profile_name=real.profile, region_name=region)
        client = session.client("dynamodb", endpoint_url=real.endpoint_url)
        return int(client.describe_table(TableName=real.table)["Table"]["ItemCount"])
    except (BotoCoreError, ClientError) as error:
        raise BenchmarkError(f"the table cannot be described: {error}") from error
