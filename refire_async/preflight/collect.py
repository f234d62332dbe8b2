"""Collect the facts of a check concurrently, within `TIMEOUT_S`. A missing answer is a fact too."""

import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
import orjson

from refire_async.aws.autoscaling import describe_scalable_writes
from refire_async.aws.errors import AwsError
from refire_async.aws.event_source_mappings import Mapping, ask_mappings
from refire_async.aws.other_services import TIMEOUT_S, UnansweredError
from refire_async.aws.pipes import as_mapping, ask_pipes
from refire_async.aws.session import Session
from refire_async.errors import RefusedError
from refire_async.model.capacity import TABLE
from refire_async.model.keys import Key, KeySchema
from refire_async.model.marker import Marker
from refire_async.pipeline.writers.base import Writer
from refire_async.pipeline.writers.partiql import PartiqlWriter
from refire_async.pipeline.writers.update import UpdateWriter
from refire_async.preflight import probes
from refire_async.preflight.facts import (
    CheckedRun,
    Denied,
    Depth,
    Facts,
    KinesisStream,
)
from refire_async.preflight.sampling import sample
from refire_async.sources.lookup import Lookup
from refire_async.sources.table import hash_key_condition, hash_key_values


async def collect(session: Session, run: CheckedRun, depth: Depth) -> Facts:
    """Query DynamoDB and other services, for at most `TIMEOUT_S` seconds. Raises nothing."""
    collector = _Collector(session, run, anyio.current_time() + TIMEOUT_S)
    queries: dict[str, Callable[[], Awaitable[None]]] = {
        "consumers": collector.query_consumers,
        "Kinesis destinations": collector.query_kinesis,
        "backups": collector.query_backups,
    }
    if run.table.billing == "PROVISIONED":
        queries["autoscaling"] = collector.query_scaling
    if (sample_s := depth.sample_s) is not None:
        queries["the sample"] = lambda: collector.take_sample(sample_s, whole_items=depth.whole_items)
        queries["permissions to read"] = collector.try_reading
    if (kind := depth.write_as) is not None:
        queries["the permission to write"] = lambda: collector.try_writing(
            UpdateWriter if kind == "update" else PartiqlWriter
        )
    async with anyio.create_task_group() as tasks:
        for what, query in queries.items():
            tasks.start_soon(collector.collect_one, what, query)
    return collector.facts


