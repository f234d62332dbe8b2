"""Something to know before a run."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["stop", "warn", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`message` says what it means here, `action` what to do: one line each, without a final stop.

    `stop` ends a run before its first write unless the user ignores it by `id`.
    """

    id: str
    level: Level
    message: str
    action: str
