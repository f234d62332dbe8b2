"""One attempt of a delivery: from what the ledger holds to the end of the source, or to a stop."""

from dataclasses import replace
from functools import partial

import anyio

from refire_async.delivery.dispatcher import Dispatcher
from refire_async.delivery.failures import FailuresFile
from refire_async.delivery.invoking import DeliveryContext
from refire_async.delivery.journal import Journal
from refire_async.delivery.ledger import Ledger
from refire_async.delivery.saved import SavedDelivery
from refire_async.delivery.sink import Source
from refire_async.events import Emit
from refire_async.model.run import RunStatus


def open_journal(ledger: Ledger, saved: SavedDelivery, failures: FailuresFile | None, emit: Emit) -> Journal:
    """The journal of an attempt that continues what `saved` holds; of a new delivery too. Needs a running loop.

    Batches that were in flight when the last attempt ended become doubtful ones.

    Raises CheckpointRefusedError if `failures` is not what the ledger says.
    """
    if failures is not None:
        failures.restore(saved.failures_bytes)
    counts = replace(saved.counts, selected=saved.counts.delivered + saved.counts.failed)
    journal = Journal(ledger, failures, emit, counts, saved.seconds)
    journal.doubtful = list(saved.doubtful)
    for doubtful in saved.in_flight:
        journal.note_doubtful(doubtful)
        lanes = saved.shards[doubtful.shard].lanes
        lane, last = lanes[doubtful.lane], doubtful.flight.last
        lanes[doubtful.lane] = replace(lane, reached=max(lane.reached or last, last), flight=None)
        journal.note_lane(doubtful.shard, doubtful.lane, lanes[doubtful.lane])
    return journal


async def run_delivery(source: Source, context: DeliveryContext, saved: SavedDelivery) -> RunStatus:
    """Deliver what `source` feeds until its end or a stop, and save how far it came: `complete` or `stopped`.

    Why it stopped is in `context.stop`. `context.journal` is that of `open_journal`.

    Raises:
        StoppedError: the ledger cannot be saved; in an exception group.
    """
    dispatcher = Dispatcher(context, saved.shards)
    async with anyio.create_task_group() as saving:
        saving.start_soon(context.journal.run)
        done = await dispatcher.run(partial(source.feed, dispatcher))
        status: RunStatus = "complete" if done else "stopped"
        await context.journal.finish(status)
    return status
