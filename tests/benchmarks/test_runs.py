"""The suite as a planner uses it: list, run, refusals. With parameters so small that figures mean nothing."""

import sys
from dataclasses import dataclass
from pathlib import Path

import boto3
import orjson
import pytest
from click.testing import CliRunner, Result

from benchmarks.framework.backends import CREDENTIALS, REGION, sandbox
from benchmarks.framework.cli import main
from benchmarks.framework.limits import limited
from benchmarks.framework.process import Child
from benchmarks.framework.registry import NAMES, load
from benchmarks.framework.result import check
from benchmarks.framework.scenario import BenchmarkError
from benchmarks.framework.stream import verdict
from benchmarks.framework.tables import TABLE, config, table_spec
from tests.support.examples import thinned

SMALL = {
    "budget": ["capacities=[500]", "percents=[100]", "seconds=4"],
    "index": [
        "items=2000",
        "hash_keys=20",
        "capacity=1000",
        "index_capacity=500",
        'cases=["index with the marker"]',
    ],
    "outage": ["lengths_s=[2]", "items=2500", "wcu=500"],
    "pacing": [
        'cases=["uniform 500","four hot keys","four hot keys, one queue","their others alone","index"]',
        "seconds=4",
        "four_items=4000",
        "four_segments=8",
    ],
    "cluster": ["items=1500", "rounds=1", "counts=[1]", "lost_tasks=0"],
    "processes": ["items=1500", "rounds=1", "counts=[1]"],
    "scale_parts": ["counts=[400]"],
    "small_runs": ["counts=[200]", "capacity=1000", "rounds=1"],
    "sandbox_throughput": ["items=400"],
    "scale": ["counts=[500]"],
    "sources": ["items=3000", "rounds=1", "export_item_bytes=200"],
    "skew": ["items=1000", "hash_keys=20", 'skews=["hot key"]'],
    "sweep": [
        "segments=[2]",
        "workers=[2,4]",
        "item_bytes=[500]",
        "latencies_ms=[1]",
        "capacity=1000",
        "ideal_s=5",
        "most_s=0.4",
        "rounds=1",
    ],
}


def invoke(*arguments: str) -> Result:
    """`python -m benchmarks ARGUMENTS`."""
    return CliRunner().invoke(main, list(arguments))


def run(folder: Path, name: str, *changes: str) -> dict[str, object]:
    """Run one scenario; gives its result file."""
    settings = [word for change in changes for word in ("--set", change)]
    done = invoke("run", name, "--quick", "--out", str(folder), *settings)
    assert done.exit_code == 0, done.output
    data: dict[str, object] = orjson.loads((folder / f"{name}.json").read_bytes())
    assert check(data) is None
    return data


def test_list_names_every_benchmark_and_its_question() -> None:
    """What there is can be found without reading the code."""
    output = " ".join(invoke("list").output.split())
    for name in NAMES:
        assert name in output
        assert load(name).question in output


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_scenario_runs_and_leaves_result_and_plots(name: str, tmp_path: Path) -> None:
    """Start to end: JSON as documented, a plot that is drawn, a table of as many cells as columns, no path in it."""
    data = run(tmp_path, name, *SMALL[name])
    assert (tmp_path / f"{name}.png").stat().st_size > 5_000
    assert (tmp_path / f"{name}.svg").exists()
    table = load(name).table(data["parameters"], data["metrics"])  # type: ignore[arg-type] # as JSON has it
    assert table.rows
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert str(tmp_path) not in str(data)
    assert "/tmp" not in str(data["metrics"])


def test_client_cpu_measures_engine_and_contenders(tmp_path: Path) -> None:
    """Every contender reaches the end of what is measured, through the same window; ratios are those of the two."""
    batches, singles = (
        ("engine", "floor", "aioboto3_batch"),
        ("aiodynamo_update", "aioboto3_update", "boto3_resource"),
    )
    items = [*[[name, 1_500] for name in batches], *[[name, 100] for name in singles]]
    changes = (
        f"items={orjson.dumps(items).decode()}",
        "rounds=1",
        "variants=[]",
        "profile_items=8000",
        "watched_items=8000",
        "watched_rounds=1",
    )
    metrics = run(tmp_path, "client_cpu", *changes)["metrics"]
    assert isinstance(metrics, dict)
    cpu = {name: found["cpu_us_per_item"]["median"] for name, found in metrics["contenders"].items()}
    assert cpu.keys() == {*batches, *singles}
    assert all(value > 0 for value in cpu.values())
    ratios = {name: ratio["median"] for name, ratio in metrics["ratios"].items()}
    assert ratios == pytest.approx(
        {
            "plain_to_engine": cpu["aioboto3_update"] / cpu["engine"],
            "engine_to_floor": cpu["engine"] / cpu["floor"],
        }
    )
    assert sum(metrics["profile"]["rooms"].values()) == pytest.approx(1, abs=0.01)


