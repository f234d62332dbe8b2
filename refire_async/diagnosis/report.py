"""The diagnosis as one JSON document."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from refire_async.aws.config import configured
from refire_async.aws.session import Session, open_session
from refire_async.diagnosis import harmless
from refire_async.diagnosis.events import read_tail
from refire_async.diagnosis.last_run import describe_last_run
from refire_async.diagnosis.probes import probe_table, why
from refire_async.diagnosis.software import describe_software, variables_set
from refire_async.errors import RefireError
from refire_async.preflight.check import check
from refire_async.settings import Connection, RunSettings

FORMAT = 1

CONTENTS = (
    "versions and settings of refire, the outcomes of its last run, and whether calls about the table work."
    " Names of tables, attributes and functions, keys, items, paths and credentials are left out"
)
"""What a file contains, for the file itself and for the terminal."""

_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Setting:
    """An option of `run` that is not at its default. `words` are those it can have, if it has one of several."""

    name: str
    source: str
    value: Any
    words: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The option without a value that is free text."""
        shown = harmless.number(self.value)
        if shown is None and isinstance(self.value, str) and self.value in self.words:
            return {"name": self.name, "source": self.source, "value": self.value}
        if shown is None and self.name == "endpoint-url":
            return {"name": self.name, "source": self.source, "value": harmless.endpoint(str(self.value))}
        return {"name": self.name, "source": self.source, **({} if shown is None else {"value": shown})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to diagnose. `settings` is the name of an error if they cannot be read."""

    connection: Connection
    table: str | None
    checkpoint: Path | None
    log_file: Path | None
    settings: Sequence[Setting] | str = field(default=())


async def diagnose(request: Request) -> dict[str, Any]:
    """Collect everything. Raises nothing for what cannot be asked or read: that is a part of the diagnosis."""
    found = {
        "contents": CONTENTS,
        "format": FORMAT,
        "made_at": harmless.moment(time.time()),
        "software": describe_software(),
        "variables_set": variables_set(os.environ),
        "connection": _describe_connection(request.connection),
        "settings": _describe_settings(request.settings),
        "last_run": describe_last_run(request.checkpoint),
        "log": None if request.log_file is None else read_tail(request.log_file),
    }
    return found | await _ask(request)


def to_text(diagnosis: dict[str, Any]) -> bytes:
    """The document, indented for a reader."""
    return orjson.dumps(diagnosis, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _describe_connection(connection: Connection) -> dict[str, Any]:
    used = configured(connection)
    return {
        "region": harmless.region(used.region),
        "profile": used.profile is not None,
        "endpoint": harmless.endpoint(used.endpoint_url),
    }


def _describe_settings(settings: Sequence[Setting] | str) -> Any:
    if isinstance(settings, str):
        return {"refused": harmless.code(settings)}
    return [one.to_json() for one in settings]


async def _ask(request: Request) -> dict[str, Any]:
    """`session`: whether there are credentials, `probes` and `findings` of the table; all None without a table."""
    asked: dict[str, Any] = {"session": None, "probes": None, "findings": None}
    if request.table is None:
        return asked
    try:
        async with open_session(request.connection, _CONNECTIONS) as session:
            asked["session"] = "works"
            probes, table = await probe_table(session, request.table.rpartition("/")[2])
            asked["probes"] = [probe.to_json() for probe in probes]
            if table is not None:
                asked["findings"] = await _find(session, request, request.table)
    except RefireError as error:
        asked["session"] = why(error)
    return asked


async def _find(session: Session, request: Request, table: str) -> Any:
    settings = RunSettings(table=table, connection=request.connection)
    try:
        found = await check(session, settings, try_writing=False)
    except RefireError as error:
        return {"refused": why(error)}
    return [{"id": finding.id, "level": finding.level} for finding in found]
