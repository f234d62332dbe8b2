"""Records that no stream has: made of exported changes, or of present items. Pure.

Real are the key, the images (as far as the stream's view type has them), ARN, Region and view type of the stream, and
the time of the change. Invented are `eventID`, which names the run, `SequenceNumber`, which ascends, and for present
items the kind of event, its time, and the old image of `modify`.
"""

from dataclasses import dataclass

import orjson

from refire_async.delivery.keys import canonical_key
from refire_async.delivery.record import EventKind, EventRecord
from refire_async.model.item_size import item_bytes
from refire_async.model.keys import Item, Key, KeySchema


@dataclass(frozen=True, slots=True)
class Change:
    """An item before and after a change; None if it was not there, or is not known. `at`: seconds since the epoch."""

    key: Key
    new: Item | None
    old: Item | None
    at: float
    kind: EventKind


class RecordMaker:
    """Makes records of one run."""

    def __init__(self, run_id: str, keys: KeySchema, stream_arn: str, view_type: str) -> None:
        """`view_type` is that of the stream, which decides what images a record has."""
        self.keys = keys
        self._run_id = run_id
        self._arn = stream_arn
        self._region = stream_arn.split(":")[3]
        self._view_type = view_type
        self._with_new = view_type in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
        self._with_old = view_type in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES")

    def make(self, change: Change, sequence: int) -> EventRecord:
        """The record of a change. `sequence` is its number, which ascends in each lane.

        Raises ValueError, KeyError, or TypeError for an item that is not in DynamoDB JSON.
        """
        created = float(int(change.at))
        size = item_bytes(change.key)
        stream_record = {"ApproximateCreationDateTime": created, "Keys": change.key}
        if self._with_new and change.new is not None:
            stream_record["NewImage"] = change.new
            size += item_bytes(change.new)
        if self._with_old and change.old is not None:
            stream_record["OldImage"] = change.old
            size += item_bytes(change.old)
        number = f"{sequence:021d}"
        record = {
            "eventID": f"{self._run_id}-{sequence}",
            "eventName": change.kind,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": self._region,
            "dynamodb": {
                **stream_record,
                "SequenceNumber": number,
                "SizeBytes": size,
                "StreamViewType": self._view_type,
            },
            "eventSourceARN": self._arn,
        }
        return EventRecord(orjson.dumps(record), canonical_key(change.key), sequence, created, change.kind)
