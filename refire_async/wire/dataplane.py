"""The hot calls: bytes in, bytes out, one attempt."""

from refire_async.wire.errors import error_of
from refire_async.wire.types import Request, Transport


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
