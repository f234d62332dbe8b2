"""The hot calls: bytes in, bytes out, one attempt."""

from typing import Any

import orjson

from refire_async.aws.errors import error_of, lost_answer
from refire_async.aws.types import Request, Transport


class DataPlane:
    """Calls DynamoDB over a transport. Safe for any number of tasks at once."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def call(self, operation: str, body: bytes) -> bytes:
        """Make one attempt and give the body of the service's 200. Never tries again.

        Raises:
            WireError: anything else; its `disposition` tells what the attempt may have done.
        """
        response = await self._transport(Request(operation, body))
        if response.status != 200:
            raise error_of(response, operation)
        return response.body


def parse_reply(body: bytes, member: str | None = None) -> dict[str, Any]:
    """The JSON object of a 200, which must have `member` where one is given.

    Raises:
        WireError: it is something else (a gateway's page, say), so what became of the request is not known.
    """
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError:
        reply = None
    if not isinstance(reply, dict) or (member is not None and member not in reply):
        raise lost_answer("UnreadableAnswer", "the answer is not what DynamoDB sends")
    return reply
