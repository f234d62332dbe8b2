"""Where a user's own configuration leads, found out without asking anybody."""

import os

from botocore.exceptions import BotoCoreError

from refire_async.aws.config import AwsSession
from refire_async.settings import Connection


def configured(connection: Connection) -> Connection:
    """`connection` with what options leave open filled in: from the environment and the AWS configuration.

    `None` is left where these say nothing: no region, no profile but the default one, AWS's own endpoint. A profile
    that the environment names beside access keys of its own counts for nothing: botocore takes the keys. What cannot
    be used, such as an unknown profile, fills in nothing: the session that is opened with it says why.
    """
    try:
        aws = AwsSession(connection)
        endpoint = connection.endpoint_url or aws.configured_endpoint("dynamodb")
    except (BotoCoreError, ValueError):
        return connection
    profile = connection.profile or (None if _has_keys() else aws.profile)
    return Connection(region=aws.region, profile=profile, endpoint_url=endpoint)


def _has_keys() -> bool:
    return bool(os.environ.get("AWS_ACCESS_KEY_ID"))
