"""The request of a survey: the run whose load it estimates, and its bounds."""

from dataclasses import dataclass

from refire_async.errors import RefusedError
from refire_async.model.capacity import TABLE
from refire_async.model.item_size import item_bytes
from refire_async.model.keys import Item
from refire_async.model.marker import Marker
from refire_async.model.selection import Selection
from refire_async.model.table import Index, Table
from refire_async.pipeline.triage import is_expired
from refire_async.planning.forecast.load import SampleSizes

SHARES = (0.1, 0.5, 0.9, 1.0)
"""Quantiles of item sizes in a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyRequest:
    """The run whose load a survey estimates. `page_items` and `segments` are those that the run would use.

    The survey consumes at most `max_rcu` read units per second for `within_s` seconds. `ttl_attribute` is the TTL
    attribute, if expired items are to be left out. `now_s` is in Unix seconds.
    """

    table: Table
    selection: Selection
    marker: Marker
    ttl_attribute: str | None
    page_items: int
    segments: int
    max_rcu: float
    within_s: float
    now_s: float

    @property
    def index(self) -> Index | None:
        """The index that the run reads, if any."""
        return self.table.index(self.selection.index) if self.selection.index else None

    @property
    def touched(self) -> tuple[Index, ...]:
        """The indexes whose entries a touch changes."""
        table = self.table
        return tuple(index for index in table.indexes if index.projects(self.marker.attribute, table.keys))

    @property
    def growth(self) -> int:
        """Bytes that the first touch adds to an item: the attribute's name, and a small number or the run's id."""
        value = 2 if self.marker.kind == "revision" else len(self.marker.run_id)
        return len(self.marker.attribute.encode()) + value

    @property
    def mean_bytes(self) -> float:
        """Mean size of the table's items by its description; 0 if that has no items."""
        return self.table.size_bytes / self.table.item_count if self.table.item_count else 0.0

    def unread(self) -> RefusedError:
        """The error if nothing could be read in time."""
        return RefusedError(
            f"nothing of table {self.table.name} could be read within {self.within_s:g} s",
            "allow more time with --sample-seconds, or more capacity with --max-rcu",
        )

    def is_expired(self, item: Item) -> bool:
        """Whether a run would leave `item` out because it has expired."""
        return self.ttl_attribute is not None and is_expired(item.get(self.ttl_attribute), self.now_s)

    def note(self, item: Item, sizes: SampleSizes, *, refused: bool = False) -> None:
        """Add a whole item to `sizes`; `refused`: the first attempt to touch it fails and is charged."""
        entries = {
            index.name: _entry_bytes(item, index)
            for index in self.touched
            if all(name in item for name in index.keys.names)  # else the index has no entry for it
        }
        growth = 0 if self.marker.attribute in item else self.growth
        sizes.add(item_bytes(item), growth, entries, refused=refused)

    def by_resource(self, units: dict[str, float]) -> dict[str, float]:
        """Units by the resource that has the capacity; that of local indexes is the table (DynamoDB Developer Guide:
        Local secondary indexes)."""
        local = {index.name for index in self.touched if index.scope == "local"}
        found: dict[str, float] = {}
        for name, number in units.items():
            resource = TABLE if name in local else name
            found[resource] = found.get(resource, 0.0) + number
        return found


def _entry_bytes(item: Item, index: Index) -> int:
    if index.projection == "ALL":
        return item_bytes(item)
    shown = {*index.projected, *index.keys.names}
    return item_bytes({name: value for name, value in item.items() if name in shown})
