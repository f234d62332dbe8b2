"""Programs that break one promise each, to test the judge: `python mutants.py NAME refire-arguments…`.

Each is `refire` with one thing taken out of it, but for `naive`, which is the usual script: read all, put all back.
"""

import json
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

Mutation = Callable[[], None]

PAUSE_S = 0.008
"""Seconds that the naive script takes per item, as if it did some work; others write meanwhile."""


def forgetful() -> None:
    """A resume that ignores the ledger: pages that were open at a crash are never written."""
    from refire_async.checkpoint.store import Store

    whole = Store.progress
    Store.progress = lambda self, segments: replace(whole(self, segments), pages=[])  # type: ignore[method-assign]


def careless() -> None:
    """A resume that writes what is in the ledger without a look at the items."""
    from refire_async.pipeline import readers

    def take_all(spec: Any, page: Any, found: dict[tuple[object, ...], Any], older: Any) -> list[Any]:
        page.counts.vanished += len(page.items) - len(found)
        page.items = list(found.values())
        return []

    readers.resolve_in_doubt = take_all


def overconfident() -> None:
    """Takes a lost response for a failed write, and a failed condition after it for another writer's change."""
    from refire_async.aws import errors, transport_errors

    for name, disposition in errors._BY_NAME.items():
        if disposition is errors.Disposition.UNKNOWN:
            errors._BY_NAME[name] = errors.Disposition.RETRY
    for code, (disposition, *words) in transport_errors.FAILURES.items():
        if disposition is errors.Disposition.UNKNOWN:
            transport_errors.FAILURES[code] = (errors.Disposition.RETRY, *words)  # type: ignore[assignment]


def hasty() -> None:
    """Sends the writes of a page before the page is on disk."""
    from refire_async.checkpoint.journal import Journal

    async def open_at_once(self: Journal, page: Any, digests: Any = None) -> None:
        self.ledger.open(page)

    Journal.open = open_at_once  # type: ignore[method-assign]


def shrugging() -> None:
    """Counts a write whose outcome is unknown as done."""
    from refire_async.aws.errors import Disposition
    from refire_async.pipeline.workers import Workers
    from refire_async.pipeline.writers.base import WriteReply

    whole = Workers._write

    async def write(self: Any, batch: Any, reservation: Any) -> None:
        writer = self._context.writer

        class Acknowledged:
            largest = writer.largest

            async def write(self, items: Any) -> Any:
                try:
                    return await writer.write(items)
                except Exception as error:
                    if getattr(error, "disposition", None) is Disposition.UNKNOWN:
                        return WriteReply(None)
                    raise

        self._context.writer = Acknowledged()
        try:
            await whole(self, batch, reservation)
        finally:
            self._context.writer = writer

    Workers._write = write  # type: ignore[method-assign]


def _without_condition(applies: Callable[[Any], bool]) -> None:
    """Batches for which `applies` is true are written without the condition on the marker."""
    from contextvars import ContextVar

    from refire_async.pipeline.workers import Workers
    from refire_async.pipeline.writers.partiql import PartiqlWriter
    from refire_async.pipeline.writers.update import UpdateWriter

    blind: ContextVar[bool] = ContextVar("blind", default=False)
    attempt, encode_batch, encode_one = Workers._write, PartiqlWriter.encode, UpdateWriter.encode

    async def write(self: Any, batch: Any, reservation: Any) -> None:
        token = blind.set(applies(batch))
        try:
            await attempt(self, batch, reservation)
        finally:
            blind.reset(token)

    def statements(self: Any, items: Any) -> bytes:
        request = json.loads(encode_batch(self, items))
        for statement in request["Statements"] if blind.get() else ():
            conditions = len(self._key_names)
            head, _, _marker = statement["Statement"].rpartition(" AND ")
            statement["Statement"] = head
            del statement["Parameters"][conditions + 1 :]
        return json.dumps(request).encode()

    def update(self: Any, item: Any) -> bytes:
        request = json.loads(encode_one(self, item))
        if blind.get():
            request["ConditionExpression"] = "attribute_exists(#k)"
            request["ExpressionAttributeValues"].pop(":old", None)
        return json.dumps(request).encode()

    Workers._write = write  # type: ignore[method-assign]
    PartiqlWriter.encode = statements  # type: ignore[method-assign]
    UpdateWriter.encode = update  # type: ignore[method-assign]


def stubborn() -> None:
    """After a conflict it writes without a condition, with the marker that it has looked up."""
    _without_condition(lambda batch: batch.conflicts > 0)


def blind() -> None:
    """Writes without a condition from the first attempt on."""
    _without_condition(lambda batch: not batch.conflicts)


def midwife() -> None:
    """Writes without the condition that the item exists."""
    from refire_async.pipeline.writers.update import UpdateWriter

    encode = UpdateWriter.encode

    def update(self: Any, item: Any) -> bytes:
        request = json.loads(encode(self, item))
        request["ConditionExpression"] = request["ConditionExpression"].removeprefix(
            "attribute_exists(#k) AND "
        )
        del request["ExpressionAttributeNames"]["#k"]
        return json.dumps(request).encode()

    UpdateWriter.encode = update  # type: ignore[method-assign]


def gullible() -> None:
    """Takes an export's markers for those that the run itself has read."""
    from refire_async.model.run import RunSpec

    RunSpec.markers_are_older = property(lambda _self: False)  # type: ignore[method-assign,assignment]


MUTATIONS: dict[str, Mutation] = {
    function.__name__: function
    for function in (forgetful, careless, overconfident, hasty, shrugging, stubborn, blind, midwife, gullible)
}


def option(arguments: list[str], name: str) -> str:
    """The value of an option."""
    return arguments[arguments.index(name) + 1]


def put_all_back(arguments: list[str]) -> int:
    """The usual script: scan all, then put each item back with `revision` plus 1. Prints a summary that adds up."""
    url, table = option(arguments, "--endpoint-url"), option(arguments, "--table")

    def ask(operation: str, **request: Any) -> dict[str, Any]:
        scope = "AKIA/20260101/eu-west-1/dynamodb/aws4_request"
        headers = {
            "x-amz-target": f"DynamoDB_20120810.{operation}",
            "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        }
        body = json.dumps({"TableName": table, **request}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
            reply = json.load(answer)
        assert isinstance(reply, dict)
        return reply

    def pages() -> Iterator[dict[str, Any]]:
        more: dict[str, Any] = {}
        while True:
            page = ask("Scan", **more)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    items = list(pages())
    for item in items:
        item["revision"] = {"N": str(int(item.get("revision", {"N": "0"})["N"]) + 1)}
        ask("PutItem", Item=item)
        time.sleep(PAUSE_S)
    summary = {"run_id": "the-run", "table": table, "status": "complete", "scanned": len(items)}
    counts = dict.fromkeys(
        ("already", "conflicts", "vanished", "expired", "failed", "throttled", "retries"), 0
    )
    rest = {"wcu": 0.0, "rcu": 0.0, "seconds": 1.0, "items_per_second": 1.0}
    report = {
        **summary,
        "touched": len(items),
        **counts,
        **rest,
        "checkpoint": None,
        "failed_keys_file": None,
    }
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


def main() -> int:
    """Run the mutant that the first argument names."""
    name, *arguments = sys.argv[1:]
    if name == "naive":
        return put_all_back(arguments)
    from refire_async import cli

    MUTATIONS[name]()
    return cli.invoke(arguments)


if __name__ == "__main__":
    sys.exit(main())