def test_replay_measures_engine_and_contenders(tmp_path: Path) -> None:
    """Every contender delivers the whole stream; ratios are those of the two; memory has cases."""
    changes = (
        'records=[["engine",3000],["floor",3000],["aioboto3_loop",600]]',
        "slow_records=[500,1000]",
        "slow_ms=20",
        "profile_records=3000",
        "rounds=1",
        "shards=3",
    )
    metrics = run(tmp_path, "replay", *changes)["metrics"]
    assert isinstance(metrics, dict)
    cpu = {name: found["cpu_us_per_record"]["median"] for name, found in metrics["contenders"].items()}
    assert cpu.keys() == {"engine", "floor", "aioboto3_loop"}
    ratios = {name: ratio["median"] for name, ratio in metrics["ratios"].items()}
    assert ratios == pytest.approx(
        {
            "loop_to_engine": cpu["aioboto3_loop"] / cpu["engine"],
            "engine_to_floor": cpu["engine"] / cpu["floor"],
        }
    )
    assert metrics["look_ahead_cpu_us_per_record"]["median"] > 0
    assert [case["records"] for case in metrics["slow_function"]] == [500, 1_000]
    assert all(case["peak_bytes"]["median"] > 1 << 20 for case in metrics["slow_function"])
    assert sum(metrics["profile"]["modules"].values()) == pytest.approx(1, abs=0.01)


def test_resume_is_judged_by_the_stream(tmp_path: Path) -> None:
    """A killed run that went on has touched each item once, and some of them were read again."""
    changes = ("items=1500", "capacity=1000", "shares=[0.4]", 'ways=["kill"]')
    metrics = run(tmp_path, "resume", *changes)["metrics"]
    assert isinstance(metrics, dict)
    (case,) = metrics["cases"]
    assert (case["touched_twice"], case["missing"]) == (0, 0)
    assert case["touched"] + case["already"] == 1_500
    assert 0 < case["read_again"] <= 1_500


def test_the_judge_counts_what_fired_twice_and_what_did_not() -> None:
    """One key with two records, one with one, one of three without."""
    found = verdict({"a": 2, "b": 1}, 3)
    assert (found.once, found.twice, found.missing) == (1, 1, 1)


@dataclass(frozen=True)
class Refusal:
    """A command line, and what its one line must say."""

    arguments: tuple[str, ...]
    says: str


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(("run", "nothing"), "there is no benchmark nothing"),
        Refusal(("run", "budget", "--set", "speed=1"), "budget has no parameter speed; it has capacities"),
        Refusal(("run", "budget", "--set", "seconds=soon"), "is not like"),
        Refusal(("run", "budget", "--set", "seconds"), "write --set NAME=VALUE"),
        Refusal(("run", "all", "--set", "items=1"), "one benchmark at a time"),
        Refusal(("run", "budget", "--region", "eu-west-1"), "name the real table with --table"),
        Refusal(("run", "budget", "--table", "orders"), "give --yes to go ahead"),
        Refusal(("run", "sandbox_throughput", "--table", "orders", "--yes"), "takes no real table"),
        Refusal(("run", "pacing", "--table", "orders", "--yes"), "takes no real table"),
        Refusal(("run", "replay", "--table", "orders", "--yes"), "takes no real table"),
    ],
    ids=lambda refusal: " ".join(refusal.arguments),
)
def test_what_cannot_be_run_is_refused(refusal: Refusal, tmp_path: Path) -> None:
    """Exit code 2 and the reason, before anything is measured or touched."""
    done = invoke(*refusal.arguments, *(("--out", str(tmp_path)) if refusal.arguments[0] == "run" else ()))
    assert done.exit_code == 2
    assert refusal.says in " ".join(done.output.split())
    assert not list(tmp_path.iterdir())


def test_parameters_keep_their_types() -> None:
    """Lists become tuples, whole numbers are numbers; what is of another kind is refused."""
    budget = load("budget")
    changed = budget.parameters(quick=True, changes={"capacities": "[5, 6]", "seconds": "7"})
    assert (changed.capacities, changed.seconds) == ((5, 6), 7)
    with pytest.raises(BenchmarkError, match="not like"):
        budget.parameters(quick=False, changes={"item_bytes": "true"})


