"""Delivery by a temporary event source mapping: its whole life, also when the program dies in it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from refire_async import failpoints
from refire_async.aws.event_source_mappings import Mapping
from refire_async.aws.temporary_mapping import MappingPlane, alias_name, is_temporary
from refire_async.delivery.ledger import Ledger
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.saved import peek
from refire_async.delivery.sink import Preview, Sink, Skipped
from refire_async.delivery.spec import DeliverySpec
from refire_async.engine.delivering import Prepared, run_prepared
from refire_async.engine.delivery_target import FoundTarget
from refire_async.engine.mapped import MappedDelivery, check_mapping, has_mapping, mapping_settings
from refire_async.errors import ExitCode, RefireError, UsageError
from refire_async.events import Event, MappingSeen
from refire_async.model.delivery import DeliveryResult
from refire_async.model.stop import StopRequest
from refire_async.settings import Connection, DeliverySettings, ReplaySettings, SelectionSettings
from tests.support.lambda_control_plane import START_S, FakeAws, KilledError, now
from tests.support.virtual_time import VIRTUAL_TIME

STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"
RUN = "fix-1"
ALIAS = "refire-fix-1"
PATTERN = '{"dynamodb":{"ApproximateCreationDateTime":[{"numeric":[">=",1,"<",2]}]}}'
ORIGINAL = Mapping(
    function="orders", enabled=True, tumbling_s=30, failure_destination="arn:aws:sqs:eu-west-1:1:failed"
)


@pytest.fixture
def anyio_backend() -> Any:
    """Minutes of polling pass at once."""
    return VIRTUAL_TIME


@pytest.fixture(autouse=True)
def no_failpoint() -> Iterator[None]:
    """Each test arms its own."""
    yield
    failpoints.reached = None


class _Source:
    """Has ten records in its preview and never feeds."""

    skipped = Skipped()

    def __init__(self, records: int = 10) -> None:
        self._records = records

    async def preview(self) -> Preview:
        return Preview(records=self._records, batches=1, size_bytes=100, skipped=Skipped())

    async def feed(self, sink: Sink) -> None:  # noqa: ARG002
        raise AssertionError("the stream is Lambda's to read")


def _work(**figures: int) -> Callable[[float], dict[str, int]]:
    """The figures appear three minutes after creation, as CloudWatch's do."""
    names = {
        "invoked": "InvokedEventCount",
        "failed": "FailedInvokeEventCount",
        "dropped": "DroppedEventCount",
    }
    return lambda seconds: {names[name]: value for name, value in figures.items()} if seconds > 180 else {}


def _prepared(aws: FakeAws, path: Path, **settings: Any) -> Prepared:
    delivery = MappedDelivery(aws, "orders", "7", 60.0, (PATTERN,), ORIGINAL)  # type: ignore[arg-type]
    spec = DeliverySpec(
        run_id=RUN,
        command="replay",
        source="the stream of table orders",
        function="orders",
        rules=DeliveryRules(max_record_age_s=100),
        table="orders",
        stream_arn=STREAM,
        since=START_S,
        selection='{"how":"mapping"}',
    )

    def never(**_: Any) -> Any:
        raise AssertionError("nothing is invoked from here")

    return Prepared(
        spec=spec,
        settings=DeliverySettings(function="orders", checkpoint=path, assume_yes=True, **settings),
        connection=Connection(region="eu-west-1"),
        source=settings.pop("source", _Source()),
        target=FoundTarget(
            function="orders",
            version="7",
            rules=spec.rules,
            mapping="",
            concurrency=10,
            open=never,
            is_local=False,
        ),
        clock=now,
        attempt=delivery.attempt,
    )


async def _run(
    aws: FakeAws,
    path: Path,
    *,
    stop: StopRequest | None = None,
    events: list[Event] | None = None,
    **more: Any,
) -> DeliveryResult:
    seen: list[Event] = [] if events is None else events
    prepared = _prepared(aws, path, **more)
    return await run_prepared(prepared, emit=seen.append, stop=stop or StopRequest(), confirm=None)


