"""Separate the items of a page that need a write from those whose outcome is known without one. Pure."""

from collections.abc import Container

from refire_async.checkpoint.ledger import Failure, OpenPage
from refire_async.model.keys import AttributeValue, Item, identity
from refire_async.model.marker import UntouchableError
from refire_async.model.run import RunSpec

FIVE_YEARS_S = 5 * 365 * 86400
"""TTL does not delete an item that expired longer ago than this (DynamoDB Developer Guide: Time to Live)."""


def is_expired(value: AttributeValue | None, now: float) -> bool:
    """Whether TTL may delete an item whose TTL attribute is `value`, at `now` (seconds since the epoch)."""
    number = None if value is None else value.get("N")
    if number is None:
        return False
    try:
        expires = float(number)
    except ValueError:
        return False
    return now - FIVE_YEARS_S < expires <= now


def triage(spec: RunSpec, page: OpenPage, now: float) -> None:
    """Keep the items that need a write in `page.items` and count the others by outcome. `now`: Unix time (s)."""
    marker, ttl = spec.marker, spec.ttl_attribute
    attribute = marker.attribute
    if ttl is None and marker.kind == "revision" and not any(attribute in item for item in page.items):
        return
    open_items: list[Item] = []
    failures: list[Failure] = []
    expired = already = 0
    for item in page.items:
        old = item.get(attribute)
        if ttl is not None and is_expired(item.get(ttl), now):
            expired += 1
        elif marker.fired(old):
            already += 1
        else:
            try:
                marker.next(old)
            except UntouchableError as error:
                failures.append(Failure(spec.keys.key_of(item), "UntouchableMarker", str(error)))
            else:
                open_items.append(item)
    page.leave_out(open_items, already=already, expired=expired, failures=failures)


def resolve_in_doubt(
    spec: RunSpec,
    page: OpenPage,
    found: dict[tuple[object, ...], Item],
    older: Container[tuple[object, ...]] = (),
) -> list[Item]:
    """Compare the items of a page in doubt with the table's present items (`found`, by key identity).

    An item whose marker differs from the ledger's has changed since the run first read it, so it has fired. An item
    with the same marker is written with the same condition as before.

    `older`: key identities of the items whose marker in the ledger is from before the run. Returns those of them whose
    present marker a touch of this run cannot have written; their outcome is unknown.
    """
    attribute, names = spec.marker.attribute, spec.keys.names
    open_items: list[Item] = []
    unknown: list[Item] = []
    for item in page.items:
        present = found.get(identity(names, item))
        if present is None:
            page.vanished([item])
        elif identity(names, item) in older and not spec.may_have_touched(
            item.get(attribute), present.get(attribute)
        ):
            unknown.append(item)
        elif present.get(attribute) != item.get(attribute):
            page.already_fired([item])
        else:
            open_items.append(item)
    page.narrow(open_items)
    return unknown
