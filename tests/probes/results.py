"""Result files: what one session of probes saw on one server."""

import json
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import botocore

from refire_async import __version__
from tests.probes.facts import Outcome, ServerName
from tests.probes.runner import Result

FORMAT = 1


class BadFileError(Exception):
    """A file that is no result file; the text says why."""


@dataclass(frozen=True, slots=True)
class Results:
    """A session's results. `region` is that of AWS, empty elsewhere; `date` a day in UTC."""

    server: ServerName
    date: str
    region: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Result] = field(default_factory=dict)


def collect(server: ServerName, region: str, results: Iterable[Result]) -> Results:
    """The results of a session that ends now."""
    versions = {"refire": __version__, "botocore": botocore.__version__, "python": platform.python_version()}
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return Results(
        server, day, region if server == "aws" else "", versions, {result.id: result for result in results}
    )


def dumps(results: Results) -> str:
    """As JSON: one line for each fact, so that files can be compared."""
    head = {
        "format": FORMAT,
        "server": results.server,
        "date": results.date,
        "region": results.region,
        "versions": results.versions,
    }
    lines = [
        f"  {json.dumps(result.id)}: {json.dumps({'outcome': result.outcome, 'text': result.text})}"
        for result in results.facts.values()
    ]
    return json.dumps(head)[:-1] + ',\n "facts": {\n' + ",\n".join(lines) + "\n}}\n"


def load(path: Path) -> Results:
    """Read a result file. Raises BadFileError."""
    try:
        parsed: Any = json.loads(path.read_text(encoding="utf-8"))
        if parsed["format"] != FORMAT or parsed["server"] not in get_args(ServerName):
            raise BadFileError(f"{path}: not a result file of this version")
        facts = {}
        for name, entry in parsed["facts"].items():
            if entry["outcome"] not in get_args(Outcome):
                raise BadFileError(f"{path}: {name} has no outcome")
            facts[name] = Result(name, entry["outcome"], str(entry["text"]))
        return Results(
            parsed["server"], str(parsed["date"]), str(parsed["region"]), parsed["versions"], facts
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadFileError(f"{path}: not a result file: {error}") from error
