"""Fakes of the wire for the engine's own tests: functions over the transport's frozen records."""

from collections.abc import Callable
from typing import Any, TypeAlias

import orjson

from refire_async.aws.data_plane import DataPlane
from refire_async.aws.types import Request, Response

Answer: TypeAlias = Callable[[str, dict[str, Any]], dict[str, Any]]
"""From an operation and its request to the reply."""


def data_plane(answer: Answer) -> DataPlane:
    """A data plane whose transport answers every call with `answer` and a 200; errors are raised by `answer`."""

    async def transport(request: Request) -> Response:
        reply = answer(request.operation, orjson.loads(request.body))
        return Response(200, {}, orjson.dumps(reply))

    return DataPlane(transport)


class Scripted:
    """Answers calls with the given replies in turn, and keeps what was asked."""

    def __init__(self, *replies: dict[str, Any]) -> None:
        self._replies = list(replies)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.data = data_plane(self._answer)

    def _answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((operation, request))
        return self._replies.pop(0)
