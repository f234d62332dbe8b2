"""Which of the records that a source reads are delivered. Pure."""

from collections.abc import Callable, Collection, Container, Sequence
from typing import TypeAlias

from refire_async.delivery.patterns import Patterns
from refire_async.delivery.record import EventRecord
from refire_async.delivery.sink import Skipped

Condition: TypeAlias = Callable[[EventRecord], bool]


class RecordSelection:
    """The user's selection, and the filter patterns of the mapping.

    `kinds` are event names, and empty for all. `keys` are canonical keys (delivery/keys.py), None for all. `condition`
    looks at a record that is selected by the others.
    """

    def __init__(
        self,
        patterns: Patterns,
        *,
        kinds: Collection[str] = (),
        keys: Container[bytes] | None = None,
        condition: Condition | None = None,
    ) -> None:
        self.patterns = patterns
        self._kinds = frozenset(kinds)
        self._keys = keys
        self._condition = condition

    def is_selected(self, record: EventRecord) -> bool:
        """Whether the user selects the record."""
        return (
            (not self._kinds or record.kind in self._kinds)
            and (self._keys is None or record.key in self._keys)
            and (self._condition is None or self._condition(record))
        )

    def sift(self, records: Sequence[EventRecord], skipped: Skipped) -> list[EventRecord]:
        """The records that are delivered. `skipped` counts the others."""
        selected = passing = list(records)
        if self._kinds or self._keys is not None or self._condition is not None:
            selected = passing = [record for record in records if self.is_selected(record)]
        if self.patterns:
            passing = [record for record in selected if self.patterns.passes(record)]
        skipped.unselected += len(records) - len(selected)
        skipped.filtered += len(selected) - len(passing)
        return passing
