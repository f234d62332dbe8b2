"""Fakes of the AWS client for the engine's tests: functions over the transport's frozen records."""

from collections.abc import Callable
from typing import Any, TypeAlias

import orjson

from refire_async.aws.data_plane import DataPlane
from refire_async.aws.types import Request, Response

Answer: TypeAlias = Callable[[str, dict[str, Any]], dict[str, Any]]
"""From an operation and its request to the reply."""


def data_plane(answer: Answer) -> DataPlane:
    """A data plane whose transport responds to every call with `answer` and a 200; `answer` raises errors."""

    async def transport(request: Request) -> Response:
        reply = answer(request.operation, orjson.loads(request.body))
        return Response(200, {}, orjson.dumps(reply))

    return DataPlane(transport)


class Scripted:
    """Responds to calls with the given replies in turn, and records the requests."""

    def __init__(self, *replies: dict[str, Any]) -> None:
        self._replies = list(replies)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.data = data_plane(self._answer)

    def _answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((operation, request))
        return self._replies.pop(0)
