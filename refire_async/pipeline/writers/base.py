"""The interface of the writers: a batch of items in, an outcome per item out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from refire_async.aws.errors import Disposition
from refire_async.model.capacity import Consumed
from refire_async.model.keys import Item


@dataclass(frozen=True, slots=True)
class MemberError:
    """Why one item of a batch was not touched. `detail` can quote item data, so only the failed-keys file holds it."""

    code: str
    disposition: Disposition
    detail: str


@dataclass(frozen=True, slots=True)
class WriteReply:
    """Errors by position in the batch (empty: all touched), and the consumed capacity if the service reports it."""

    consumed: Consumed | None
    errors: dict[int, MemberError] = field(default_factory=dict)


class Writer(Protocol):
    """Touches items. Each write is conditional on the marker that its item was read with."""

    @property
    def largest(self) -> int:
        """The most items in one batch."""
        ...

    async def write(self, items: Sequence[Item]) -> WriteReply:
        """Touch `items` (keys with the marker as it was read). Sends one request, without retries.

        Raises:
            AwsError: the batch as a whole failed; its `disposition` says whether it may have been applied.
            UntouchableError: a marker cannot be incremented (never for items that passed `triage`).
        """
        ...