@pytest.mark.parametrize(
    "name",
    thinned(
        {name: name for name in NAMES if load(name).on_real},
        *("budget", "plan", "processes", "resume", "sweep"),
    ),
)
def test_a_real_table_is_touched_within_its_limit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --table every scenario warns, runs against that table and nothing else, and touches no more than allowed."""
    for variable, value in CREDENTIALS.items():
        monkeypatch.setenv(variable, value)
    few = {
        "sweep": ("--set", "segments=[2]", "--set", "workers=[4]"),
        "processes": ("--set", "counts=[2]", "--max-items", "1000"),
        "resume": ("--set", "shares=[0.5]"),
        "budget": ("--set", "percents=[80]"),
    }
    with sandbox(config(table_spec(1_000, 500, wcu=1_000))) as server:
        place = ("--table", TABLE, "--endpoint-url", server.url, "--max-items", "300", "--yes")
        limit = 1_000 if name == "processes" else 300
        done = invoke("run", name, "--quick", "--out", str(tmp_path), *place, *few.get(name, ()))
        assert done.exit_code == 0, done.output
        assert "This touches a real table" in done.output
        written = touched_items(server.url)
    runs = 2 if name == "resume" else 1
    assert limit <= written <= limit * runs
    data = orjson.loads((tmp_path / f"{name}.json").read_bytes())
    assert check(data) is None
    assert data["parameters"]["target"] == "a real table"
    assert f"--table TABLE --max-items {limit}" in data["parameters"]["command"]
    assert server.url not in str(data)
    assert load(name).table(data["parameters"], data["metrics"]).rows


def test_several_processes_are_not_let_loose_on_more_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share a whole table; one that is larger than --max-items is refused and stays as it is."""
    for variable, value in CREDENTIALS.items():
        monkeypatch.setenv(variable, value)
    with sandbox(config(table_spec(1_000, 500, wcu=1_000))) as server:
        place = ("--table", TABLE, "--endpoint-url", server.url, "--max-items", "300", "--yes")
        done = invoke("run", "processes", "--quick", "--out", str(tmp_path), *place)
        assert done.exit_code == 1
        assert "give --max-items 1000" in " ".join(done.output.split())
        assert touched_items(server.url) == 0


def test_no_cell_of_a_sweep_takes_longer_than_it_may(tmp_path: Path) -> None:
    """A run that would need five seconds is stopped after less than half of one, and has its speed all the same."""
    data = run(tmp_path, "sweep", "segments=[2]", "workers=[4]", *SMALL["sweep"][2:])
    metrics = data["metrics"]
    assert isinstance(metrics, dict)
    (cell,) = metrics["cells"]
    assert 0 < cell["touched"] < 5_000
    assert cell["items_per_s"] > 0


def test_verify_finds_every_planted_fault_and_nothing_else(tmp_path: Path) -> None:
    """Of 5,000 items: 50 made up by the checkpoint, 50 touched again by a second writer, 50 changed otherwise."""
    metrics = run(tmp_path, "verify", "counts=[5000]", "planted=50")["metrics"]
    assert isinstance(metrics, dict)
    (case,) = metrics["cases"]
    assert (case["missing_found"], case["missing_false"]) == (50, 0)
    assert (case["doubled_found"], case["doubled_false"]) == (50, 0)
    assert (case["expected"], case["once"]) == (5_050, 4_950)
    assert case["verify_peak_bytes"] < 500 << 20


def touched_items(url: str) -> int:
    """Touches of the table's items: the sum of their revisions."""
    client = boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    pages = client.get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
    return sum(int(item.get("revision", {"N": "0"})["N"]) for page in pages for item in page["Items"])


def test_an_unknown_choice_is_one_line(tmp_path: Path) -> None:
    """A parameter that names nothing fails its benchmark with the names that there are, and leaves no result."""
    done = invoke("run", "skew", "--set", 'skews=["odd"]', "--out", str(tmp_path))
    assert done.exit_code == 1
    assert "skew failed: there is no 'odd'; there are uniform, zipf, hot key" in done.output
    assert not list(tmp_path.iterdir())


def can_limit() -> bool:
    """Whether control groups can be made here, as root of Linux can."""
    try:
        with limited(0.5, 256 << 20):
            return True
    except BenchmarkError:
        return False


def test_a_small_machine_is_held_to_its_limits(tmp_path: Path) -> None:
    """The group bounds CPU and memory of the run, which keeps its budget; without rights: one line."""
    changes = ("paced_wcu=300", "cpus=[]", "seconds=6", "paced_cpus=0.4", "memory_mib=300")
    if not can_limit():
        settings = [word for change in changes for word in ("--set", change)]
        refused = invoke("run", "small_machine", "--quick", "--out", str(tmp_path), *settings)
        assert refused.exit_code == 2
        assert "run as root on Linux" in refused.output
        return
    metrics = run(tmp_path, "small_machine", *changes)["metrics"]
    assert isinstance(metrics, dict)
    (case,) = metrics["cases"]
    assert case["touched"] == case["items"] == 1_800
    assert case["cpu_share"] < 0.45
    assert 20 << 20 < case["charged_bytes"] <= 300 << 20
    assert case["peak_share"] <= 1.1
    assert not list(Path("/sys/fs/cgroup").glob("**/refire-benchmark-*"))


@pytest.mark.skipif(not can_limit(), reason="control groups need root")
def test_a_limited_group_ends_what_needs_more() -> None:
    """The bound on memory is real: a program that needs more is killed."""
    with (
        limited(1.0, 32 << 20) as group,
        Child([sys.executable, "-c", "bytearray(200 << 20)"], joins=group.joins) as child,
    ):
        assert child.wait(60).code == -9
