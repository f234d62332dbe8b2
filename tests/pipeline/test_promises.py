"""The promises under random schedules: faults of every kind, other writers, stops and crashes at any moment."""

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
from hypothesis import given
from hypothesis import strategies as st

from refire_async.checkpoint.history import History
from refire_async.checkpoint.pages import SettledPage
from refire_async.checkpoint.store import Store
from refire_async.model.counts import Counts
from refire_async.model.stop import StopRequest
from refire_async.verification.encoding import READ, TOUCHED, digest
from refire_async.verification.expected import Claims
from tests.pipeline.world import CALM, STORM, FakeSource, FakeWriter, Sitting, Weather, World, sit
from tests.support.checkpoints import SPEC, crashed_copy, item, new_store, reopened
from tests.support.examples import examples
from tests.support.virtual_time import run_virtual

LONGEST_S = 24 * 3600.0
"""Virtual. A run that has not ended by then hangs."""


@dataclass(frozen=True)
class Case:
    """A table and how it behaves. `spoilt` is the share of items that cannot be written."""

    sizes: list[int]
    seed: int
    weather: Weather
    spoilt: float
    workers: int
    carries_marker: bool
    largest: int

    def world(self) -> World:
        world = World(self.sizes, random.Random(self.seed), self.weather)
        for name in world.first:
            if world.chance(self.spoilt):
                (world.unwritable if world.chance(0.5) else world.poison).add(name)
        return world

    def sit(self, world: World, store: Store, stop: StopRequest | None = None) -> Sitting:
        source = FakeSource(world, carries_marker=self.carries_marker)
        writer = FakeWriter(world, self.largest)
        return sit(world, store, source=source, writer=writer, workers=self.workers, stop=stop)


cases = st.builds(
    Case,
    sizes=st.lists(
        st.sampled_from([0, 1, 2, 19, 20, 57, 130]) | st.integers(0, 80),
        min_size=1,
        max_size=SPEC.total_segments,
    ),
    seed=st.integers(0, 2**32),
    weather=st.sampled_from(
        [CALM, STORM, STORM, Weather(late=0.5, lost_answer=0.4), Weather(member_throttled=0.4)]
    ),
    spoilt=st.sampled_from([0.0, 0.0, 0.05, 1.0]),
    workers=st.integers(1, 8),
    carries_marker=st.booleans(),
    largest=st.sampled_from([1, 5, 25, 25]),
)


@contextmanager
def checkpoints() -> Iterator[Path]:
    """A folder for the checkpoints of one example."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


async def to_its_end(attempt: Sitting) -> str:
    with anyio.fail_after(LONGEST_S):
        return await attempt.run()


def check_history(world: World, store: Store, counts: Counts) -> None:
    """What is kept for a proof says of each item what became of it, and which change of its marker was the run's."""
    claims = Claims(SPEC)
    with History(store.path) as history:
        pages = list(history.pages(upto=history.last()))
    said = {claim[0]: claim for page in pages for claim in claims.of(page) if claim[4] != READ}
    assert len(said) == claims.count == sum(len(page.items) for page in pages) - noted(pages, "none")
    touched = {claim[0] for claim in said.values() if claim[4] == TOUCHED}
    assert (len(touched), noted(pages, "conflict")) == (counts.touched, counts.conflicts)
    assert len(said) - len(touched) == noted(pages, "already") == counts.already
    # What was gone when its marker was looked up is in no ledger.
    assert counts.failed <= noted(pages, "none") <= counts.vanished + counts.failed
    for name in world.first:
        claim = said.get(digest(("pk",), item(name)))
        if claim is None:
            assert not world.fired[name] or name in world.deleted
        elif claim[4] == TOUCHED:
            assert world.wrote[name] == claim[2]


def noted(pages: list[SettledPage], kind: str) -> int:
    return sum(note[0] == kind for page in pages for note in page.notes)


def check_failures(world: World, store: Store, counts: Counts) -> None:
    """What failed is what cannot be written, each with its own reason."""
    failures = list(store.failures())
    assert {failure.key["pk"]["S"] for failure in failures} == world.unwritable | world.poison
    assert counts.failed == len(failures)
    for failure in failures:
        assert failure.reason in {"spoilt", f"ValidationError {failure.key['pk']['S']}"}


@examples(20, 300)
@given(cases)
def test_every_item_fires_once_whatever_happens_on_the_way(case: Case):
    """One sitting. It ends by itself, the summary adds up, what failed is what cannot be written."""
    with checkpoints() as folder:
        store = new_store(folder / "a.refire")

        async def main() -> World:
            world = case.world()
            async with anyio.create_task_group() as world.tasks:
                assert await to_its_end(case.sit(world, store)) == "complete"
            return world

        world, saved = run_virtual(main), store.load()
        world.check_promises(saved.counts)
        check_history(world, store, saved.counts)
        check_failures(world, store, saved.counts)
        assert saved.counts.conflicts == saved.counts.vanished == 0
        assert saved.counts.touched + saved.counts.already + saved.counts.failed == len(world.first)
        assert saved.open_pages == 0
        store.close()


