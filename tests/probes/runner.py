"""Run probes one after another and keep what each one saw."""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tests.probes.cost import TooDearError
from tests.probes.facts import DiffersError, Fact, NotTriedError, Outcome, Probe
from tests.probes.lab import Lab, unavailable
from tests.probes.resources import code_of

_REPEATS = 2
"""So often a probe is run again after an answer that was lost or a fault of the server."""

LONGEST_TEXT = 300
"""Characters of what was seen, at most."""
_ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one fact: `text` is what was seen, or why it was not tried."""

    id: str
    outcome: Outcome
    text: str
    seconds: float = 0.0


def run(lab: Lab, facts: Sequence[Fact], report: Callable[[Result], None]) -> list[Result]:
    """Try all facts in order. `report` gets each result at once."""
    probes = [fact for fact in facts if isinstance(fact, Probe)]
    lab.begin(dict.fromkeys(kind for probe in probes for kind in probe.tables))
    results: list[Result] = []
    stopped = ""
    for fact in facts:
        begun = time.monotonic()
        if not isinstance(fact, Probe):
            outcome, text = "not tried", str(fact.untried)
        elif stopped:
            outcome, text = "not tried", stopped
        else:
            try:
                outcome, text = _try(lab, fact)
            except TooDearError as error:
                outcome, text = "not tried", str(error)
                stopped = str(error)
        result = Result(fact.id, outcome, _without_names(text, lab), time.monotonic() - begun)
        results.append(result)
        report(result)
    return results


def _try(lab: Lab, probe: Probe) -> tuple[Outcome, str]:
    """Run a probe. Raises TooDearError."""
    missing = [name for name in probe.services if lab.clients.server in ("sandbox", "dynamodb-local")]
    if missing:
        return "not tried", f"this server has no {' and no '.join(missing)}"
    for repeat in range(_REPEATS + 1):
        try:
            seen = probe.run(lab)
        except (
            NotTriedError,
            DiffersError,
            BotoCoreError,
            ClientError,
            ResponseParserError,
            LookupError,
            TypeError,
            AttributeError,
            ValueError,
        ) as error:
            if repeat == _REPEATS or not _is_passing(error):
                return _failure(error)
        else:
            return ("agrees" if seen.agrees else "differs"), seen.text
    raise AssertionError("the last repetition returns")


def _is_passing(error: Exception) -> bool:
    """Whether it is a lost answer, or a fault of the server."""
    if isinstance(error, ClientError):
        return bool(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500)
    return isinstance(error, BotoCoreError)


def _failure(error: Exception) -> tuple[Outcome, str]:
    """What an error in a probe means for its fact."""
    match error:
        case NotTriedError():
            return "not tried", str(error)
        case DiffersError():
            return "differs", str(error)
        case ClientError() if reason := unavailable(error):
            return "not tried", reason
        case ClientError():
            said = error.response.get("Error", {}).get("Message", "")
            return "differs", f"{error.operation_name} is refused: {code_of(error)}: {said}"
        case BotoCoreError():
            return "not tried", f"no answer: {type(error).__name__}"
        case _:  # a missing member of an answer, or one of another type
            return "differs", f"an answer that is not that of the service: {type(error).__name__} {error}"


def _without_names(text: str, lab: Lab) -> str:
    """On one line, without the account and the names that change from session to session."""
    text = _ACCOUNT.sub("ACCOUNT", text.replace(lab.session, "SESSION"))
    return " ".join(text.split())[:LONGEST_TEXT]


def tried_and_agreed(results: Iterable[Result]) -> bool:
    """Whether at least one was tried and all that were agree."""
    tried = [result.outcome for result in results if result.outcome != "not tried"]
    return bool(tried) and all(outcome == "agrees" for outcome in tried)
