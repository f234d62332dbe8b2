"""Read-only calls about a table: whether each works, what refused it, and how long it took.

No call writes, and none fetches an item: the scan only counts one. Of a stream record nothing but its number is kept.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, Literal, TypeAlias

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from refire_async.aws.autoscaling import describe_scalable_writes
from refire_async.aws.data_plane import parse_reply
from refire_async.aws.errors import AwsError
from refire_async.aws.event_source_mappings import ask_mappings
from refire_async.aws.other_services import UnansweredError
from refire_async.aws.pipes import ask_pipes
from refire_async.aws.session import Session
from refire_async.diagnosis import harmless
from refire_async.errors import RefireError
from refire_async.model.capacity import TABLE
from refire_async.model.table import Table
from refire_async.preflight.probes import query_metrics

Outcome: TypeAlias = Literal["works", "refused", "no answer", "not tried"]
Found: TypeAlias = dict[str, Any]

_STATUSES = ("CREATING", "UPDATING", "DELETING", "ACTIVE", "INACCESSIBLE_ENCRYPTION_CREDENTIALS", "ARCHIVING")
_VIEWS = ("NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY")


@dataclass(frozen=True, slots=True)
class Probe:
    """One call: `code` says why it was refused or had no answer, `found` has numbers and known words of the answer."""

    name: str
    outcome: Outcome
    code: str | None = None
    took_ms: float | None = None
    found: Found = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The probe for the file."""
        return asdict(self)


async def probe_table(session: Session, name: str) -> tuple[list[Probe], Table | None]:
    """All probes of the table with this name, one after the other, and its description if there is one."""
    prober = _Prober(session, name)
    await prober.run("dynamodb:DescribeTable", prober.describe)
    for probe, call in prober.calls():
        await prober.run(probe, call)
    return prober.probes, prober.table


class _Prober:
    def __init__(self, session: Session, name: str) -> None:
        self.probes: list[Probe] = []
        self.table: Table | None = None
        self._session = session
        self._name = name
        self._shard: str | None = None
        self._iterator: str | None = None

    async def run(self, name: str, call: Callable[[], Awaitable[Found | None]]) -> None:
        """Make the call, which returns None if there is nothing to ask."""
        began = perf_counter()
        outcome: Outcome = "works"
        code, found = None, None
        try:
            found = await call()
        except (UnansweredError, RefireError) as error:
            outcome, code = classify(error)
        if outcome == "works" and found is None:
            outcome = "not tried"
        took_ms = None if outcome == "not tried" else round((perf_counter() - began) * 1_000, 1)
        self.probes.append(Probe(name, outcome, code, took_ms, found or {}))

    def calls(self) -> Iterator[tuple[str, Callable[[], Awaitable[Found | None]]]]:
        """The calls after the first. If that had no answer, or there is no such table, they have nothing to ask."""
        described = self.probes[0]
        asks = described.outcome != "no answer" and not str(described.code).startswith("ResourceNotFound")
        for name, call in (
            ("dynamodb:DescribeTimeToLive", self._time_to_live),
            ("dynamodb:DescribeContinuousBackups", self._backups),
            ("dynamodb:DescribeKinesisStreamingDestination", self._kinesis),
            ("dynamodb:Scan", self._scan),
            ("dynamodb:DescribeStream", self._shards),
            ("dynamodb:GetShardIterator", self._begin),
            ("dynamodb:GetRecords", self._records),
            ("lambda:ListEventSourceMappings", self._mappings),
            ("pipes:ListPipes", self._pipes),
            ("cloudwatch:GetMetricData", self._metrics),
            ("application-autoscaling:DescribeScalableTargets", self._scaling),
        ):
            yield name, call if asks else _nothing

    async def describe(self) -> Found:
        self.table = await self._session.control.describe_table(self._name)
        return describe_table(self.table)

    async def _time_to_live(self) -> Found:
        return {"enabled": await self._session.control.ttl_attribute(self._name) is not None}

    async def _backups(self) -> Found:
        return {"enabled": await self._session.control.point_in_time_recovery(self._name)}

    async def _kinesis(self) -> Found:
        return {"destinations": len(await self._session.control.kinesis_destinations(self._name))}

    async def _scan(self) -> Found:
        request = orjson.dumps({"TableName": self._name, "Limit": 1, "Select": "COUNT"})
        answer = parse_reply(await self._session.data.call("Scan", request), "Count")
        return harmless.numbers({"items": answer["Count"]}, ("items",))

    @property
    def _stream(self) -> str | None:
        return None if self.table is None else self.table.stream.arn

    async def _shards(self) -> Found | None:
        if self._stream is None:
            return None
        shards = await self._session.streams.shards(self._stream)
        self._shard = shards[-1].id if shards else None
        return {"shards": len(shards), "open": sum(shard.is_open for shard in shards)}

    async def _begin(self) -> Found | None:
        if self._stream is None or self._shard is None:
            return None
        self._iterator = await self._session.streams.beginning(self._stream, self._shard)
        return {}

    async def _records(self) -> Found | None:
        if self._iterator is None:
            return None
        return {"records": await self._session.streams.count(self._iterator, 1)}

    async def _mappings(self) -> Found | None:
        if self._stream is None:
            return None
        mappings = await ask_mappings(self._session.services, self._stream)
        return {"mappings": len(mappings), "enabled": sum(one.enabled for one in mappings)}

    async def _pipes(self) -> Found | None:
        if self._stream is None:
            return None
        return {"pipes": len(await ask_pipes(self._session.services, self._stream))}

    async def _metrics(self) -> Found:
        _, busiest = await query_metrics(self._session.services, (), self._name, self._session.clock.now())
        return {"table_has_metrics": busiest is not None}

    async def _scaling(self) -> Found:
        targets = await describe_scalable_writes(self._session.services, self._name, (TABLE,))
        return {"targets": len(targets)}


