"""From HTTP to operations and back: authentication header, target, JSON, errors, admin paths."""

from __future__ import annotations

import orjson

from refire_async.sandbox.config import SandboxConfig
from refire_async.sandbox.errors import ServiceError, unknown_operation
from refire_async.sandbox.http import Handler, Request, Response


def build_handler(config: SandboxConfig) -> Handler:
    """The handler of a new sandbox with the tables of ``config``."""

    def handle(request: Request) -> Response:
        return _error(unknown_operation())

    return handle


def _error(error: ServiceError) -> Response:
    body = {"__type": error.qualified_type, "message": error.message, **error.extra}
    return Response(error.status, orjson.dumps(body))
