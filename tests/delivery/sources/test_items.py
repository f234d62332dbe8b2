"""Present items as a source: the selections of a run, what the records show, resuming, and the estimate."""

import random
from pathlib import Path
from typing import Any

import pytest

from refire_async.aws.errors import AwsError, Disposition, lost_answer
from refire_async.aws.session import open_session
from refire_async.delivery.patterns import Patterns
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.selection import RecordSelection
from refire_async.delivery.sources.items import END, ItemSource, Reading
from refire_async.delivery.sources.made import RecordMaker
from refire_async.errors import UsageError
from refire_async.model.selection import Selection
from refire_async.pacing.budget import ReadBudget
from refire_async.settings import Connection
from refire_async.sources.base import SourcePage
from refire_async.sources.where import compile_where
from tests.delivery.sources.sinks import MemorySink
from tests.support.tables import Index, Schema

ITEMS = 60


def image(number: int) -> dict[str, Any]:
    """Item number `number`, as boto3 has it."""
    return {
        "pk": {"S": f"k{number % 5}"},
        "sk": {"N": str(number)},
        "even": {"BOOL": number % 2 == 0},
        "group": {"S": f"g{number % 3}"},
        "text": {"S": "x" * 50},
    }


def number_of(body: dict[str, Any]) -> int:
    return int(body["dynamodb"]["Keys"]["sk"]["N"])


