"""LocalStack's engine for event patterns, as a library in an environment of its own: a judge of filters.

Where it is known to differ from EventBridge: `*` of a wildcard needs a character, `true` equals 1, several fields of
objects in a list need not be of one object.
"""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from tests.support.environments import JudgeUnavailableError, ensure_environment

PACKAGES = ("localstack-core==2026.3.0", "rolo", "jsonpatch", "pydantic", "boto3")

_PROGRAM = """
import json, sys
from localstack.services.events.event_rule_engine import EventPatternCompiler, EventRuleEngine
compiler, engine = EventPatternCompiler(), EventRuleEngine()
found = []
for pattern, event in json.load(sys.stdin):
    found.append(bool(engine.evaluate_pattern_on_event(compiler.compile_event_pattern(pattern), event)))
json.dump(found, sys.stdout)
"""
_TIMEOUT_S = 300.0


def match_patterns(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[bool]:
    """Whether each event passes the pattern before it. Raises JudgeUnavailableError."""
    python = ensure_environment("localstack", PACKAGES)
    try:
        done = subprocess.run(
            [str(python), "-c", _PROGRAM],
            input=json.dumps(pairs).encode(),
            check=True,
            capture_output=True,
            timeout=_TIMEOUT_S,
        )
    except subprocess.SubprocessError as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace")
        raise JudgeUnavailableError(f"LocalStack's rule engine failed: {error} {said[-500:]}") from error
    found: list[bool] = json.loads(done.stdout)
    return found
