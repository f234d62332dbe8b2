"""Filter patterns of a temporary event source mapping: the original's, limited to a window of time. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from refire_async.delivery.window import Window
from refire_async.errors import UsageError

MOST_FILTERS = 10
"""Patterns of one mapping: 5 by default, 10 by quota (Lambda Developer Guide: Control which events Lambda sends)."""

MOST_CHARS = 4_096
"""Of one pattern (Lambda API reference: Filter)."""

_DIRECT = "use --how direct"
_CREATED = "ApproximateCreationDateTime"


def window_patterns(filters: Sequence[str], window: Window, kinds: Iterable[str]) -> tuple[str, ...]:
    """The patterns that let pass what one of `filters` does (all, without one), within `window`, of these kinds.

    Lambda takes `eventName` and numeric rules on the time although its documentation names neither. `window` is
    finite, in seconds since the epoch, and begins with a whole second, as `Window` does.

    Raises:
        UsageError: a pattern has a rule of its own where the limit belongs, or there are too many.
    """
    rule = [{"numeric": [">=", window.first_second, "<", window.until]}]
    names = sorted(kinds)
    merged = tuple(_merge(text, rule, names) for text in filters or ("{}",))
    if len(merged) > MOST_FILTERS:
        raise UsageError(
            f"--how mapping takes at most {MOST_FILTERS} filter patterns, not {len(merged)}", _DIRECT
        )
    return merged


def _merge(text: str, rule: list[Any], kinds: list[str]) -> str:
    pattern = orjson.loads(text)
    members = pattern.get("dynamodb", {}) if isinstance(pattern, dict) else None
    if not isinstance(members, dict) or _names(pattern, _CREATED):
        raise UsageError("a filter pattern cannot be limited to the time of --since and --until", _DIRECT)
    pattern = {**pattern, "dynamodb": {**members, _CREATED: rule}}
    if kinds:
        own = pattern.pop("eventName", None)
        if _names(pattern, "eventName") or not _is_words(own):
            raise UsageError("--event cannot be combined with a filter pattern on eventName", _DIRECT)
        # An empty list of alternatives is none that Lambda takes; this name matches no event.
        pattern["eventName"] = [name for name in kinds if own is None or name in own] or ["-"]
    merged = orjson.dumps(pattern).decode()
    if len(merged) > MOST_CHARS:
        raise UsageError(
            f"a filter pattern is longer than {MOST_CHARS:,} characters with its window", _DIRECT
        )
    return merged


def _is_words(rule: object) -> bool:
    return rule is None or (isinstance(rule, list) and all(isinstance(one, str) for one in rule))


def _names(pattern: object, name: str) -> bool:
    """Whether `name` is a member anywhere in the pattern, also within `$or`."""
    if isinstance(pattern, dict):
        return name in pattern or any(_names(value, name) for value in pattern.values())
    return isinstance(pattern, list) and any(_names(one, name) for one in pattern)