class _Collector:
    """Collects `facts` from concurrent queries, none of which awaits anything between reading and replacing `facts`."""

    def __init__(self, session: Session, run: CheckedRun, until: float) -> None:
        self.facts = Facts(run=run)
        self._session = session
        self._run = run
        self._until = until
        self._pipes: tuple[Mapping, ...] = ()

    async def collect_one(self, what: str, query: Callable[[], Awaitable[None]]) -> None:
        """Run one query. Its failure or timeout does not affect the others."""
        try:
            with anyio.CancelScope(deadline=self._until) as scope:
                await query()
        except UnansweredError as error:
            self._note_unanswered(str(error))
        except AwsError as error:
            self._failed(what, error)
        if scope.cancelled_caught:
            self._note_unanswered(f"{what}: no answer within {TIMEOUT_S:g} s")

    def _note_unanswered(self, why: str) -> None:
        if why not in self.facts.unanswered:
            self.facts = replace(self.facts, unanswered=(*self.facts.unanswered, why))

    def _note_denied(self, error: AwsError | RefusedError) -> None:
        denied = Denied(error.message, error.action)
        if denied not in self.facts.denied:  # the same permission can be missing in two places
            self.facts = replace(self.facts, denied=(*self.facts.denied, denied))

    def _failed(self, what: str, error: AwsError) -> None:
        """Note the failure, unless an emulator does not have the operation, which says nothing about the table."""
        if error.name != "UnknownOperation":
            self._note_unanswered(f"{what}: {error.message}")

    async def query_consumers(self) -> None:
        """Mappings of the stream, then the health of their functions and the number of shards."""
        functions: list[str] = []
        stream = self._run.table.stream
        if stream.enabled and stream.arn is not None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._query_pipes, stream.arn)
                try:
                    mappings = await ask_mappings(self._session.services, stream.arn)
                except UnansweredError as error:
                    self._note_unanswered(str(error))
                else:
                    self.facts = replace(self.facts, mappings=mappings)
                    functions = [mapping.function for mapping in mappings if mapping.enabled]
            if self.facts.mappings is not None:
                self.facts = replace(self.facts, mappings=(*self.facts.mappings, *self._pipes))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.collect_one, "CloudWatch", lambda: self._query_metrics(functions))
            if functions and stream.arn is not None:
                arn = stream.arn
                tasks.start_soon(self.collect_one, "the stream's shards", lambda: self._query_shards(arn))

    async def _query_pipes(self, stream_arn: str) -> None:
        """The Pipes that read the stream. Few tables have any, so that no answer is worth no finding."""
        with suppress(UnansweredError):
            self._pipes = tuple(map(as_mapping, await ask_pipes(self._session.services, stream_arn)))

    async def _query_metrics(self, functions: list[str]) -> None:
        health, live_wcu = await probes.query_metrics(
            self._session.services,
            functions,
            self._run.table.name,
            self._session.clock.now(),
        )
        self.facts = replace(self.facts, health=health, live_wcu=live_wcu)

    async def _query_shards(self, stream_arn: str) -> None:
        shards = await self._session.streams.shards(stream_arn)
        self.facts = replace(self.facts, open_shards=sum(shard.is_open for shard in shards))

    async def query_kinesis(self) -> None:
        """Active Kinesis destinations, and the shards of each."""
        arns = await self._session.control.kinesis_destinations(self._run.table.name)
        self.facts = replace(self.facts, kinesis=tuple(KinesisStream(arn, None) for arn in arns))
        if arns:
            streams = tuple([await probes.query_kinesis(self._session.services, arn) for arn in arns])
            self.facts = replace(self.facts, kinesis=streams)

    async def query_backups(self) -> None:
        """Whether point-in-time recovery is on."""
        pitr = await self._session.control.point_in_time_recovery(self._run.table.name)
        self.facts = replace(self.facts, pitr=pitr)

    async def query_scaling(self) -> None:
        """The autoscaling of the capacity."""
        table = self._run.table
        resources = [TABLE, *(index.name for index in table.indexes if index.scope == "global")]
        scaling = await describe_scalable_writes(self._session.services, table.name, resources)
        self.facts = replace(self.facts, scaling=scaling)

    async def take_sample(self, seconds: float, *, whole_items: bool) -> None:
        """Sample items. A run that scans or queries the table needs the same permission."""
        try:
            found = await sample(
                self._session.data,
                self._run,
                anyio.current_time() + seconds,
                whole_items=whole_items,
                now_s=self._session.clock.now(),
            )
            why = None if found is not None else f"no answer within {seconds:g} s"
            self.facts = replace(self.facts, sample=found, not_sampled=why)
        except AwsError as error:
            selection = self._run.selection
            if error.name == "AccessDenied" and selection.index is None and not selection.listed:
                self._note_denied(error)
            else:
                self.facts = replace(self.facts, not_sampled=error.message)

    async def try_reading(self) -> None:
        """Try the other reads of a run: of its index, and of single items."""
        table, selection = self._run.table, self._run.selection
        keys = table.keys
        if selection.index is not None:
            await self._try("Scan" if selection.kind == "scan" else "Query", self._read_index())
        lookup = Lookup(self._session.data, table.name, keys, (*keys.names, self._run.marker_attribute))
        await self._try("BatchGetItem", lookup.read([absent_key(keys)]))

    async def _read_index(self) -> None:
        selection, table = self._run.selection, self._run.table
        request: dict[str, Any] = {"TableName": table.name, "IndexName": selection.index, "Limit": 1}
        operation = "Scan"
        if selection.kind == "query":
            operation = "Query"
            condition, names = hash_key_condition(selection, "k")
            request |= {
                "KeyConditionExpression": condition,
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": hash_key_values(selection, "k", 0),
            }
        await self._session.data.call(operation, orjson.dumps(request))

    async def try_writing(self, make: type[PartiqlWriter] | type[UpdateWriter]) -> None:
        """Try the write of a touch on a key that does not exist: its condition fails, which costs 1 WCU.

        Nothing is written: PartiQL's UPDATE never creates an item, and UpdateItem has the condition that it exists.
        """
        run = self._run
        marker = Marker(run.marker_kind, run.marker_attribute, run.run_id or "check")
        keys = run.table.keys
        if marker.attribute in keys.names:  # key attributes cannot be written
            return
        if make is PartiqlWriter and not PartiqlWriter.fits(run.table.name, keys, marker):
            make = UpdateWriter
        writer: Writer = make(self._session.data, run.table.name, keys, marker)
        await self._try("the write", self._write(writer, absent_key(keys)))

    async def _write(self, writer: Writer, key: Key) -> None:
        reply = await writer.write([key])
        for error in reply.errors.values():
            if error.code.startswith("AccessDenied"):
                raise RefusedError(
                    "these credentials are not allowed to perform dynamodb:PartiQLUpdate",
                    "allow dynamodb:PartiQLUpdate in its IAM policy, or choose another --profile",
                )

    async def _try(self, what: str, call: Awaitable[object]) -> None:
        try:
            await call
        except RefusedError as error:
            self._note_denied(error)
        except AwsError as error:
            if error.name == "AccessDenied":
                self._note_denied(error)
            else:
                self._failed(f"permission for {what}", error)


def absent_key(keys: KeySchema) -> Key:
    """A random key, which no item has: 32 bytes as text, or 38 digits."""
    values: dict[str, Any] = {
        "S": {"S": f"refire-check-{secrets.token_hex(32)}"},
        "B": {"B": "cmVmaXJl" + secrets.token_hex(32)},
        "N": {"N": str(10**37 + secrets.randbelow(9 * 10**37))},
    }
    types = (keys.hash_type, keys.range_type)
    return {name: values[kind] for name, kind in zip(keys.names, types, strict=False) if kind is not None}
