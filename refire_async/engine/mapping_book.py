"""What the ledger of a delivery by mapping holds: how far the temporary mapping is, and the counts of its records."""

from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeAlias

import anyio
import orjson
from anyio import to_thread

from refire_async.aws.temporary_mapping import alias_name
from refire_async.delivery.ledger import Changes, Ledger
from refire_async.delivery.mapping_watch import Watch
from refire_async.delivery.saved import SavedDelivery
from refire_async.errors import CheckpointRefusedError
from refire_async.model.run import RunStatus

_PLACE = "temporary mapping"
"""Under this name the ledger's table of shards holds the state of the mapping, as JSON."""

Phase: TypeAlias = Literal["planned", "made", "through", "removing"]
"""Alias and mapping may exist; the mapping has been made; all is delivered; both are taken away before the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingState:
    """`expected` is the number of records, `at` when the mapping was about to be made (seconds since the epoch).

    `end` is one line about a mapping that is through and leaves `unaccounted` records.
    """

    phase: Phase
    expected: int
    at: float = 0.0
    uuid: str = ""
    end: str = ""
    unaccounted: int = 0


def read_state(saved: SavedDelivery) -> MappingState | None:
    """The state of the mapping; None if none was planned yet. Raises CheckpointRefusedError."""
    shard = saved.shards.get(_PLACE)
    if shard is None or shard.token is None:
        return None
    try:
        return MappingState(**orjson.loads(shard.token))
    except (TypeError, ValueError):
        raise CheckpointRefusedError(
            f"the checkpoint of delivery {saved.spec.run_id} does not say what became of its mapping",
            f"delete alias {alias_name(saved.spec.run_id)} and its event source mapping, and begin a new delivery",
        ) from None


class MappingBook:
    """The ledger, open, and what it holds. Each `save` is on disk when it returns."""

    def __init__(self, ledger: Ledger, saved: SavedDelivery, state: MappingState) -> None:
        self.spec = saved.spec
        self.state = state
        self.counts = saved.counts
        self._ledger = ledger
        self._seconds = saved.seconds
        self._began = anyio.current_time()

    @property
    def seconds(self) -> float:
        """Of all attempts."""
        return self._seconds + anyio.current_time() - self._began

    def begin_again(self) -> None:
        """The mapping and its position are gone: all records are delivered again, and counted as repeated."""
        again = self.counts.repeated + self.counts.delivered + self.counts.failed
        self.counts = replace(self.counts, selected=0, delivered=0, failed=0, filtered=0, repeated=again)
        self.state = MappingState(phase="planned", expected=self.state.expected)

    async def count(self, watch: Watch) -> None:
        """Save what Lambda's metrics say now. Raises StoppedError."""
        if watch.figures is None:
            return
        delivered, failed = watch.delivered, watch.failed
        self.counts = replace(
            self.counts,
            selected=delivered + failed,
            delivered=delivered,
            failed=failed,
            filtered=watch.figures.filtered,
        )
        await self.save(self.state)

    async def save(self, state: MappingState, status: RunStatus = "running") -> None:
        """Make it durable, also while the attempt is being cancelled. Raises StoppedError."""
        self.state = state
        changes = Changes(
            counts=self.counts,
            seconds=self.seconds,
            failures_bytes=0,
            status=status,
            tokens={_PLACE: orjson.dumps(asdict(state)).decode()},
        )
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._ledger.save, changes)
