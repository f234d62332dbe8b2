"""What all transactions share: conflicts, conditions, admission and cancellation of all actions or none.

Sources: Developer Guide, Amazon DynamoDB Transactions: How it works; API Reference, TransactWriteItems; units and
what a cancellation says as measured on the service by third parties.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from refire_async.sandbox.capacity.model import IndexArm
from refire_async.sandbox.capacity.units import failed_condition_units, read_units
from refire_async.sandbox.database import Database, Session
from refire_async.sandbox.errors import (
    ServiceError,
    conditional_check_failed,
    transaction_canceled,
    transaction_conflict,
    validation,
)
from refire_async.sandbox.operations.common import Consumption, throttled
from refire_async.sandbox.store.changes import Change, commit
from refire_async.sandbox.store.keys import OrderKey
from refire_async.sandbox.store.table import Stored, Table
from refire_async.sandbox.store.tokens import Completed
from refire_async.sandbox.values import Item

MAX_ACTIONS = 100
_MAX_PAYLOAD_BYTES = 4 * 1024 * 1024
# Developer Guide: an item is prepared and committed, so the table is charged twice; indexes once (measured).
_FACTOR = 2


@dataclass(frozen=True, slots=True)
class Action:
    """One action of a transaction. ``decide`` finds what it changes, or raises why it cannot be carried out."""

    table: Table
    key: OrderKey
    decide: Callable[[Stored | None], Change]


Places = Sequence[tuple[Table, OrderKey]]


def refuse_repeated(places: Places) -> None:
    """ValidationException if an item occurs twice."""
    if len({(table.id, key) for table, key in places}) < len(places):
        raise validation("Transaction request cannot include multiple operations on one item")


def refuse_payload(size: int) -> None:
    """ValidationException if what a transaction sends is too large; what it meets in the table does not count."""
    if size > _MAX_PAYLOAD_BYTES:
        raise validation(f"Transaction payload size cannot exceed 4MB. Payload Size: {size}")


def canceled(errors: Sequence[ServiceError | None]) -> ServiceError:
    """The cancellation of a transaction, from what became of each of its actions."""
    reasons: list[dict[str, Any]] = []
    for error in errors:
        if error is None:
            reasons.append({"Code": "None"})
        else:
            reasons.append({"Code": error.batch_code, "Message": error.message, **error.extra})
    return transaction_canceled(reasons)


def only_first(errors: Sequence[ServiceError | None]) -> ServiceError:
    """The cancellation for a mistake in an action: none is looked at after it."""
    at = next(place for place, error in enumerate(errors) if error is not None)
    return canceled([error if place == at else None for place, error in enumerate(errors)])


def require_condition(condition_holds: bool, stored: Stored | None, on_failure: str | None) -> None:  # noqa: FBT001
    """ConditionalCheckFailedException, with the item if it is asked for, unless the condition holds."""
    if not condition_holds:
        raise conditional_check_failed(stored[1] if stored and on_failure == "ALL_OLD" else None)


def write_all(session: Session, actions: Sequence[Action]) -> list[Change]:
    """Carry out all actions or none. Raises TransactionCanceledException, which tells what became of each."""
    database = session.database
    _refuse_held(database, [(action.table, action.key) for action in actions])
    stored = [action.table.read(action.key) for action in actions]
    decided = [_decide(action, found) for action, found in zip(actions, stored, strict=True)]
    changes = [one for one in decided if isinstance(one, Change)]
    if len(changes) < len(decided):
        _charge_failed(actions, stored, decided)
        raise canceled([one if isinstance(one, ServiceError) else None for one in decided])
    _admit(actions, changes)
    now = database.clock.time()
    for action, change in zip(actions, changes, strict=True):
        commit(action.table, change, now)
    monotonic = database.clock.monotonic()
    places = [(action.table.id, action.key) for action in actions]
    database.holds.hold(places, monotonic, monotonic + database.answer_delay_s)
    return changes


def read_all(session: Session, places: Places, consumed: dict[str, Consumption]) -> list[Item | None]:
    """Read all items; None for those that are not there. Raises TransactionCanceledException."""
    refuse_repeated(places)
    _refuse_held(session.database, places)
    refusals = []
    for table, key in places:
        throttle = table.capacity.check_read(None, key[0] >> 64)
        refusals.append(None if throttle is None else throttled(throttle))
    if any(refusals):
        raise canceled(refusals)
    rows = [table.rows.get(key) for table, key in places]
    size = sum(row[1] for row in rows if row is not None)
    if size > _MAX_PAYLOAD_BYTES:
        raise validation("The aggregate size of the items in the transaction exceeds 4 MB")
    for (table, key), row in zip(places, rows, strict=True):
        units = _FACTOR * read_units(row[1] if row else None, consistent=True)
        table.capacity.charge_read(None, key[0] >> 64, units)
        consumed.setdefault(table.name, Consumption()).add(units)
    return [None if row is None else orjson.loads(row[0]) for row in rows]


def consumed_by(actions: Sequence[Action], changes: Sequence[Change]) -> dict[str, Consumption]:
    """What the actions took, by table."""
    consumed: dict[str, Consumption] = {}
    for action, change in zip(actions, changes, strict=True):
        one = consumed.setdefault(action.table.name, Consumption())
        one.add(_FACTOR * change.units, change.index_changes)
    return consumed


def completed(
    session: Session, request: bytes, actions: Sequence[Action], changes: Sequence[Change], responses: Any
) -> Completed:
    """What to remember of a transaction for the case that it is asked for again."""
    sizes = tuple(
        (action.table.name, max(row[1] if row else 0 for row in (change.old_row, change.new_row)))
        for action, change in zip(actions, changes, strict=True)
    )
    now = session.database.clock.monotonic()
    return Completed(request, sizes, responses, now + session.database.answer_delay_s)


def consumed_again(repeated: Completed) -> dict[str, Consumption]:
    """What asking again for a transaction takes: it reads what it had written."""
    consumed: dict[str, Consumption] = {}
    for table, size in repeated.sizes:
        consumed.setdefault(table, Consumption()).add(_FACTOR * read_units(size, consistent=True))
    return consumed


def with_consumed(
    response: dict[str, Any], consumed: dict[str, Consumption], request: dict[str, Any], kind: str
) -> dict[str, Any]:
    """The response with ConsumedCapacity, if it is asked for; ``kind`` is Read or Write."""
    wanted = request.get("ReturnConsumedCapacity")
    if wanted is not None and wanted != "NONE":
        response["ConsumedCapacity"] = [
            units.render(table, wanted, also=f"{kind}CapacityUnits") for table, units in consumed.items()
        ]
    return response


def _decide(action: Action, stored: Stored | None) -> Change | ServiceError:
    try:
        return action.decide(stored)
    except ServiceError as error:
        return error


def _refuse_held(database: Database, places: Places) -> None:
    if not database.holds:
        return
    held = [transaction_conflict() if database.is_held(table, key) else None for table, key in places]
    if any(held):
        raise canceled(held)


def _charge_failed(
    actions: Sequence[Action], stored: Sequence[Stored | None], decided: Sequence[Change | ServiceError]
) -> None:
    """A cancelled transaction has been prepared, and pays for that."""
    for action, found, one in zip(actions, stored, decided, strict=True):
        units = failed_condition_units(found[0][1] if found else None, None)
        if isinstance(one, Change):
            units = one.units
        action.table.capacity.charge_write(action.key[0] >> 64, float(_FACTOR * units))


def _admit(actions: Sequence[Action], changes: Sequence[Change]) -> None:
    """Charge all changes or none."""
    charged: list[tuple[Table, tuple[int, float, list[IndexArm]]]] = []
    for action, change in zip(actions, changes, strict=True):
        charge = action.key[0] >> 64, change.table_units + (_FACTOR - 1) * change.units, change.index_units
        throttle = action.table.capacity.admit_write(*charge)
        if throttle is not None:
            for table, before in charged:
                table.capacity.undo_write(*before)
            raise canceled([throttled(throttle) if one is action else None for one in actions])
        charged.append((action.table, charge))
