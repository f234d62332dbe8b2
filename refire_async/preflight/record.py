"""The stream record of a touch, as far as it is known before the run. Pure.

It has the form of a Lambda event (DynamoDB Developer Guide: Reading and processing a stream; Lambda
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
from refire_async.preflight.facts import CheckedRun

_WITH_NEW = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
_WITH_OLD = ("OLD_IMAGE", "NEW_AND_OLD_IMAGES")


def refired(run: CheckedRun, *, event_name: Node = Exact("MODIFY")) -> Tree:  # noqa: B008 - frozen
    """The record of a touch. Without `userIdentity`, which only deletions by time to live have."""
    stream = run.table.stream
    keys = _keys(run)
    change: dict[str, Node] = {
        "ApproximateCreationDateTime": Some("number"),
        "Keys": Tree(keys),
        "SequenceNumber": Some("text"),
        "SizeBytes": Some("number"),
        "StreamViewType": Exact(stream.view_type),
    }
    if stream.view_type in _WITH_NEW:
        change["NewImage"] = Tree({**keys, run.marker_attribute: _new_marker(run)}, UNKNOWN)
    if stream.view_type in _WITH_OLD:
        change["OldImage"] = Tree({**keys, run.marker_attribute: UNKNOWN}, UNKNOWN)
    return Tree(
        {
            "eventID": Some("text"),
            "eventName": event_name,
            "eventVersion": Some("text"),
            "eventSource": Exact("aws:dynamodb"),
            "awsRegion": Exact(run.region),
            "eventSourceARN": Exact(stream.arn),
            "dynamodb": Tree(change),
        }
    )


def passes(pattern: Mapping[str, Any], run: CheckedRun, record: Tree) -> Match:
    """Whether the record of a touch passes; its images differ in the marker only. Raises FilterError."""
    change = pattern.get("dynamodb")
    if isinstance(change, dict):
        new, old = change.get("NewImage"), change.get("OldImage")
        if isinstance(new, dict) and isinstance(old, dict):
            both = (new.keys() & old.keys()) - {run.marker_attribute, "$or"}
            if any(cannot_hold_at_once(new[name], old[name]) for name in both):
                return Match.NEVER
    return match(pattern, record)


def any_event(run: CheckedRun) -> Tree:
    """As `refired`, but for any kind of event. A filter that passes this and not `refired` excludes MODIFY."""
    return refired(run, event_name=Unknown())


def _keys(run: CheckedRun) -> dict[str, Node]:
    keys, selection = run.table.keys, run.selection
    types = [(keys.hash_name, keys.hash_type)]
    if keys.range_name is not None and keys.range_type is not None:
        types.append((keys.range_name, keys.range_type))
    nodes: dict[str, Node] = {
        name: Tree({kind: Some("numeral" if kind == "N" else "text")}) for name, kind in types
    }
    if selection.index is None and len(selection.key_values) == 1 and keys.hash_type == "S":
        nodes[keys.hash_name] = Tree({"S": Exact(selection.key_values[0]["S"])})
    return nodes


def _new_marker(run: CheckedRun) -> Node:
    if run.marker_kind == "revision":
        return Tree({"N": Some("numeral")})
    return Tree({"S": Some("text") if run.run_id is None else Exact(run.run_id)})
