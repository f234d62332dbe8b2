"""The admin paths: ``GET /_sandbox/stats`` and ``PUT /_sandbox/faults``, for this machine only."""

from __future__ import annotations

from typing import Any

import orjson

from refire_async.sandbox.chaos import Chaos
from refire_async.sandbox.database import Database
from refire_async.sandbox.fault_specs import FaultFileError, parse_faults
from refire_async.sandbox.http import Request, Response
from refire_async.sandbox.operations import OPERATION_NAMES

ADMIN_PATH = "/_sandbox/"


class Admin:
    """Answers admin requests. They are not part of DynamoDB: no credentials, no faults, no latency."""

    def __init__(self, database: Database, chaos: Chaos) -> None:
        self._database = database
        self._chaos = chaos

    def handle(self, request: Request) -> Response:
        """Answer a request for a path below ``ADMIN_PATH``."""
        path = request.target.partition("?")[0]
        if not request.from_loopback:
            return _json(403, {"error": "admin paths answer this machine only"})
        if path == "/_sandbox/stats" and request.method == "GET":
            return _json(200, self.stats())
        if path == "/_sandbox/faults" and request.method == "PUT":
            return self._put_faults(request.body)
        return _json(404, {"error": "there are GET /_sandbox/stats and PUT /_sandbox/faults"})

    def stats(self) -> dict[str, Any]:
        """Capacity of every table and index, second by second, and the counts of faults."""
        self._chaos.catch_up()
        return {
            "time": self._database.clock.time(),
            "tables": {
                name: {"items": len(table.rows), "bytes": table.size_bytes, "arms": table.capacity.stats()}
                for name, table in self._database.tables.items()
            },
            "faults": self._chaos.struck(),
        }

    def _put_faults(self, body: bytes) -> Response:
        try:
            document = orjson.loads(body)
            spec = parse_faults(document, operations=OPERATION_NAMES)
        except orjson.JSONDecodeError as error:
            return _json(400, {"mistakes": [f"not valid JSON: {error}"]})
        except FaultFileError as error:
            return _json(400, {"mistakes": error.mistakes})
        self._chaos.install(spec)
        return _json(200, {"faults": len(spec.requests) + len(spec.events)})


def _json(status: int, content: Any) -> Response:
    return Response(status, orjson.dumps(content), content_type="application/json")
