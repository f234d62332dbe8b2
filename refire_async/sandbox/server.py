"""From HTTP to operations and back: target, authentication header, JSON, errors, admin paths."""

from __future__ import annotations

import dataclasses
import re
import sys
import traceback

import orjson

from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.config import SandboxConfig
from refire_async.sandbox.database import Database, Session
from refire_async.sandbox.errors import (
    ServiceError,
    internal_server_error,
    missing_authentication_token,
    serialization,
    unknown_operation,
)
from refire_async.sandbox.http import Handler, Request, Response
from refire_async.sandbox.operations import OPERATIONS
from refire_async.sandbox.tables import load_tables

_SCOPE = re.compile(r"Credential=[^/,\s]+/[0-9]{8}/([a-z0-9-]{1,40})/[a-z0-9-]+/aws4_request")
_MAX_SESSIONS = 64


class Server:
    """Answers the requests of one sandbox. Called for one request at a time, so every request is atomic."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sessions: dict[str, Session] = {}

    def handle(self, request: Request) -> Response:
        """Answer a request; never raises."""
        try:
            return Response(200, self._answer(request))
        except ServiceError as error:
            return _error_response(error)
        except Exception:  # noqa: BLE001 - a bug of ours must not end the connection without a word
            traceback.print_exc(file=sys.stderr)
            return _error_response(internal_server_error())

    def _answer(self, request: Request) -> bytes:
        headers = request.headers
        operation = OPERATIONS.get(headers.get("x-amz-target", ""))
        if request.method != "POST" or operation is None:
            raise unknown_operation()
        session = self._session(headers.get("authorization"))
        try:
            parameters = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            raise serialization() from None
        return orjson.dumps(operation(session, parameters))

    def _session(self, authorization: str | None) -> Session:
        if authorization is None:
            raise missing_authentication_token()
        # What comes before the signature is the same in every request of a client.
        scope = authorization.partition(", SignedHeaders")[0]
        session = self._sessions.get(scope)
        if session is None:
            match = _SCOPE.search(authorization)
            if match is None:
                raise ServiceError(
                    "IncompleteSignatureException",
                    "Authorization header requires 'Credential' parameter with a scope of date, region and service.",
                )
            if len(self._sessions) >= _MAX_SESSIONS:
                self._sessions.clear()
            session = self._sessions[scope] = Session(self._database, match[1])
        return session


def _error_response(error: ServiceError) -> Response:
    body: dict[str, object] = {"__type": error.qualified_type}
    if error.message:
        body["message"] = error.message
    body.update(error.extra)
    return Response(error.status, orjson.dumps(body))


def build_handler(config: SandboxConfig) -> Handler:
    """The handler of a new sandbox with the tables of ``config``."""
    settings = CapacitySettings(burst_seconds=config.burst_seconds)
    if config.split_after is not None:
        settings = dataclasses.replace(settings, split_after=config.split_after)
    database = Database(settings=settings.validate(), partitions=config.partitions)
    load_tables(database, config.tables)
    return Server(database).handle
