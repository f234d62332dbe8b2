"""Errors as responses."""

from __future__ import annotations

import orjson

from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.http import Response


def error_response(error: ServiceError) -> Response:
    """The response that says an error: ``__type``, ``message`` and what else belongs to it."""
    body: dict[str, object] = {"__type": error.qualified_type}
    if error.message:
        body["message"] = error.message
    body.update(error.extra)
    return Response(error.status, orjson.dumps(body))