@examples(20, 300)
@given(cases, st.integers(1, 80), st.sampled_from([0.01, 0.1, 1.0]))
def test_updates_and_deletes_of_others_are_never_lost(case: Case, changes: int, pause_s: float):
    """While other writers count up the same marker and delete items. No item fires twice, none comes back."""
    with checkpoints() as folder:
        store = new_store(folder / "a.refire")

        async def main() -> World:
            world = case.world()
            async with anyio.create_task_group() as world.tasks:
                world.tasks.start_soon(world.others, changes, pause_s)
                assert await to_its_end(case.sit(world, store)) == "complete"
            return world

        world = run_virtual(main)
        world.check_promises(store.load().counts)
        check_history(world, store, store.load().counts)
        store.close()


interruptions = st.lists(
    st.tuples(st.sampled_from(["stop", "cancel", "crash"]), st.floats(0.0, 8.0)), min_size=1, max_size=5
)


@examples(25, 400)
@given(cases, interruptions)
def test_a_run_that_is_stopped_or_killed_goes_on_and_nothing_fires_twice(
    case: Case, interruptions: list[tuple[str, float]]
):
    """Stopped in order, cancelled as by a second Ctrl-C, killed: then a last sitting brings it to its end."""
    with checkpoints() as folder:
        store = new_store(folder / "0.refire")

        async def main() -> tuple[World, Store]:
            world, current = case.world(), store
            async with anyio.create_task_group() as world.tasks:
                for number, (how, after_s) in enumerate(interruptions, 1):
                    copy = folder / f"{number}.refire"
                    await interrupted(case, world, current, how, after_s, copy)
                    if how == "crash" and copy.exists():
                        current.close()
                        current = reopened(copy)
                assert await to_its_end(case.sit(world, current)) == "complete"
            return world, current

        world, last = run_virtual(main)
        saved = last.load()
        assert saved.open_pages == 0
        world.check_promises(saved.counts)
        check_history(world, last, saved.counts)
        check_failures(world, last, saved.counts)
        last.close()


@examples(25, 400)
@given(cases, interruptions, st.integers(1, 120), st.sampled_from([0.005, 0.05]), st.booleans())
def test_crashes_among_other_writers(
    case: Case, interruptions: list[tuple[str, float]], changes: int, pause_s: float, old_copies: bool
):
    """Killed again and again while others count up, delete and (in every second world) put back old copies.

    No item fires twice, but for one whose marker was taken back to exactly what it was before the run's own touch,
    between a crash or an unknown outcome and what followed. Without old copies nothing excuses a second touch.
    """
    with checkpoints() as folder:
        store = new_store(folder / "0.refire")

        async def main() -> tuple[World, Store]:
            world, current = case.world(), store
            async with anyio.create_task_group() as world.tasks:
                world.tasks.start_soon(partial(world.others, changes, pause_s, old_copies=old_copies))
                for number, (how, after_s) in enumerate(interruptions, 1):
                    copy = folder / f"{number}.refire"
                    await interrupted(case, world, current, how, after_s, copy)
                    if how == "crash" and copy.exists():
                        current.close()
                        current = reopened(copy)
                assert await to_its_end(case.sit(world, current)) == "complete"
            return world, current

        world, last = run_virtual(main)
        world.check_promises(last.load().counts)
        assert old_copies or not world.taken_back.total()
        last.close()


async def interrupted(  # noqa: PLR0917 - one schedule, spelt out
    case: Case, world: World, store: Store, how: str, after_s: float, copy: Path
) -> None:
    """A sitting that is interrupted after a while, unless it has ended before."""
    stop = StopRequest()
    with anyio.CancelScope() as scope:

        async def interrupt() -> None:
            await anyio.sleep(after_s)
            if how == "stop":
                stop.request("interrupted")
            else:
                crashed_copy(store, copy)
                scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(interrupt)
            status = await to_its_end(case.sit(world, store, stop))
            assert status == "complete" or stop.reason is not None
            tasks.cancel_scope.cancel()


@examples(10, 200)
@given(cases)
def test_sources_that_repeat_items_fire_them_once(case: Case):
    """An index can give an item twice, in one page or in another one, also after a resume."""
    with checkpoints() as folder:
        store = new_store(folder / "a.refire")

        async def main() -> World:
            world = case.world()
            world.unwritable.clear()
            world.poison.clear()
            # The last segment holds what the first one held: items that moved within the index.
            world.segments.append(list(world.segments[0]))
            async with anyio.create_task_group() as world.tasks:
                for limit in (20, None):
                    source = FakeSource(world, carries_marker=case.carries_marker, may_repeat=True)
                    attempt = sit(world, store, source=source, max_items=limit, workers=case.workers)
                    await to_its_end(attempt)
            return world

        world, counts = run_virtual(main), store.load().counts
        assert all(world.fired[name] == 1 for name in world.first)
        assert counts.settled == counts.scanned >= len(world.first) + len(world.segments[-1])
        assert counts.touched + counts.already == counts.scanned
        store.close()
