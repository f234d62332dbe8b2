"""Writers against tables that judge: DynamoDB Local and the sandbox. Names and values as hostile as they may be.

Whatever the marker and the keys are called and hold, exactly the items that were asked for change, in exactly one
attribute. What the statements mean to a parser is in test_statements.
"""

from collections.abc import Callable, Iterator

import anyio
import pytest

from refire_async.aws.session import open_session
from refire_async.model.keys import KeySchema
from refire_async.model.marker import Marker
from refire_async.pipeline.writers.base import WriteReply
from refire_async.pipeline.writers.partiql import PartiqlWriter
from refire_async.pipeline.writers.update import UpdateWriter
from refire_async.settings import Connection
from tests.pipeline.writers.test_statements import HOSTILE
from tests.support.backends import REGION, Backend
from tests.support.tables import Item, Table

NAMES = [
    *HOSTILE,
    "m" * 255,
    "é" * 127,
    "'" * 255,
    "?" * 100,
    "?, revision = ?",
    "revision",
    "--",
    "UPDATE",
    "WHERE 1 = 1 --",
    "IS MISSING",
    "a' IS MISSING OR 'a' = 'a",
    "</script>",
    "\u202e\u2066",
    "\ufeff",
    "%27",
    "${jndi:x}",
    "0",
    "-1",
    "a\tb",
]
VALUES = [
    "' OR '1'='1",
    "?",
    '"',
    "'; DELETE FROM t WHERE pk = 'x",
    "\\",
    "\n",
    ":v",
    "MISSING",
    "ż\U0001f40e",
]


@pytest.fixture
def session_settings(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Connection:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", backend.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hostile")
    return Connection(region=REGION, endpoint_url=backend.url)


def rows() -> Iterator[Item]:
    for value in VALUES:
        for other in VALUES[:3]:
            yield {"pk": {"S": value}, "sk": {"S": other}, "kept": {"S": value}}


def key(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


@pytest.mark.parametrize("writer", [PartiqlWriter, UpdateWriter])
async def test_only_the_marker_of_the_items_that_were_asked_for(
    make_table: Callable[..., Table],
    session_settings: Connection,
    writer: type[PartiqlWriter] | type[UpdateWriter],
) -> None:
    """One table, marker after marker: half of the items are touched, twice; no other attribute of any item moves."""
    table = make_table(("pk", "S"), ("sk", "S"))
    await anyio.to_thread.run_sync(table.fill, rows())
    expected = {key(item): dict(item) for item in rows()}
    schema = KeySchema("pk", "S", "sk", "S")
    async with open_session(session_settings, 8) as session:
        for number, name in enumerate(NAMES):
            marker = Marker("revision", name, "run")
            if writer is PartiqlWriter and not PartiqlWriter.fits(table.name, schema, marker):
                continue
            write = writer(session.data, table.name, schema, marker)
            targets = [item for position, item in enumerate(expected.values()) if position % 2 == number % 2]
            wanted = [{part: item[part] for part in ("pk", "sk", name) if part in item} for item in targets]
            for start in range(0, len(wanted), write.largest):
                reply: WriteReply = await write.write(wanted[start : start + write.largest])
                assert reply.errors == {}, name
            for item in targets:
                old = int(item.get(name, {"N": "0"})["N"])
                item[name] = {"N": str(old + 1)}
    found = await anyio.to_thread.run_sync(table.items)
    assert {key(item): item for item in found.values()} == expected
    assert len(expected[key(next(rows()))]) >= 20, "most markers were written"
