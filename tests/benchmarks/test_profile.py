"""The sums of a sampled run."""

import pytest

from benchmarks.client_cpu.profile import room_of, sum_up
from benchmarks.framework.scenario import BenchmarkError

LOOP = "refire_async.cli.session:execute:50;asyncio.runners:run:118"


def test_samples_belong_to_the_innermost_room() -> None:
    """A library is the doing of the room that called it; what no room called is the event loop's."""
    in_a_writer = f"{LOOP};refire_async.pipeline.writers.partiql:encode:5;json:dumps:1"
    assert room_of(in_a_writer.split(";")) == "pipeline"
    assert room_of(LOOP.split(";")) == "event loop"
    assert room_of(["threading:run:1"]) == "event loop"


def test_start_up_is_no_part_of_the_shares() -> None:
    """Imports are left out, and the shares of the rest add up to one."""
    found = sum_up(
        [
            f"{LOOP} 1",
            f"{LOOP};refire_async.aws.http_direct:post:80 3",
            "refire_async.cli:work:1;importlib._bootstrap:_load:9;x:y:1 50",
        ]
    )
    assert found["samples"] == 4
    assert found["rooms"] == {"aws": 0.75, "event loop": 0.25}
    assert found["lines"] == {"refire_async.aws.http_direct:post:80": 0.75, "asyncio.runners:run:118": 0.25}


def test_what_looking_on_costs_is_told_apart() -> None:
    """Subscribers, what they call, and making events count; those who steer the run do not."""
    found = sum_up(
        [
            f"{LOOP};refire_async.pipeline.workers:run:9;refire_async.events:__init__:2 1",
            f"{LOOP};refire_async.events:emit:7;refire_async.output.counters:add:1;bisect:bisect:1 1",
            f"{LOOP};refire_async.pacing.watchers.capacity:look:80 1",
            f"{LOOP};refire_async.pipeline.workers:run:10 1",
        ]
    )
    assert found["watching"] == 0.5


def test_no_samples_no_profile() -> None:
    """A run that was too short to be sampled is an error, not an empty chart."""
    with pytest.raises(BenchmarkError, match="no sample"):
        sum_up([])
