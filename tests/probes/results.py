"""Result files: what one session of probes saw on one server."""

import json
import platform
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import botocore

from refire_async import __version__
from tests.probes.facts import Outcome, ServerName
from tests.probes.runner import LONGEST_TEXT, Result

FORMAT = 1
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_REGION = re.compile(r"[a-z0-9-]{0,30}")


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
    """Read a result file, which may come from anybody. Raises BadFileError."""
    try:
        parsed: Any = json.loads(path.read_text(encoding="utf-8"))
        _check(parsed)
        facts = {name: _result(name, entry) for name, entry in parsed["facts"].items()}
        return Results(parsed["server"], parsed["date"], parsed["region"], parsed["versions"], facts)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadFileError(f"{path}: not a result file: {' '.join(str(error).split())[:100]}") from error


def _check(parsed: dict[str, Any]) -> None:
    """Raises ValueError for a head that no session writes."""
    if parsed["format"] != FORMAT:
        raise ValueError("of another version")
    if parsed["server"] not in get_args(ServerName) or not isinstance(parsed["versions"], dict):
        raise ValueError("server or versions")
    if not _DATE.fullmatch(parsed["date"]) or not _REGION.fullmatch(parsed["region"]):
        raise ValueError("date or region")


def _result(name: str, entry: dict[str, Any]) -> Result:
    outcome, text = entry["outcome"], entry["text"]
    if outcome not in get_args(Outcome) or not isinstance(text, str):
        raise ValueError(f"{name} has no outcome or no text")
    return Result(name, outcome, " ".join(text.split())[:LONGEST_TEXT])
