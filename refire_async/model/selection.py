"""What a run re-fires. The selection is part of the checkpoint's identity: another one is another run."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from refire_async.model.keys import AttributeValue

SelectionKind: TypeAlias = Literal["scan", "query", "keys"]


@dataclass(frozen=True, slots=True)
class Selection:
    """One way to name items.

    `scan` reads a whole table or index in segments, `query` one hash key of a table or index, `keys` a file of
    keys. `key_name`/`key_value` belong to `query`; `keys_file` (an absolute path) to `keys`. `filter`, `names`
    and `values` are a FilterExpression with its placeholders, applied by the service after reading.
    """

    kind: SelectionKind
    index: str | None = None
    key_name: str | None = None
    key_value: AttributeValue | None = None
    sort_key_condition: str | None = None
    filter: str | None = None
    names: tuple[tuple[str, str], ...] = ()
    values: tuple[tuple[str, AttributeValue], ...] = ()
    keys_file: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain dict that `from_json` reads back; equal selections give equal dicts."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Selection":
        """The selection that `to_json` described. Raises TypeError on unknown fields."""
        pairs = {name: tuple(tuple(pair) for pair in data.get(name, ())) for name in ("names", "values")}
        return cls(**{**data, **pairs})

    def describe(self) -> str:
        """A few words for people."""
        where = f"index {self.index}" if self.index else "the table"
        if self.kind == "keys":
            return f"the keys in {self.keys_file}"
        text = f"all of {where}"
        if self.kind == "query":
            value = next(iter((self.key_value or {}).values()), "?")
            text = f"{self.key_name} = {value} of {where}"
            if self.sort_key_condition:
                text += f", sort key {self.sort_key_condition}"
        return f"{text}, filtered" if self.filter else text