async def test_a_whole_life(tmp_path: Path) -> None:
    """Alias, mapping, metrics, and both are gone at the end; the settings are the original's."""
    aws, events = FakeAws(_work(invoked=10)), list[Event]()
    result = await _run(aws, tmp_path / "l.refire", events=events)
    assert (result.exit_code, result.reason, result.summary.status) == (ExitCode.COMPLETE, None, "complete")
    counts = result.summary.counts
    assert (counts.selected, counts.delivered, counts.failed, result.summary.unaccounted) == (10, 10, 0, 0)
    assert aws.left == []
    request = dict(aws.calls)["CreateEventSourceMapping"]
    assert request["FunctionName"] == f"orders:{ALIAS}"
    assert (request["StartingPosition"], request["TumblingWindowInSeconds"]) == ("TRIM_HORIZON", 30)
    assert request["MetricsConfig"] == {"Metrics": ["EventCount"]}
    assert request["DestinationConfig"]["OnFailure"]["Destination"] == ORIGINAL.failure_destination
    assert dict(aws.calls)["CreateAlias"]["FunctionVersion"] == "7"
    states = [event.state for event in events if isinstance(event, MappingSeen)]
    assert states[:2] == ["Creating", "Enabled"]
    assert peek(tmp_path / "l.refire").status == "complete"


async def test_what_lambda_gives_up_is_counted(tmp_path: Path) -> None:
    """Retries do not count as deliveries: 4 records failed three times and were dropped."""
    aws = FakeAws(_work(invoked=18, failed=12, dropped=4))
    result = await _run(aws, tmp_path / "l.refire")
    counts = result.summary.counts
    assert (counts.delivered, counts.failed, result.exit_code) == (6, 4, ExitCode.SOME_FAILED)


@pytest.mark.parametrize(
    ("metrics", "delivered", "said"),
    [(False, 0, "how many it delivered is unknown"), (True, 7, "count 7 of 10")],
)
async def test_without_the_whole_count(tmp_path: Path, *, metrics: bool, delivered: int, said: str) -> None:
    """The end is then recognized by Lambda's last result, and nothing is invented."""
    aws = FakeAws(_work(invoked=7), metrics=metrics)
    result = await _run(aws, tmp_path / "l.refire")
    assert (result.exit_code, result.summary.status) == (ExitCode.SOME_FAILED, "complete")
    assert said in str(result.reason)
    assert (result.summary.counts.delivered, result.summary.unaccounted) == (delivered, 10 - delivered)
    assert aws.left == []
    assert orjson.loads(orjson.dumps(result.summary.to_json()))["unaccounted"] == 10 - delivered


async def test_no_progress(tmp_path: Path) -> None:
    """A function that fails again and again, with retries without limit."""
    aws = FakeAws(
        lambda seconds: {"InvokedEventCount": int(seconds), "FailedInvokeEventCount": int(seconds)},
        result=lambda _: "PROBLEM: Function call failed",
    )
    result = await _run(aws, tmp_path / "l.refire", give_up_after_s=60.0)
    assert result.exit_code is ExitCode.STOPPED
    assert "makes no progress" in str(result.reason)
    assert "PROBLEM: Function call failed" in str(result.reason)
    assert aws.left == []


@pytest.mark.parametrize(
    ("reason", "code"), [("interrupted", ExitCode.INTERRUPTED), ("terminated", ExitCode.STOPPED)]
)
async def test_stop_and_resume(tmp_path: Path, reason: Any, code: ExitCode) -> None:
    """A stop takes both away, and a resume delivers everything again and says so."""
    aws, stop = FakeAws(_work(invoked=4)), StopRequest()
    async with anyio.create_task_group() as tasks:

        async def interrupt() -> None:
            await anyio.sleep(250)
            stop.request(reason)

        tasks.start_soon(interrupt)
        result = await _run(aws, tmp_path / "l.refire", stop=stop)
    assert (result.exit_code, result.summary.status, aws.left) == (code, "stopped", [])
    assert "delivers everything again" in str(result.reason)
    aws.work = _work(invoked=10)
    result = await _run(aws, tmp_path / "l.refire")
    counts = result.summary.counts
    assert (result.exit_code, counts.delivered, counts.repeated) == (ExitCode.COMPLETE, 10, 4)
    assert (list(aws.mappings), aws.left) == (["uuid-1", "uuid-2"], [])
    ages = [made.request["MaximumRecordAgeInSeconds"] for made in aws.mappings.values()]
    assert ages[0] > 100 + 1_000, "the clock begins at 1,000 s"
    assert ages[1] > ages[0], "also on a resume"


