"""The selection of a run. It is part of the run's identity: another selection is another run."""

from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any, Literal, TypeAlias

from refire_async.model.keys import AttributeValue, Key

SelectionKind: TypeAlias = Literal["scan", "query", "keys", "export"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The items of a run.

    `scan` reads a whole table or index in segments, `query` the hash keys `key_values` of a table or index, each as a
    segment of its own (`more_keys` has the further hash attributes of an index with several: by name, a value for each
    of `key_values`), `keys` a list of keys, `export` the items of a DynamoDB export. `keys_file` (an absolute path,
    `-` for standard input, or `s3://…`) belongs to `keys`, `export` (a folder, or `s3://…`) to `export`, and
    `fingerprint` is that of their content. `filter`, `names` and `values` are a FilterExpression with its
    placeholders, applied by the service after reading.

    `sample` is the share of all items in percent, chosen by a hash of the key. Items that have expired by their TTL
    attribute are left out unless `include_expired`.
    """

    kind: SelectionKind
    _: KW_ONLY
    index: str | None = None
    key_name: str | None = None
    key_values: tuple[AttributeValue, ...] = ()
    sort_key_condition: str | None = None
    filter: str | None = None
    names: tuple[tuple[str, str], ...] = ()
    values: tuple[tuple[str, AttributeValue], ...] = ()
    keys_file: str | None = None
    export: str | None = None
    fingerprint: str | None = None
    sample: float | None = None
    include_expired: bool = False
    more_keys: tuple[tuple[str, tuple[AttributeValue, ...]], ...] = ()

    @property
    def hash_names(self) -> tuple[str, ...]:
        """The hash attributes for which a query has values."""
        return () if self.key_name is None else (self.key_name, *(name for name, _ in self.more_keys))

    def hash_key(self, segment: int) -> Key:
        """The values of a query's segment, by hash attribute."""
        columns = (self.key_values, *(values for _, values in self.more_keys))
        return {name: values[segment] for name, values in zip(self.hash_names, columns, strict=True)}

    @property
    def thinned(self) -> bool:
        """Whether a page can have fewer items than were read for it. A list of keys is thinned when it is created."""
        return not self.listed and (self.filter is not None or self.sample is not None)

    @property
    def listed(self) -> bool:
        """Whether the run creates a list of keys before it starts."""
        return self.kind in ("keys", "export")

    @property
    def given(self) -> str:
        """The source of a list of keys, as a name that can be opened."""
        return self.keys_file or self.export or ""

    @property
    def origin(self) -> str:
        """The source of a list of keys, in words."""
        if self.kind == "export":
            return f"export {self.export}"
        return "standard input" if self.keys_file == "-" else f"keys file {self.keys_file}"

    def to_json(self) -> dict[str, Any]:
        """A plain dict that `from_json` reads back; equal selections give equal dicts."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Selection":
        """The selection that `to_json` described. Raises TypeError on unknown fields."""
        pairs = {name: tuple(tuple(pair) for pair in data.get(name, ())) for name in ("names", "values")}
        more = tuple((name, tuple(values)) for name, values in data.get("more_keys", ()))
        return cls(**{**data, **pairs, "key_values": tuple(data.get("key_values", ())), "more_keys": more})

    def describe(self) -> str:
        """A short description for messages."""
        where = f"index {self.index}" if self.index else "the table"
        if self.kind == "keys":
            text = f"the keys in {self.origin.removeprefix('keys file ')}"
        elif self.kind == "export":
            text = f"the items in {self.origin}"
        elif self.kind == "query":
            text = f"{self._hash_keys()} of {where}"
            if self.sort_key_condition:
                text += f", sort key {self.sort_key_condition}"
        else:
            text = f"all of {where}"
        if self.filter:
            text += ", filtered"
        return text if self.sample is None else f"{self.sample:g}% of {text}"

    def _hash_keys(self) -> str:
        if len(self.key_values) != 1:
            return f"{len(self.key_values):,} values of {', '.join(self.hash_names)}"
        only = self.hash_key(0)
        return ", ".join(f"{name} = {next(iter(value.values()))}" for name, value in only.items())
