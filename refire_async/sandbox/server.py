"""From HTTP to operations and back: target, authentication header, JSON, errors."""

from __future__ import annotations

import dataclasses
import re
import sys
import traceback
from functools import partial
from typing import Any

import orjson

from refire_async.sandbox.admin import ADMIN_PATH, Admin
from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.chaos import Call, Chaos
from refire_async.sandbox.config import SandboxConfig, is_loopback
from refire_async.sandbox.database import Database, Session
from refire_async.sandbox.errors import (
    ServiceError,
    internal_server_error,
    missing_authentication_token,
    serialization,
    unknown_operation,
)
from refire_async.sandbox.fault_specs import parse_faults
from refire_async.sandbox.http import Handler, Request, Response
from refire_async.sandbox.latency import parse_latency
from refire_async.sandbox.operations import OPERATION_NAMES, OPERATIONS, Operation
from refire_async.sandbox.responses import error_response
from refire_async.sandbox.tables import load_tables
from refire_async.sandbox.visitors import Visitors

_SCOPE = re.compile(r"Credential=[^/,\s]+/[0-9]{8}/([a-z0-9-]{1,40})/[a-z0-9-]+/aws4_request")
_MAX_SESSIONS = 64
_GZIP_FROM_BYTES = 1024


class Server:
    """Answers the requests of one sandbox. Called for one request at a time, so every request is atomic."""

    def __init__(
        self, database: Database, chaos: Chaos, *, gzip: bool = False, host: str = "127.0.0.1"
    ) -> None:
        """`host` is where it listens: on this machine alone only requests that are meant for it are answered."""
        self._visitors = Visitors(host)
        self._guards_all = is_loopback(host)
        self._database = database
        self._chaos = chaos
        self._gzip = gzip
        self._admin = Admin(database, chaos)
        self._sessions: dict[str, Session] = {}

    def handle(self, request: Request) -> Response:
        """Answer a request; never raises."""
        try:
            is_admin = request.target.startswith(ADMIN_PATH)
            host = request.headers.get("host")
            if (self._guards_all or is_admin) and not self._visitors.may_enter(host):
                return _not_here(host)
            if is_admin:
                return self._admin.handle(request)
            response = self._answer(request)
        except ServiceError as error:
            return error_response(error)
        except Exception:  # noqa: BLE001 - a bug of ours must not end the connection without a word
            traceback.print_exc(file=sys.stderr)
            return error_response(internal_server_error())
        if self._gzip and len(response.body) >= _GZIP_FROM_BYTES:
            response.gzip = "gzip" in request.headers.get("accept-encoding", "")
        return response

    def _answer(self, request: Request) -> Response:
        headers = request.headers
        target = headers.get("x-amz-target", "")
        operation = OPERATIONS.get(target)
        if request.method != "POST" or operation is None:
            raise unknown_operation()
        session = self._session(headers.get("authorization"))
        try:
            parameters = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            raise serialization() from None
        if self._chaos.is_quiet:
            return Response(200, orjson.dumps(operation(session, parameters)))
        self._chaos.catch_up()
        execute = partial(_execute, operation, session, parameters)
        return self._chaos.run(Call(target.partition(".")[2], session.region, parameters, execute))

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


def _not_here(host: str | None) -> Response:
    said = f"This sandbox answers requests for 127.0.0.1 and localhost, not for {host}."
    return Response(403, orjson.dumps({"__type": "com.refire.sandbox#ForeignHost", "message": said}))


def _execute(operation: Operation, session: Session, parameters: Any) -> bytes:
    return orjson.dumps(operation(session, parameters))


def capacity_settings(config: SandboxConfig) -> CapacitySettings:
    """Settings of the capacity model: its defaults, but for what ``config`` says. Raises ``ValueError``."""
    settings = CapacitySettings(burst_seconds=config.burst_seconds)
    if config.split_after is not None:
        split_after = None if config.split_after == "never" else config.split_after
        settings = dataclasses.replace(settings, split_after=split_after)
    if config.growth_after is not None:
        settings = settings.with_growth_after(config.growth_after)
    return settings.validate()


def build_handler(config: SandboxConfig) -> Handler:
    """The handler of a new sandbox with the tables, latency and faults of ``config``.

    Raises ``ValueError`` with one line for each thing that is wrong.
    """
    database = Database(settings=capacity_settings(config), partitions=config.partitions)
    load_tables(database, config.tables)
    latency = None if config.latency is None else parse_latency(config.latency)
    chaos = Chaos(database, latency=latency, seed=config.seed)
    if config.faults is not None:
        chaos.install(parse_faults(config.faults, operations=OPERATION_NAMES, default_seed=config.seed))
    return Server(database, chaos, gzip=config.gzip, host=config.host).handle