async def _nothing() -> None:
    """There is nothing to ask."""


def why(error: BaseException) -> str:
    """The code of an error, or of the error that caused it."""
    return classify(error)[1] or "other"


def classify(error: BaseException) -> tuple[Outcome, str | None]:
    """What an error says about a call: an answer with a code, no answer, or that nothing was sent."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AwsError):
            return "refused" if cause.status else "no answer", harmless.code(cause.code)
        if isinstance(cause, ClientError):
            return "refused", harmless.code(cause.response.get("Error", {}).get("Code"))
        if isinstance(cause, TimeoutError):
            return "no answer", "Timeout"
        if isinstance(cause, BotoCoreError | OSError):
            return "no answer", harmless.code(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, UnansweredError):  # the table is in an emulator, which is no place to ask AWS about
        return "not tried", None
    return "refused", harmless.code(type(error).__name__)


def describe_table(table: Table) -> Found:
    """The shape of a table, without a name."""
    scopes = [index.scope for index in table.indexes]
    throughput = {name: value for name, value in asdict(table.throughput).items() if value is not None}
    return {
        "status": harmless.word(table.status, _STATUSES),
        "billing": harmless.word(table.billing, ("PROVISIONED", "PAY_PER_REQUEST")),
        "stream": table.stream.enabled,
        "view": None if table.stream.view_type is None else harmless.word(table.stream.view_type, _VIEWS),
        "key_types": [
            harmless.word(kind, ("S", "N", "B"))
            for kind in (table.keys.hash_type, table.keys.range_type)
            if kind
        ],
        "indexes": {"global": scopes.count("global"), "local": scopes.count("local")},
        "replicas": len(table.replicas),
        **harmless.numbers({"items": table.item_count, "bytes": table.size_bytes}, ("items", "bytes")),
        "throughput": harmless.numbers(throughput, throughput),
    }
