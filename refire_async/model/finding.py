"""A finding of the checks before a run."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["stop", "warn", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`message` says what was found, `action` what to do: one line each, without a final full stop.

    A finding of level `stop` ends the run before its first write unless the user ignores its `id`.
    """

    id: str
    level: Level
    message: str
    action: str