async def test_cancelled(tmp_path: Path) -> None:
    """A second Ctrl-C: what can be taken away in short time is."""
    aws = FakeAws(_work(invoked=4))
    with anyio.move_on_after(250):
        await _run(aws, tmp_path / "l.refire")
    made = aws.mappings["uuid-1"]
    assert made.deleted_at is not None
    assert has_mapping(tmp_path / "l.refire")


@pytest.mark.parametrize("code", ["InvalidParameterValueException", "AccessDeniedException"])
@pytest.mark.parametrize("operation", ["CreateAlias", "CreateEventSourceMapping"])
async def test_refused_creation(tmp_path: Path, operation: str, code: str) -> None:
    """One line with Lambda's reason, nothing left behind, no checkpoint."""
    aws = FakeAws(_work(), refuse={operation: [code]})
    result = await _run(aws, tmp_path / "l.refire")
    assert (result.exit_code, result.summary.checkpoint) == (ExitCode.REFUSED, None)
    assert operation in str(result.reason)
    assert code in str(result.reason)
    assert aws.left == []
    assert not (tmp_path / "l.refire").exists()


async def test_put_off(tmp_path: Path) -> None:
    """Throttling, a mapping in use and an alias that is not known everywhere yet are waited out."""
    aws = FakeAws(
        _work(invoked=10),
        refuse={
            "CreateAlias": ["TooManyRequestsException"],
            "CreateEventSourceMapping": ["ResourceNotFoundException", "ServiceException"],
            "DeleteEventSourceMapping": ["ResourceInUseException", "ResourceInUseException"],
        },
    )
    result = await _run(aws, tmp_path / "l.refire")
    assert (result.exit_code, aws.left) == (ExitCode.COMPLETE, [])


async def test_what_cannot_be_taken_away_is_named(tmp_path: Path) -> None:
    """And a later resume takes it away without delivering again."""
    aws = FakeAws(_work(invoked=10), refuse={"DeleteAlias": ["AccessDeniedException"]})
    result = await _run(aws, tmp_path / "l.refire")
    assert (result.exit_code, result.summary.status) == (ExitCode.STOPPED, "stopped")
    assert f"alias {ALIAS}" in str(result.reason)
    assert f"refire forget {RUN}" in str(result.reason)
    result = await _run(aws, tmp_path / "l.refire")
    assert (result.exit_code, aws.left, list(aws.mappings)) == (ExitCode.COMPLETE, [], ["uuid-1"])
    assert result.summary.counts.delivered == 10


@pytest.mark.parametrize("point", failpoints.MAPPING_POINTS)
async def test_killed_at(tmp_path: Path, point: str) -> None:
    """From each point, a resume completes, delivers once, and leaves nothing at Lambda."""
    aws, path, saved = FakeAws(_work(invoked=10)), tmp_path / "l.refire", tmp_path / "saved"

    def kill(reached: str) -> None:
        if reached == point and not aws.dead:
            shutil.copytree(tmp_path, saved, ignore=shutil.ignore_patterns("saved"))
            aws.dead = True
            raise KilledError

    failpoints.reached = kill
    with pytest.raises(KilledError):
        await _run(aws, path)
    failpoints.reached = None
    aws.dead = False
    for file in saved.iterdir():
        shutil.copy(file, tmp_path / file.name)
    await anyio.sleep(60)
    result = await _run(aws, path)
    assert (result.exit_code, result.summary.status, result.summary.counts.delivered) == (0, "complete", 10)
    assert (list(aws.mappings), aws.left) == (["uuid-1"], [])


async def test_killed_and_taken_away(tmp_path: Path) -> None:
    """What `refire forget` does: nothing that the delivery made remains, and the original is not touched."""
    aws = FakeAws(_work(invoked=10))
    aws.aliases["orders", "refire-other"] = "1"
    plane = MappingPlane(aws, "orders", ALIAS, STREAM)  # type: ignore[arg-type]
    await plane.make_alias("7", "")
    other = MappingPlane(aws, "orders", "refire-other", STREAM)  # type: ignore[arg-type]
    settings = mapping_settings(DeliveryRules(), (PATTERN,), None, 0.0)
    made = [(await one.make_mapping(settings)).uuid for one in (other, plane)]
    assert made == ["uuid-1", "uuid-2"]
    await plane.take_away(lambda _: None)
    assert aws.left == ["refire-other", "uuid-1"]


