"""What is known about the stream record of a touch, before there is one. Pure.

Its form is that of the events that Lambda gets (DynamoDB Developer Guide: Reading and processing a stream; Lambda
Developer Guide: Using Lambda with DynamoDB).
"""

from collections.abc import Mapping
from typing import Any

from refire_async.aws.event_filters import (
    UNKNOWN,
    Exact,
    Match,
    Node,
    Some,
    Tree,
    Unknown,
    cannot_hold_at_once,
    match,
)
from refire_async.preflight.facts import Asked

_WITH_NEW = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
_WITH_OLD = ("OLD_IMAGE", "NEW_AND_OLD_IMAGES")


def refired(asked: Asked, *, event_name: Node = Exact("MODIFY")) -> Tree:  # noqa: B008 - frozen
    """The record of a touch. Without `userIdentity`, which only deletions by time to live have."""
    stream = asked.table.stream
    keys = _keys(asked)
    change: dict[str, Node] = {
        "ApproximateCreationDateTime": Some("number"),
        "Keys": Tree(keys),
        "SequenceNumber": Some("text"),
        "SizeBytes": Some("number"),
        "StreamViewType": Exact(stream.view_type),
    }
    if stream.view_type in _WITH_NEW:
        change["NewImage"] = Tree({**keys, asked.marker_attribute: _new_marker(asked)}, UNKNOWN)
    if stream.view_type in _WITH_OLD:
        change["OldImage"] = Tree({**keys, asked.marker_attribute: UNKNOWN}, UNKNOWN)
    return Tree(
        {
            "eventID": Some("text"),
            "eventName": event_name,
            "eventVersion": Some("text"),
            "eventSource": Exact("aws:dynamodb"),
            "awsRegion": Exact(asked.region),
            "eventSourceARN": Exact(stream.arn),
            "dynamodb": Tree(change),
        }
    )


def passes(pattern: Mapping[str, Any], asked: Asked, record: Tree) -> Match:
    """Whether the record of a touch passes, its images being equal but for the marker. Raises FilterError."""
    change = pattern.get("dynamodb")
    if isinstance(change, dict):
        new, old = change.get("NewImage"), change.get("OldImage")
        if isinstance(new, dict) and isinstance(old, dict):
            both = (new.keys() & old.keys()) - {asked.marker_attribute, "$or"}
            if any(cannot_hold_at_once(new[name], old[name]) for name in both):
                return Match.NEVER
    return match(pattern, record)


def any_event(asked: Asked) -> Tree:
    """As `refired`, but of any kind of event: what passes here and not there wants something else than MODIFY."""
    return refired(asked, event_name=Unknown())


def _keys(asked: Asked) -> dict[str, Node]:
    keys, selection = asked.table.keys, asked.selection
    types = [(keys.hash_name, keys.hash_type)]
    if keys.range_name is not None and keys.range_type is not None:
        types.append((keys.range_name, keys.range_type))
    nodes: dict[str, Node] = {
        name: Tree({kind: Some("numeral" if kind == "N" else "text")}) for name, kind in types
    }
    if selection.index is None and len(selection.key_values) == 1 and keys.hash_type == "S":
        nodes[keys.hash_name] = Tree({"S": Exact(selection.key_values[0]["S"])})
    return nodes


def _new_marker(asked: Asked) -> Node:
    if asked.marker_kind == "revision":
        return Tree({"N": Some("numeral")})
    return Tree({"S": Some("text") if asked.run_id is None else Exact(asked.run_id)})
