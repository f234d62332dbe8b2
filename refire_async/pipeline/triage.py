"""Which items of a page are to be written, and which have their outcome at a glance. Pure."""

from collections.abc import Container

from refire_async.checkpoint.ledger import Failure, OpenPage
from refire_async.model.keys import AttributeValue, Item, identity
from refire_async.model.marker import UntouchableError
from refire_async.model.run import RunSpec

FIVE_YEARS_S = 5 * 365 * 86400
"""TTL leaves alone what expired longer ago than this (DynamoDB Developer Guide: Time to Live)."""


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


def sort_items(spec: RunSpec, page: OpenPage, now: float) -> None:
    """Keep in `page.items` what is to be written; count the rest by outcome."""
    marker, ttl = spec.marker, spec.ttl_attribute
    attribute, counts = marker.attribute, page.counts
    if ttl is None and marker.kind == "revision" and not any(attribute in item for item in page.items):
        return
    open_items: list[Item] = []
    for item in page.items:
        old = item.get(attribute)
        if ttl is not None and is_expired(item.get(ttl), now):
            counts.expired += 1
        elif marker.fired(old):
            counts.already += 1
        else:
            try:
                marker.next(old)
            except UntouchableError as error:
                page.failures.append(Failure(spec.keys.key_of(item), "UntouchableMarker", str(error)))
                counts.failed += 1
            else:
                open_items.append(item)
    page.items = open_items


def sort_found(
    spec: RunSpec,
    page: OpenPage,
    found: dict[tuple[object, ...], Item],
    older: Container[tuple[object, ...]] = (),
) -> list[Item]:
    """Hold items read for a page that was in doubt against what the ledger says of them.

    An item whose marker is no longer the one in the ledger has changed since the run first read it: it has
    fired. One that is still the same may be written, with the same condition as before. Gives the items of which
    that is not known: those of `older`, whose marker in the ledger is from before the run, if it is another now than
    a touch leaves.
    """
    attribute, names, counts = spec.marker.attribute, spec.keys.names, page.counts
    open_items: list[Item] = []
    overtaken: list[Item] = []
    for item in page.items:
        present = found.get(identity(names, item))
        if present is None:
            counts.vanished += 1
            page.notes.append(("none", item))
        elif identity(names, item) in older and not spec.may_have_touched(
            item.get(attribute), present.get(attribute)
        ):
            overtaken.append(item)
        elif present.get(attribute) != item.get(attribute):
            counts.already += 1
            page.notes.append(("already", item))
        else:
            open_items.append(item)
    page.items = open_items
    return overtaken
