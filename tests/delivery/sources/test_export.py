"""Exports as a source: what their lines become, their order, and what is wrong with them before anything is sent."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from refire_async.delivery.patterns import Patterns
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.selection import RecordSelection
from refire_async.delivery.sources.export import END, GAP, OVERLAP, ExportSource
from refire_async.delivery.sources.made import RecordMaker
from refire_async.delivery.window import Window
from refire_async.errors import RefusedError, UsageError
from refire_async.model.keys import KeySchema
from refire_async.model.table import Stream, Table, Throughput
from tests.delivery.sources.sinks import MemorySink
from tests.support.exports import Export

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"
STREAM = f"{ARN}/stream/2026-11-01T00:00:00.000"
KEYS = KeySchema("pk", "S", "sk", "N")
TABLE = Table(
    name="orders",
    arn=ARN,
    table_id="id-1",
    status="ACTIVE",
    keys=KEYS,
    billing="PAY_PER_REQUEST",
    throughput=Throughput(),
    indexes=(),
    stream=Stream(enabled=True, view_type="NEW_AND_OLD_IMAGES", arn=STREAM),
    item_count=0,
    size_bytes=0,
)
BEGIN = 1_795_000_000
HOUR = 3600


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def key(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}, "sk": {"N": "1"}}


def item(name: str, number: int) -> dict[str, Any]:
    return {**key(name), "n": {"N": str(number)}}


def line(name: str, at: float, old: int | None, new: int | None) -> dict[str, Any]:
    """A change in an incremental export with both images."""
    found: dict[str, Any] = {
        "Metadata": {"WriteTimestampMicros": {"N": str(int(at * 1e6))}},
        "Keys": key(name),
    }
    if new is not None:
        found["NewImage"] = item(name, new)
    if old is not None:
        found["OldImage"] = item(name, old)
    return found


def window(folder: Path, hours: tuple[int, int], *files: list[dict[str, Any]], **summary: Any) -> str:
    """An incremental export of these hours after `BEGIN`."""
    export = Export(ARN, "id-1", incremental=True, export_id=f"{hours[0]:014}-{hours[1]:08x}")
    export.summary = {
        "outputView": "NEW_AND_OLD_IMAGES",
        "exportFromTime": iso(BEGIN + hours[0] * HOUR),
        "exportToTime": iso(BEGIN + hours[1] * HOUR),
        **summary,
    }
    for lines in files:
        export.add(lines)
    export.seal()
    return export.write(folder / str(hours))


def source(
    exports: list[str], folder: Path, view_type: str = "NEW_AND_OLD_IMAGES", **options: Any
) -> ExportSource:
    """A source; `kinds` and `keys` are those of the selection."""
    chosen = {name: options.pop(name) for name in ("kinds", "keys") if name in options}
    return ExportSource(
        exports,
        TABLE,
        RecordMaker("run-1", KEYS, STREAM, view_type),
        selection=RecordSelection(Patterns(options.pop("filters", ())), **chosen),
        rules=DeliveryRules(),
        services=None,  # type: ignore[arg-type] # only for S3
        folder=folder,
        **options,
    )


async def fed(of: ExportSource, **options: Any) -> MemorySink:
    sink = MemorySink(**options)
    await of.feed(sink)
    return sink


def summaries(sink: MemorySink) -> list[tuple[str, str, str | None, str | None]]:
    """Kind, key, old and new value of each record."""
    found = []
    for body in sink.bodies:
        change = body["dynamodb"]
        images = [change.get(name, {}).get("n", {}).get("N") for name in ("OldImage", "NewImage")]
        found.append((body["eventName"], change["Keys"]["pk"]["S"], images[0], images[1]))
    return found


async def test_what_a_line_becomes(tmp_path: Path) -> None:
    """The kind of event by its images, the time of the write, the stream's ARN and view type, and the run in the id."""
    lines = [line("a", BEGIN + 1.5, None, 1), line("b", BEGIN + 2, 1, 2), line("c", BEGIN + 3, 3, None)]
    sink = await fed(source([window(tmp_path, (0, 1), lines)], tmp_path))
    assert summaries(sink) == [
        ("INSERT", "a", None, "1"),
        ("MODIFY", "b", "1", "2"),
        ("REMOVE", "c", "3", None),
    ]
    body = sink.bodies[1]
    number = body["dynamodb"].pop("SequenceNumber")
    assert body == {
        "eventID": f"run-1-{number}",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "eventSourceARN": STREAM,
        "dynamodb": {
            "ApproximateCreationDateTime": float(BEGIN + 2),
            "Keys": key("b"),
            "NewImage": item("b", 2),
            "OldImage": item("b", 1),
            "SizeBytes": body["dynamodb"]["SizeBytes"],
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }
    record = sink.records[0]
    assert (record.created_at, record.kind, record.key) == (
        BEGIN + 1,
        "INSERT",
        b'{"pk":{"S":"a"},"sk":{"N":"1"}}',
    )


@pytest.mark.parametrize(
    ("view_type", "images"),
    [
        ("NEW_AND_OLD_IMAGES", ("1", "2")),
        ("NEW_IMAGE", (None, "2")),
        ("OLD_IMAGE", ("1", None)),
        ("KEYS_ONLY", (None, None)),
    ],
)
async def test_images_of_the_streams_view_type(tmp_path: Path, view_type: str, images: Any) -> None:
    """A record has what the function is used to."""
    of = source([window(tmp_path, (0, 1), [line("b", BEGIN, 1, 2)])], tmp_path, view_type)
    assert summaries(await fed(of)) == [("MODIFY", "b", *images)]


async def test_windows_in_the_order_of_time(tmp_path: Path) -> None:
    """However they are given: all files of one are settled before one of the next is opened, and numbers ascend."""
    exports = [
        window(
            tmp_path, (hour, hour + 1), *[[line(name, BEGIN + hour * HOUR, hour, hour + 1)] for name in "abc"]
        )
        for hour in (2, 0, 1)
    ]
    sink = await fed(source(exports, tmp_path))
    assert [new for _, _, _, new in summaries(sink)] == ["1"] * 3 + ["2"] * 3 + ["3"] * 3
    numbers = [record.sequence for record in sink.records if b'"a"' in record.key]
    assert numbers == sorted(numbers)
    assert len({record.sequence for record in sink.records}) == 9
    opened = [name for event, name in sink.log if event == "open"]
    for before, after in ((opened[2], opened[3]), (opened[5], opened[6])):
        assert sink.position("drain", before) < sink.position("open", after)
    assert all(shard.token == END for shard in sink.shards.values())


async def test_gaps_and_overlaps_are_found_first(tmp_path: Path) -> None:
    """Both exports are named, and nothing is opened; each can be ignored."""
    first, second, third = (
        window(tmp_path, hours, [line("a", BEGIN, 1, 2)]) for hours in ((0, 2), (1, 3), (4, 5))
    )
    for exports, said, finding in (
        ([first, second], "same changes", OVERLAP),
        ([second, third], "missing", GAP),
    ):
        of = source(exports, tmp_path)
        with pytest.raises(RefusedError, match=said) as caught:
            await of.preview()
        assert all(export in str(caught.value) for export in exports)
        sink = MemorySink()
        with pytest.raises(RefusedError, match=said):
            await of.feed(sink)
        assert not sink.log
        assert len((await fed(source(exports, tmp_path, ignored=[finding]))).records) == 2
    with pytest.raises(RefusedError, match="same changes"):
        await source([first, first], tmp_path).preview()
    no_time = window(tmp_path, (7, 8), [line("a", BEGIN, 1, 2)], exportFromTime=None)
    with pytest.raises(RefusedError, match="does not say"):
        await source([third, no_time], tmp_path).preview()
    assert (await source([no_time], tmp_path).preview()).records == 1


async def test_resumed_after_each_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that were settled are not put again, nor are whole files."""
    monkeypatch.setattr("refire_async.delivery.sources.export._LINES_AT_ONCE", 2)
    files = [[line(f"{name}{number}", BEGIN, 1, number) for number in range(7)] for name in "ab"]
    exports = [window(tmp_path, (0, 1), *files), window(tmp_path, (1, 2), *files)]

    class CutError(Exception):
        """Where the attempt ends."""

    whole = [record.body for record in (await fed(source(exports, tmp_path))).records]
    tokens: dict[str, str] = {}
    found: list[bytes] = []
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
            await source(exports, tmp_path).feed(sink)
            ended = True
        except* CutError:
            pass
        found += [record.body for record in sink.records]
        tokens |= {shard.name: shard.tokens[-1] for shard in sink.shards.values() if shard.tokens}
    assert sorted(found) == sorted(whole)
    assert set(tokens.values()) == {END}


async def test_preview_and_choice(tmp_path: Path) -> None:
    """Counts, stale records by key over several windows, the latest of a key, and a window of time within."""
    exports = [
        window(tmp_path, (0, 1), [line("a", BEGIN, None, 1), line("b", BEGIN + 5, None, 1)]),
        window(tmp_path, (1, 2), [line("a", BEGIN + HOUR, 1, 2)]),
    ]
    preview = await source(exports, tmp_path).preview()
    assert (preview.records, preview.stale, preview.batches) == (3, 0, 2)
    assert preview.by_kind == (("INSERT", 2), ("MODIFY", 1))
    assert (preview.first_at, preview.last_at) == (BEGIN, BEGIN + HOUR)
    preview = await source(exports, tmp_path, kinds=["INSERT"]).preview()
    assert (preview.records, preview.stale, preview.stale_keys) == (
        2,
        1,
        ('{"pk":{"S":"a"},"sk":{"N":"1"}}',),
    )
    assert [what[1:] for what in summaries(await fed(source(exports, tmp_path, latest_per_key=True)))] == [
        ("b", None, "1"),
        ("a", "1", "2"),
    ]
    narrow = source(exports, tmp_path, window=Window(BEGIN + 1, BEGIN + HOUR))
    assert summaries(await fed(narrow)) == [("INSERT", "b", None, "1")]
    filtered = source(exports, tmp_path, filters=['{"eventName":["MODIFY"]}'])
    assert len((await fed(filtered)).records) == 1
    assert filtered.skipped.filtered == 2


def full(folder: Path, items: list[dict[str, Any]], at: int = 0) -> str:
    """A full export of so many hours after `BEGIN`."""
    export = Export(ARN, "id-1", export_id=f"{at:014}-full")
    export.summary = {"exportTime": iso(BEGIN + at * HOUR)}
    export.add([{"Item": one} for one in items])
    export.seal()
    return export.write(folder / f"full{at}")


async def test_full_export(tmp_path: Path) -> None:
    """Items become inserts, or changes that changed nothing; changes from then on come after them."""
    name = full(tmp_path, [item("a", 1), item("b", 2)])
    assert summaries(await fed(source([name], tmp_path))) == [
        ("INSERT", "a", None, "1"),
        ("INSERT", "b", None, "2"),
    ]
    sink = await fed(source([name], tmp_path, as_event="modify"))
    assert summaries(sink) == [("MODIFY", "a", "1", "1"), ("MODIFY", "b", "2", "2")]
    assert sink.records[0].created_at == BEGIN
    changes = window(tmp_path, (0, 1), [line("a", BEGIN + 9, 1, 3)])
    assert summaries(await fed(source([changes, name], tmp_path)))[-1] == ("MODIFY", "a", "1", "3")
    with pytest.raises(RefusedError, match="same changes"):
        await source([name, full(tmp_path / "x", [item("a", 1)])], tmp_path).preview()


async def test_export_of_new_images(tmp_path: Path) -> None:
    """Whether an item was there before is not in it: it becomes what the user says."""
    lines = [line("a", BEGIN, None, 1), line("b", BEGIN, None, None)]
    lines[1]["Metadata"] = {"WriteTimestampMicros": str(BEGIN * 10**6)}
    name = window(tmp_path, (0, 1), lines, outputView="NEW_IMAGE")
    removed = ("REMOVE", "b", None, None)
    assert summaries(await fed(source([name], tmp_path))) == [("INSERT", "a", None, "1"), removed]
    assert summaries(await fed(source([name], tmp_path, as_event="modify"))) == [
        ("MODIFY", "a", None, "1"),
        removed,
    ]


@pytest.mark.parametrize(
    "bad",
    [
        {"Keys": key("a")},
        {"Metadata": {"WriteTimestampMicros": {"N": "x"}}, "Keys": key("a")},
        {"Metadata": {"WriteTimestampMicros": {"N": "1"}}, "Keys": {"pk": {"S": "a"}}},
        {"Metadata": {"WriteTimestampMicros": {"N": "1"}}, "Keys": {"pk": {"N": "1"}, "sk": {"N": "1"}}},
        {"Metadata": {"WriteTimestampMicros": {"N": "1"}}, "Keys": key("a"), "NewImage": {"a": {"X": 1}}},
        {"Item": []},
        {"Item": {"pk": {"S": "a"}}},
        [],
    ],
)
async def test_bad_lines(tmp_path: Path, bad: Any) -> None:
    """The file and the item are named."""
    name = window(tmp_path, (0, 1), [line("a", BEGIN, 1, 2), bad])
    with pytest.raises(UsageError, match=r"file0\.json\.gz item 2 of the export"):
        await source([name], tmp_path).preview()


async def test_damaged_files(tmp_path: Path) -> None:
    """What is not as the manifest says is found when looking ahead."""
    name = window(tmp_path, (0, 1), [line("a", BEGIN, 1, 2)])
    (data,) = Path(name).parent.glob("data/*")
    data.write_bytes(gzip.compress(b""))
    with pytest.raises(RefusedError, match="MD5"):
        await source([name], tmp_path).preview()
    with pytest.raises(UsageError, match="cannot be read"):
        await source([str(tmp_path / "none")], tmp_path).preview()
    other = Export(ARN + "x", "id-1")
    other.seal()
    with pytest.raises(RefusedError, match="not of"):
        await source([other.write(tmp_path / "other")], tmp_path).preview()
