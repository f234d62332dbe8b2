"""Collect the facts of a check concurrently, within `TIMEOUT_S`. A missing answer is a fact too."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import anyio
import orjson

from refire_async.aws.autoscaling import describe_scalable_writes
from refire_async.aws.errors import AwsError
from refire_async.aws.event_source_mappings import ask_mappings
from refire_async.aws.other_services import TIMEOUT_S, UnansweredError
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
    Asked,
    Denied,
    Depth,
    Facts,
    KinesisStream,
)
from refire_async.preflight.sampling import sample
from refire_async.sources.lookup import Lookup
from refire_async.sources.table import hash_key_condition, hash_key_values


async def collect(session: Session, asked: Asked, depth: Depth) -> Facts:
    """Ask DynamoDB and the services beside it. Takes `TIMEOUT_S` seconds at most and raises nothing."""
    collector = _Collector(session, asked, anyio.current_time() + TIMEOUT_S)
    questions: dict[str, Callable[[], Awaitable[None]]] = {
        "consumers": collector.ask_consumers,
        "Kinesis destinations": collector.ask_kinesis,
        "backups": collector.ask_backups,
    }
    if asked.table.billing == "PROVISIONED":
        questions["autoscaling"] = collector.ask_scaling
    if (sample_s := depth.sample_s) is not None:
        questions["the sample"] = lambda: collector.ask_sample(sample_s, whole_items=depth.whole_items)
        questions["permissions to read"] = collector.try_reading
    if (kind := depth.write_as) is not None:
        questions["the permission to write"] = lambda: collector.try_writing(
            UpdateWriter if kind == "update" else PartiqlWriter
        )
    async with anyio.create_task_group() as tasks:
        for what, ask in questions.items():
            tasks.start_soon(collector.collect_one, what, ask)
    return collector.facts


class _Collector:
    """Filled by questions that run at the same time: nothing is awaited between taking `facts` and putting it back."""

    def __init__(self, session: Session, asked: Asked, until: float) -> None:
        self.facts = Facts(asked=asked)
        self._session = session
        self._asked = asked
        self._until = until

    async def collect_one(self, what: str, ask: Callable[[], Awaitable[None]]) -> None:
        """Run one query. Its failure or timeout does not affect the others."""
        try:
            with anyio.CancelScope(deadline=self._until) as scope:
                await ask()
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
        if denied not in self.facts.denied:  # the same permission can be missed in two places
            self.facts = replace(self.facts, denied=(*self.facts.denied, denied))

    def _failed(self, what: str, error: AwsError) -> None:
        """An emulator that does not know an operation says nothing about the table."""
        if error.name != "UnknownOperation":
            self._note_unanswered(f"{what}: {error.message}")

    async def ask_consumers(self) -> None:
        """Mappings of the stream, then how well their functions do and how many shards feed them."""
        functions: list[str] = []
        stream = self._asked.table.stream
        if stream.enabled and stream.arn is not None:
            try:
                mappings = await ask_mappings(self._session.services, stream.arn)
            except UnansweredError as error:
                self._note_unanswered(str(error))
            else:
                self.facts = replace(self.facts, mappings=mappings)
                functions = [mapping.function for mapping in mappings if mapping.enabled]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.collect_one, "CloudWatch", lambda: self._query_metrics(functions))
            if functions and stream.arn is not None:
                arn = stream.arn
                tasks.start_soon(self.collect_one, "the stream's shards", lambda: self._ask_shards(arn))

    async def _query_metrics(self, functions: list[str]) -> None:
        health, live_wcu = await probes.query_metrics(
            self._session.services,
            functions,
            self._asked.table.name,
            self._session.clock.now(),
        )
        self.facts = replace(self.facts, health=health, live_wcu=live_wcu)

    async def _ask_shards(self, stream_arn: str) -> None:
        shards = await self._session.streams.shards(stream_arn)
        self.facts = replace(self.facts, open_shards=sum(shard.is_open for shard in shards))

    async def ask_kinesis(self) -> None:
        """Active Kinesis destinations, and the shards of each."""
        arns = await self._session.control.kinesis_destinations(self._asked.table.name)
        self.facts = replace(self.facts, kinesis=tuple(KinesisStream(arn, None) for arn in arns))
        if arns:
            streams = tuple([await probes.ask_kinesis(self._session.services, arn) for arn in arns])
            self.facts = replace(self.facts, kinesis=streams)

    async def ask_backups(self) -> None:
        """Whether the table can be taken back to a moment."""
        pitr = await self._session.control.point_in_time_recovery(self._asked.table.name)
        self.facts = replace(self.facts, pitr=pitr)

    async def ask_scaling(self) -> None:
        """What scales the capacity."""
        table = self._asked.table
        resources = [TABLE, *(index.name for index in table.indexes if index.scope == "global")]
        scaling = await describe_scalable_writes(self._session.services, table.name, resources)
        self.facts = replace(self.facts, scaling=scaling)

    async def ask_sample(self, seconds: float, *, whole_items: bool) -> None:
        """Some items; the permission to read them is the run's own where it scans or queries the table."""
        try:
            found = await sample(
                self._session.data,
                self._asked,
                anyio.current_time() + seconds,
                whole_items=whole_items,
                now_s=self._session.clock.now(),
            )
            why = None if found is not None else f"no answer within {seconds:g} s"
            self.facts = replace(self.facts, sample=found, not_sampled=why)
        except AwsError as error:
            selection = self._asked.selection
            if error.name == "AccessDenied" and selection.index is None and not selection.listed:
                self._note_denied(error)
            else:
                self.facts = replace(self.facts, not_sampled=error.message)

    async def try_reading(self) -> None:
        """The reads that a run makes besides: of its index, and of single items."""
        table, selection = self._asked.table, self._asked.selection
        keys = table.keys
        if selection.index is not None:
            await self._try("Scan" if selection.kind == "scan" else "Query", self._read_index())
        lookup = Lookup(self._session.data, table.name, (*keys.names, self._asked.marker_attribute))
        await self._try("BatchGetItem", lookup.read([absent_key(keys)]))

    async def _read_index(self) -> None:
        selection, table = self._asked.selection, self._asked.table
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
        """The very write of a touch, for a key that does not exist: its condition fails, at the price of 1 WCU.

        Nothing is written: PartiQL's UPDATE never creates an item, and UpdateItem is asked to find it there.
        """
        asked = self._asked
        marker = Marker(asked.marker_kind, asked.marker_attribute, asked.run_id or "check")
        keys = asked.table.keys
        if marker.attribute in keys.names:  # key attributes cannot be written
            return
        if make is PartiqlWriter and not PartiqlWriter.fits(asked.table.name, keys, marker):
            make = UpdateWriter
        writer: Writer = make(self._session.data, asked.table.name, keys, marker)
        await self._try("the write", self._write(writer, absent_key(keys)))

    async def _write(self, writer: Writer, key: Key) -> None:
        reply = await writer.write([key])
        for error in reply.errors.values():
            if error.code.startswith("AccessDenied"):
                raise RefusedError(
                    "these credentials may not perform dynamodb:PartiQLUpdate",
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
    """A key that no item has: 32 random bytes, as text, or 38 random digits."""
    values: dict[str, Any] = {
        "S": {"S": f"refire-check-{secrets.token_hex(32)}"},
        "B": {"B": "cmVmaXJl" + secrets.token_hex(32)},
        "N": {"N": str(10**37 + secrets.randbelow(9 * 10**37))},
    }
    types = (keys.hash_type, keys.range_type)
    return {name: values[kind] for name, kind in zip(keys.names, types, strict=False) if kind is not None}