@pytest.fixture
def table(make_table: Any, backend: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A filled table with an index on `group`, and credentials in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", backend.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "scenario")
    made = make_table(("pk", "S"), ("sk", "N"), indexes=(Index("by-group", Schema(("group", "S"))),))
    made.fill(image(number) for number in range(ITEMS))
    return made


class Run:
    """Sources over the table, in a session."""

    def __init__(self, session: Any, name: str) -> None:
        self._session = session
        self._name = name

    async def source(self, selection: Selection, **options: Any) -> ItemSource:
        """A source of this selection."""
        described = await self._session.control.describe_table(self._name)
        rules = DeliveryRules(filters=options.pop("filters", ()))
        reading = Reading(
            data=self._session.data,
            budget=ReadBudget(10_000.0),
            services=self._session.services,
            segments=options.pop("segments", 3),
            leave_out=options.pop("leave_out", None),
        )
        maker = RecordMaker("run-1", described.keys, described.stream.arn, described.stream.view_type)
        records = RecordSelection(Patterns(rules.filters))
        return ItemSource(
            described, selection, maker, records=records, rules=rules, reading=reading, **options
        )

    async def fed(self, selection: Selection, **options: Any) -> MemorySink:
        """What it puts into a sink."""
        sink = MemorySink(tokens=options.pop("tokens", {}), on_put=options.pop("on_put", None))
        await (await self.source(selection, **options)).feed(sink)
        return sink


@pytest.fixture
async def run(table: Any, backend: Any) -> Any:
    """See `Run`."""
    async with open_session(Connection(region="eu-west-1", endpoint_url=backend.url), 4) as session:
        yield Run(session, table.name)


def numbers(sink: MemorySink) -> list[int]:
    return sorted(map(number_of, sink.bodies))


async def test_scan(run: Run) -> None:
    """Every item once, as an insertion with its whole image."""
    sink = await run.fed(Selection(kind="scan"))
    assert numbers(sink) == list(range(ITEMS))
    assert set(sink.shards) == {"segment-000000", "segment-000001", "segment-000002"}
    assert {shard.token for shard in sink.shards.values()} == {END}
    assert len({body["eventID"] for body in sink.bodies}) == ITEMS
    for body in sink.bodies:
        change = body["dynamodb"]
        assert body["eventName"] == "INSERT"
        assert body["eventID"] == f"run-1-{int(change['SequenceNumber'])}"
        assert change["NewImage"] == image(number_of(body))
        assert "OldImage" not in change


async def test_modify_shows_the_item_twice(run: Run) -> None:
    """The old image is invented: it is the new one."""
    sink = await run.fed(Selection(kind="scan"), as_event="modify")
    for body in sink.bodies:
        assert body["eventName"] == "MODIFY"
        assert body["dynamodb"]["OldImage"] == body["dynamodb"]["NewImage"] == image(number_of(body))


async def test_selections(run: Run) -> None:
    """Hash keys with a sort key condition and a filter, an index with whole items, a sample, and patterns."""
    where = compile_where("even = true")
    narrowed: dict[str, Any] = {"filter": where.expression, "names": where.names, "values": where.values}
    query = Selection(
        kind="query",
        key_name="pk",
        key_values=({"S": "k1"}, {"S": "k3"}),
        sort_key_condition="< 30",
        **narrowed,
    )
    expected = [n for n in range(30) if n % 5 in (1, 3) and n % 2 == 0]
    assert numbers(await run.fed(query)) == expected
    assert numbers(await run.fed(Selection(kind="scan", **narrowed))) == list(range(0, ITEMS, 2))
    index = Selection(kind="query", index="by-group", key_name="group", key_values=({"S": "g1"},))
    sink = await run.fed(index)
    assert numbers(sink) == list(range(1, ITEMS, 3))
    assert all(body["dynamodb"]["NewImage"] == image(number_of(body)) for body in sink.bodies)
    sampled = await run.fed(Selection(kind="scan", sample=30.0))
    assert 3 < len(sampled.records) < 40
    pattern = '{"dynamodb":{"NewImage":{"group":{"S":["g2"]}}}}'
    assert numbers(await run.fed(Selection(kind="scan"), filters=(pattern,))) == list(range(2, ITEMS, 3))
    left_out = await run.fed(Selection(kind="scan"), leave_out=lambda item: item["sk"] == {"N": "7"})
    assert len(left_out.records) == ITEMS - 1


async def test_keys_file(run: Run, tmp_path: Path) -> None:
    """Items that are there, in the order of the file; it resumes in the middle; a bad file is found first."""
    path = tmp_path / "keys.jsonl"
    wanted = [7, 3, 999, 58, *range(10, 50)]
    path.write_text("".join(f'{{"pk":"k{n % 5}","sk":{n}}}\n' for n in wanted))
    selection = Selection(kind="keys", keys_file=str(path))
    source = await run.source(selection)
    preview = await source.preview()
    assert (preview.records, preview.estimated, preview.by_kind) == (44, True, (("INSERT", 44),))
    sink = MemorySink()
    await source.feed(sink)
    assert numbers(sink) == sorted(set(wanted) - {999})
    assert source.skipped.unselected == 1
    resumed = await run.fed(selection, tokens={"keys": "10"})
    assert numbers(resumed) == list(range(16, 50))
    assert not (await run.fed(selection, tokens={"keys": END})).records
    path.write_text('{"pk":"k1","sk":1}\nnonsense\n')
    with pytest.raises(UsageError, match="line 2"):
        await (await run.source(selection)).preview()


async def test_resumed_after_each_put(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It continues behind the pages that were settled, with numbers above all earlier ones."""
    monkeypatch.setattr("refire_async.delivery.sources.items.PAGE_ITEMS", 7)

    class CutError(Exception):
        """Where the attempt ends."""

    tokens: dict[str, str] = {}
    found: list[int] = []
    sequences: list[set[int]] = []
    ended = False
    while not ended:
        puts = 0

        def cut(*_: Any) -> None:
            nonlocal puts
            puts += 1
            if puts > 3:
                raise CutError

        sink = MemorySink(tokens=dict(tokens), on_put=cut)
        try:
            await (await run.source(Selection(kind="scan"))).feed(sink)
            ended = True
        except* CutError:
            pass
        found += numbers(sink)
        sequences.append({record.sequence for record in sink.records})
        tokens |= {shard.name: shard.tokens[-1] for shard in sink.shards.values() if shard.tokens}
    assert sorted(found) == list(range(ITEMS))
    assert len(sequences) > 3
    assert sum(map(len, sequences)) == len(set().union(*sequences)) == ITEMS


async def test_preview(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact where some pages are all there is; else what the table's size says."""
    preview = await (await run.source(Selection(kind="scan"))).preview()
    assert (preview.records, preview.batches, preview.estimated) == (ITEMS, 3, False)
    assert len(preview.samples) == 3
    monkeypatch.setattr("refire_async.delivery.sources.items.PAGE_ITEMS", 5)
    preview = await (await run.source(Selection(kind="scan"))).preview()
    assert preview.estimated
    assert 15 <= preview.records <= 4 * ITEMS


async def test_throttled_reads_are_tried_again() -> None:
    """A read that fails for a passing reason loses nothing; one that fails for good ends the source."""
    waits: list[float] = []

    async def waited(seconds: float) -> None:
        waits.append(seconds)

    source = ItemSource.__new__(ItemSource)
    source._reading = Reading(data=None, budget=ReadBudget(1e6), services=None)  # type: ignore[arg-type]
    source._sleep = waited
    source._draw = random.Random(1)
    answers: list[Any] = [
        AwsError("ThrottlingException", "slow", Disposition.THROTTLED),
        lost_answer("Timeout", "no answer"),
        SourcePage([], None, 1.0, None),
        AwsError("AccessDeniedException", "no", Disposition.FATAL),
    ]

    async def read() -> SourcePage:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert (await source._paced(1.0, read)).rcu == 1.0
    assert len(waits) == 2
    with pytest.raises(AwsError, match="no"):
        await source._paced(1.0, read)
