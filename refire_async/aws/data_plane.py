"""The calls of the hot path: bytes in, bytes out, one request each."""

from typing import Any

import orjson

from refire_async.aws.errors import error_of, lost_answer
from refire_async.aws.types import Request, Transport


class DataPlane:
    """Calls DynamoDB over a transport. Any number of tasks may use it at once."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def call(self, operation: str, body: bytes) -> bytes:
        """Send one request and return the body of the service's 200. Never retries.

        Raises:
            AwsError: any other outcome; its `disposition` says whether the request may have been applied.
        """
        response = await self._transport(Request(operation, body))
        if response.status != 200:
            raise error_of(response, operation)
        return response.body


def parse_reply(body: bytes, member: str | None = None) -> dict[str, Any]:
    """Parse the JSON object of a 200, which must have `member` if given.

    Raises:
        AwsError: it is something else, such as a page of a gateway, so the outcome of the request is unknown.
    """
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError:
        reply = None
    if not isinstance(reply, dict) or (member is not None and member not in reply):
        raise lost_answer("UnreadableAnswer", "the answer is not what DynamoDB sends")
    return reply
