"""The published results keep what they are to show, and the page of results is made of them."""

from pathlib import Path

import benchmarks
from benchmarks.framework.result import Result, read
from benchmarks.framework.results_page import page, read_all

HOME = Path(benchmarks.__file__).parent


def published(name: str) -> Result:
    return read(HOME / "results" / f"{name}.json")


def test_plans_are_near_what_runs_need() -> None:
    """All twelve shapes of table, and all figures of each."""
    metrics = published("plan").metrics
    assert len(metrics["cases"]) == 12
    assert metrics["kept"]


def test_consumers_are_busy_and_records_young() -> None:
    """Every target of every case."""
    for case in published("consumer").metrics["cases"]:
        assert all(target["met"] for target in case["targets"]), case["case"]


def test_looking_on_costs_little() -> None:
    """Less than 3% of the engine's CPU time, and every run was measured."""
    profile = published("client_cpu").metrics["profile"]
    assert profile["samples"] > 3_000
    assert 0.0 < profile["watching"] < 0.03


def test_a_small_container_keeps_its_budget() -> None:
    """0.25 CPU and 512 MiB at 2,000 WCU/s: the whole budget and at most 110% of it, with CPU and memory to spare."""
    paced, most, *_ = published("small_machine").metrics["cases"]
    assert (paced["cpus"], paced["memory_mib"], paced["budget_wcu"]) == (0.25, 512, 2_000)
    assert paced["used_share"] > 0.98
    assert paced["peak_share"] <= 1.1
    assert paced["charged_bytes"] < 256 << 20
    assert most["cpus"] == 0.25
    assert most["items_per_s"] > 10_000


def test_the_rest_after_an_outage_takes_what_the_budget_allows() -> None:
    """Each kind and length: at most 1.2 times the ideal from the first success on, and never above 110%."""
    cases = published("outage").metrics["cases"]
    assert {(case["kind"], case["length_s"]) for case in cases} == {
        (kind, length) for kind in ("service", "network", "throttled") for length in (2.0, 10.0, 60.0)
    }
    assert all(case["to_ideal"] <= 1.2 for case in cases)
    assert all(case["peak_share"] <= 1.1 for case in cases)


KNOWN_MISSES: dict[str, str] = {
    "proof, us of CPU per item": "24 in an hour in which a bare loop took 20.5 instead of 6.6, and a touch 21",
    "touch, us of CPU per item": "the floor itself, a bare loop that sends the same requests, takes more",
}
"""Goals that the published figures do not reach, and why. One that is reached must leave this list."""


def test_published_figures_reach_their_goals_or_are_known_misses() -> None:
    """Proof at most 8 us per item, touch below 5, the rest after an outage at most 1.2, a small container's budget."""
    proof = max(
        1e6 * case["verify_cpu_s"] / case["items"]
        for case in published("verify").metrics["cases"]
        if case["items"] >= 1_000_000
    )
    touch = published("client_cpu").metrics["contenders"]["engine"]["cpu_us_per_item"]["median"]
    rest = max(case["to_ideal"] for case in published("outage").metrics["cases"])
    container = published("small_machine").metrics["cases"][0]
    reached = {
        "proof, us of CPU per item": proof <= 8,
        "touch, us of CPU per item": touch < 5,
        "outage, to the ideal": rest <= 1.2,
        "small machine, budget used": container["cpus"] == 0.25 and container["used_share"] > 0.98,
    }
    assert {goal for goal, met in reached.items() if not met} == set(KNOWN_MISSES)


def test_the_page_is_made_of_the_results() -> None:
    """By hand it is not changed, and all of them come from full runs."""
    results = read_all(HOME / "results")
    assert page(results, "results") == (HOME / "RESULTS.md").read_text()
    assert {result.name for result in results if result.parameters["mode"] != "full"} <= {
        "sandbox_throughput"
    }