async def test_nothing_to_deliver(tmp_path: Path) -> None:
    """Then nothing is made."""
    aws = FakeAws(_work())
    prepared = replace(_prepared(aws, tmp_path / "l.refire"), source=_Source(0))
    result = await run_prepared(prepared, emit=lambda _: None, stop=StopRequest(), confirm=None)
    assert (result.exit_code, aws.calls) == (ExitCode.COMPLETE, [])


async def test_dry_run(tmp_path: Path) -> None:
    """Shows what there is and makes nothing."""
    aws = FakeAws(_work())
    result = await _run(aws, tmp_path / "l.refire", dry_run=True)
    assert (result.summary.status, aws.calls, os.listdir(tmp_path)) == ("dry-run", [], [])  # noqa: PTH208


def test_settings_of_the_mapping() -> None:
    """A limit on age reaches back over the window; no limits are -1."""
    plain = mapping_settings(DeliveryRules(), (PATTERN,), None, 9.5)
    assert (plain["MaximumRetryAttempts"], plain["MaximumRecordAgeInSeconds"]) == (-1, -1)
    assert "TumblingWindowInSeconds" not in plain
    rules = DeliveryRules(max_record_age_s=100, retries=3, partial_failures=True, bisect=True, window_s=2.0)
    made = mapping_settings(rules, (PATTERN,), ORIGINAL, 3600.5)
    assert (made["MaximumRecordAgeInSeconds"], made["MaximumRetryAttempts"]) == (3701, 3)
    assert made["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert (made["BisectBatchOnFunctionError"], made["MaximumBatchingWindowInSeconds"]) == (True, 2)


@pytest.mark.parametrize(
    "run_id", ["20260131T120000Z-3f2a1b", "a.b", "a-b", "x" * 64, "x" * 63 + "y", "1.2", "9"]
)
def test_alias_names(run_id: str) -> None:
    """Valid, short and distinct."""
    name = alias_name(run_id)
    assert name.replace("-", "").replace("_", "").isalnum()
    assert len(f"{'f' * 64}:{name}") <= 140


def test_alias_names_are_distinct() -> None:
    """Also where characters or an end are cut off."""
    ids = ["a.b", "a-b", "x" * 64, "x" * 63 + "y"]
    assert len(set(map(alias_name, ids))) == len(ids)


def test_a_temporary_mapping_is_no_original() -> None:
    """An alias of the user's that only begins alike is."""
    mine = replace(ORIGINAL, function=f"orders:{ALIAS}", starting_position="TRIM_HORIZON", filters=(PATTERN,))
    assert is_temporary(mine)
    assert not is_temporary(replace(mine, filters=()))
    assert not is_temporary(replace(mine, function="orders:live"))


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"exports": ("x",)}, "--export"),
        ({"as_event": "insert"}, "--as"),
        ({"latest_per_key": True}, "--latest-per-key"),
        ({"selection": SelectionSettings(key_values=("a",))}, "a selection by keys"),
        ({"selection": SelectionSettings(filter="a = :b")}, "a selection by keys"),
        ({"since": None}, "--since"),
    ],
)
def test_refused(more: dict[str, Any], word: str) -> None:
    """What a mapping cannot express."""
    settings = ReplaySettings(
        table="orders", since=1.0, delivery=DeliverySettings(function="orders", how="mapping")
    )
    check_mapping(settings)
    with pytest.raises(UsageError, match=word):
        check_mapping(replace(settings, **more))


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"concurrency": 3}, "--concurrency"),
        ({"max_rate": 3.0}, "--max-rate"),
        ({"max_iterator_age_s": 60.0}, "--max-iterator-age"),
        ({"to": "-"}, "--to"),
    ],
)
def test_refused_options(more: dict[str, Any], word: str) -> None:
    """What paces invocations from here."""
    delivery = DeliverySettings(function="orders", how="mapping", **more)
    with pytest.raises(UsageError, match=word):
        check_mapping(ReplaySettings(table="orders", since=1.0, delivery=delivery))


async def test_a_damaged_state(tmp_path: Path) -> None:
    """Refused as a checkpoint is, with what to do."""
    aws, path = FakeAws(_work()), tmp_path / "l.refire"
    with closing(Ledger.create(path, _prepared(aws, path).spec, Connection())) as ledger:
        ledger._db.execute("INSERT INTO shard VALUES ('temporary mapping', '{}')")
    with pytest.raises(RefireError, match="does not say what became of its mapping"):
        await _run(aws, path)
