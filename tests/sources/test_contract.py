"""The contract of all sources, on the sandbox and on DynamoDB Local: reading can continue after every page.

A new source gets a line in `SOURCES`.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from refire_async.aws.data_plane import DataPlane
from refire_async.aws.session import Session, open_session
from refire_async.engine.processes.assembly import make_source
from refire_async.model.keys import Item, KeySchema, identity
from refire_async.model.marker import Marker
from refire_async.model.run import RunSpec
from refire_async.model.stop import StopRequest
from refire_async.settings import Connection, SelectionSettings
from refire_async.sources.base import Source
from refire_async.sources.importing import ImportContext, import_keys
from refire_async.sources.resolving import select
from refire_async.sources.sample import Sample
from tests.support.backends import REGION, Backend, connected
from tests.support.exports import full_export
from tests.support.tables import Index, Schema, Table, create_table

KEYS = KeySchema("pk", "S", "sk", "N")
INDEXES = (
    Index("by-day", Schema(("day", "S"))),
    Index("all", Schema(("day", "S"), ("sk", "N")), projected=()),
)
COUNT = 90


def row(number: int) -> Item:
    marker: Item = {"revision": {"N": "7"}} if number % 3 == 0 else {}
    day = {"S": f"2026-11-0{1 + number % 5}"}
    return {"pk": {"S": f"k{number % 7}"}, "sk": {"N": str(number)}, "day": day, **marker}


ROWS = [row(number) for number in range(COUNT)]


@dataclass
class Case:
    """A selection of items of the table. `chosen` says which; `make` creates its files and returns the selection."""

    chosen: Callable[[Item], bool]
    make: Callable[[Path, dict[str, Any]], SelectionSettings] = field(
        default=lambda _folder, _table: SelectionSettings()
    )
    segments: int | None = None
    listed: bool = False

    @classmethod
    def of(cls, chosen: Callable[[Item], bool], segments: int | None = None, **choice: Any) -> "Case":
        """A selection that needs no file."""
        return cls(chosen, lambda _folder, _table: SelectionSettings(**choice), segments)


def in_file(form: str) -> Callable[[Path, dict[str, Any]], SelectionSettings]:
    """Even rows as a keys file: some twice, and one key that does not exist."""

    def make(folder: Path, _table: dict[str, Any]) -> SelectionSettings:
        keys = [{"pk": one["pk"]["S"], "sk": one["sk"]["N"]} for one in ROWS[::2] + ROWS[::6]]
        if form == "csv":
            text = "sk,pk\n" + "".join(f"{key['sk']},{key['pk']}\n" for key in keys)
        else:
            text = "".join(json.dumps(key) + "\n" for key in keys)
        (folder / "keys").write_text(text)
        return SelectionSettings(keys_file=str(folder / "keys"))

    return make


def in_export(folder: Path, table: dict[str, Any]) -> SelectionSettings:
    return SelectionSettings(export=full_export(table, ROWS[::2]).write(folder))


def is_even(item: Item) -> bool:
    return int(item["sk"]["N"]) % 2 == 0


SOURCES = {
    "scan": Case.of(lambda _: True, 4),
    "scan, one segment": Case.of(lambda _: True, 1),
    "filtered scan": Case.of(
        lambda item: "revision" in item, 3, filter="attribute_exists(#r)", names=(("#r", "revision"),)
    ),
    "index scan": Case.of(lambda _: True, 3, index="all"),
    "index scan, keys only": Case.of(lambda _: True, 3, index="by-day"),
    "query": Case.of(lambda item: item["pk"] == {"S": "k3"}, key_values=("k3",)),
    "part of a hash key": Case.of(
        lambda item: item["pk"] == {"S": "k3"} and 10 <= int(item["sk"]["N"]) <= 60,
        key_values=("k3",),
        sort_key_condition="between 10 and 60",
    ),
    "several hash keys": Case.of(
        lambda item: item["pk"]["S"] in ("k1", "k6"), key_values=("k1", "absent", "k6")
    ),
    "days of an index": Case.of(
        lambda item: item["day"]["S"] <= "2026-11-03",
        index="by-day",
        key_value_range="2026-11-01..2026-11-03",
    ),
    "sample": Case.of(Sample(KEYS, 40.0).takes, 3, sample=40.0),
    "keys file": Case(is_even, in_file("json"), listed=True),
    "keys file, CSV": Case(is_even, in_file("csv"), listed=True),
    "export": Case(is_even, in_export, listed=True),
}


class World:
    """A table with a session, and a count of the service calls."""

    def __init__(self, session: Session, table: Table, folder: Path) -> None:
        self._session = session
        self._name = table.name
        self._folder = folder
        self.calls: Counter[str] = Counter()

    async def sources(self, case: Case) -> Callable[[], Source]:
        """Creates sources of the same selection, each as after a restart."""
        table = await self._session.control.describe_table(self._name)
        description = {"TableArn": table.arn, "TableId": table.table_id}
        selection = select(table, case.make(self._folder, description))
        marker = Marker("revision", "revision", "run")
        segments = case.segments or len(selection.key_values) or 1
        spec = RunSpec(
            run_id="run",
            table=table.name,
            table_id=table.table_id,
            keys=table.keys,
            selection=selection,
            marker=marker,
            total_segments=segments,
        )
        keys = self._folder / "list"
        if selection.listed:
            world = ImportContext(self._session.services, lambda _: None, StopRequest(), frozenset())
            spec = replace(await import_keys(spec, table, keys, world), total_segments=3)
        return lambda: make_source(DataPlane(self._counted), table, spec, str(keys))

    async def _counted(self, request: Any) -> Any:
        self.calls[request.operation] += 1
        return await self._session.data._transport(request)


@asynccontextmanager
async def world_of(
    backend: Backend, table: Table, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", backend.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "scenario")
    async with open_session(Connection(region=REGION, endpoint_url=backend.url), 8) as session:
        yield World(session, table, folder)


@pytest.fixture(scope="module")
def tables() -> dict[tuple[str, bool], Table]:
    """Full and empty tables by backend; no test changes them."""
    return {}


def table_on(backend: Backend, tables: dict[tuple[str, bool], Table], *, empty: bool = False) -> Table:
    name = (backend.url, empty)
    if name not in tables:
        tables[name] = create_table(backend, ("pk", "S"), ("sk", "N"), indexes=INDEXES, prefix="contract")
        tables[name].fill([] if empty else ROWS)
    return replace(tables[name], backend=backend)


@pytest.fixture
def backend(backend_name: str, request: pytest.FixtureRequest) -> Any:
    """The usual backends, with one database for all tests of this module on DynamoDB Local."""
    url = request.getfixturevalue(f"{backend_name.replace('-', '_')}_url")
    with connected(backend_name, url, "CONTRACT") as connection:  # type: ignore[arg-type]
        yield connection


async def pages_of(make: Callable[[], Source], limit: int) -> list[list[Item]]:
    """All pages of all segments, each from a new source and a cursor that was serialized."""
    pages = []
    for segment in range(make().total_segments):
        cursor = None
        while True:
            page = await make().read(segment, cursor, limit)
            pages.append(page.items)
            if page.cursor is None:
                break
            assert page.cursor != cursor
            cursor = json.loads(json.dumps(page.cursor))
    return pages


def key_of(item: Mapping[str, Any]) -> tuple[Any, ...]:
    return identity(KEYS.names, item)


@pytest.mark.parametrize("limit", [2, 1000])
@pytest.mark.parametrize("case", SOURCES.values(), ids=SOURCES)
async def test_every_item_is_read_once_for_any_page_size(  # noqa: PLR0917 - fixtures and parameters
    backend: Backend,
    tables: dict[tuple[str, bool], Table],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: Case,
    limit: int,
) -> None:
    """Coverage and resume: after every page a new source continues where the last one ended; no page is too long."""
    async with world_of(backend, table_on(backend, tables), tmp_path, monkeypatch) as world:
        make = await world.sources(case)
        pages = await pages_of(make, limit)
        assert all(len(page) <= limit for page in pages)
        found = Counter(key_of(item) for page in pages for item in page)
        assert found == Counter(key_of(item) for item in ROWS if case.chosen(item))
        if make().carries_marker:
            by_key = {key_of(item): item.get("revision") for item in ROWS}
            assert all(item.get("revision") == by_key[key_of(item)] for page in pages for item in page)


@pytest.mark.parametrize("case", SOURCES.values(), ids=SOURCES)
async def test_pages_are_read_on_request_only(
    backend: Backend,
    tables: dict[tuple[str, bool], Table],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: Case,
) -> None:
    """Backpressure: at most one call of the service per page, and no call without a request; lists need none."""
    async with world_of(backend, table_on(backend, tables), tmp_path, monkeypatch) as world:
        make = await world.sources(case)
        source = make()
        assert not world.calls
        page = await source.read(0, None, 3)
        again = await source.read(0, None, 3)
        assert [key_of(item) for item in page.items] == [key_of(item) for item in again.items]
        assert sum(world.calls.values()) == (0 if case.listed else 2)
        assert bool(page.rcu) <= bool(world.calls)


@pytest.mark.parametrize("case", SOURCES.values(), ids=SOURCES)
async def test_an_empty_table_has_segments_that_end(
    backend: Backend,
    tables: dict[tuple[str, bool], Table],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: Case,
) -> None:
    """A list of keys is read nevertheless, even if its items no longer exist."""
    async with world_of(backend, table_on(backend, tables, empty=True), tmp_path, monkeypatch) as world:
        make = await world.sources(case)
        pages = await pages_of(make, 10)
        assert sum(map(len, pages)) == (sum(map(case.chosen, ROWS)) if case.listed else 0)
