"""Touch items in batches of 25 with BatchExecuteStatement.

A PartiQL UPDATE never creates an item: if the item does not exist, its condition fails (DynamoDB Developer Guide:
PartiQL update statements). Values are always parameters; names are quoted. For names that cannot be quoted the run
uses `UpdateWriter`.
"""

from collections.abc import Sequence

import orjson

from refire_async.aws.answers import misshapen, parse_units
from refire_async.aws.data_plane import DataPlane, parse_reply
from refire_async.aws.errors import member_disposition
from refire_async.model.keys import Item, KeySchema
from refire_async.model.marker import Marker
from refire_async.pipeline.writers.base import MemberError, WriteReply

MAX_BATCH_STATEMENTS = 25
"""Statements in one BatchExecuteStatement (DynamoDB API reference)."""

_OPERATION = "BatchExecuteStatement"

LONGEST_STATEMENT = 8192
"""Characters in one statement (DynamoDB API reference)."""


def can_quote(*names: str) -> bool:
    """Whether PartiQL can quote all `names`: an identifier in double quotes holds anything but a double quote.

    DynamoDB does not document the doubled quote of the SQL standard, so this module does not use it. DynamoDB Local
    treats a quoted name that begins with `#` or `:` as a placeholder of an expression.
    """
    return all('"' not in name and name.isprintable() and name[:1] not in "#:" for name in names)


class PartiqlWriter:
    """Conditional updates of one marker attribute of one table."""

    largest = MAX_BATCH_STATEMENTS

    def __init__(self, data: DataPlane, table: str, keys: KeySchema, marker: Marker) -> None:
        self._data = data
        self._marker = marker
        self._attribute = marker.attribute
        self._key_names = keys.names
        self._succeeded: dict[int, tuple[bytes, WriteReply]] = {}
        where = " AND ".join(f'"{name}" = ?' for name in keys.names)
        update = f'UPDATE "{table}" SET "{marker.attribute}" = ? WHERE {where} AND "{marker.attribute}"'  # noqa: S608 - names are quoted, see can_quote
        self._create = f"{update} IS MISSING"
        self._change = f"{update} = ?"

    @staticmethod
    def fits(table: str, keys: KeySchema, marker: Marker) -> bool:
        """Whether PartiQL can quote all names of the table, its keys and the marker within `LONGEST_STATEMENT`."""
        names = (table, marker.attribute, *keys.names)
        return can_quote(*names) and sum(map(len, names)) + len(marker.attribute) < LONGEST_STATEMENT - 100

    def encode(self, items: Sequence[Item]) -> bytes:
        """The request body for one batch."""
        attribute, next_value, names = self._attribute, self._marker.next, self._key_names
        statements = []
        for item in items:
            old = item.get(attribute)
            parameters = [next_value(old), *[item[name] for name in names]]
            if old is None:
                statements.append({"Statement": self._create, "Parameters": parameters})
            else:
                parameters.append(old)
                statements.append({"Statement": self._change, "Parameters": parameters})
        return orjson.dumps({"Statements": statements, "ReturnConsumedCapacity": "INDEXES"})

    async def write(self, items: Sequence[Item]) -> WriteReply:
        """See `Writer.write`."""
        return self._parse(await self._data.call(_OPERATION, self.encode(items)), len(items))

    def _parse(self, body: bytes, size: int) -> WriteReply:
        """`parse_batch`, with a cache of the last reply of each size in which all succeeded: most replies are equal."""
        known = self._succeeded.get(size)
        if known is not None and known[0] == body:
            return known[1]
        reply = parse_batch(body, size)
        if not reply.errors:
            self._succeeded[size] = body, reply
        return reply


def parse_batch(body: bytes, size: int) -> WriteReply:
    """Parse the reply to one batch of `size` items, with one member per item.

    Raises:
        AwsError: `body` is not such a reply, so the outcome of the batch is unknown.
    """
    reply = parse_reply(body, "Responses")
    members, entries = reply["Responses"], reply.get("ConsumedCapacity") or []
    if type(members) is not list or len(members) != size or type(entries) is not list:
        raise misshapen(_OPERATION)
    errors = {}
    for position, member in enumerate(members):
        if type(member) is not dict:
            raise misshapen(_OPERATION)
        if member.get("Error") is not None:
            errors[position] = _member_error(member["Error"])
    return WriteReply(parse_units(entries[0] if entries else None, _OPERATION), errors)


def _member_error(error: object) -> MemberError:
    """`BatchStatementError` of the API reference."""
    match error:
        case {"Code": str(code), **more} if code and isinstance(said := more.get("Message") or "", str):
            return MemberError(code, member_disposition(code), said)
        case _:
            raise misshapen(_OPERATION)
