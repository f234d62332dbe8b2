"""Which figures of two results differ: the rule, the names of figures, and the command."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.framework.cli import main
from benchmarks.framework.compare import Verdict, judge, rank_test
from benchmarks.framework.figures import figures
from benchmarks.framework.statistics import spread

SAMPLES = st.lists(st.floats(0.1, 1e6), min_size=5, max_size=12)


@given(SAMPLES, st.randoms(use_true_random=False))
def test_the_same_samples_never_differ(samples: list[float], random: Any) -> None:
    """In whatever order."""
    shuffled = random.sample(samples, len(samples))
    assert judge(samples, shuffled) is Verdict.SAME
    assert rank_test(samples, shuffled) == 1.0


@given(SAMPLES, st.floats(1.05, 10))
def test_samples_shifted_past_their_scatter_differ(samples: list[float], factor: float) -> None:
    """Up and down: the least of one side is above the most of the other."""
    shift = (max(samples) - min(samples)) + (factor - 1) * max(samples)
    moved = [sample + shift for sample in samples]
    assert judge(samples, moved) is Verdict.DIFFERS
    assert judge(moved, samples) is Verdict.DIFFERS or min(moved) * 0.02 > shift


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=6), st.lists(st.integers(0, 5), min_size=2, max_size=6)
)
def test_the_rank_test_counts_every_split(old: list[int], new: list[int]) -> None:
    """As done by hand: all ways to choose which measurements are the old ones, ties at their middle rank."""
    pool = old + new
    ranks = [sum(x < value for x in pool) + (sum(x == value for x in pool) + 1) / 2 for value in pool]
    middle = len(old) * (len(pool) + 1) / 2
    sums = [abs(sum(split) - middle) for split in combinations(ranks, len(old))]
    far = abs(sum(ranks[: len(old)]) - middle)
    assert rank_test(old, new) == pytest.approx(sum(total >= far - 1e-9 for total in sums) / len(sums))


@pytest.mark.parametrize("count", [1, 4])
def test_few_samples_are_never_judged(count: int) -> None:
    """However far apart."""
    assert judge([1.0] * count, [9.0] * 9) in (Verdict.ONE_SAMPLE, Verdict.FEW_SAMPLES)


def test_figures_have_names_that_tell_cases_apart() -> None:
    """By as few of their first members as needed; series are no figures."""
    metrics = {
        "cases": [
            {"kind": "a", "size": 1, "speed": spread([1.0, 2.0]).to_json(), "per_second": [[0, 1]]},
            {"kind": "a", "size": 2, "speed": spread([3.0]).to_json(), "per_second": [[0, 2]]},
        ],
        "kept": True,
        "total_s": 4.5,
    }
    assert figures(metrics) == {
        "cases[a, size=1].speed": (1.0, 2.0),
        "cases[a, size=2].speed": (3.0,),
        "total_s": (4.5,),
    }


def stored(folder: Path, values: list[float], loops: Sequence[float] = (), **parameters: object) -> str:
    """A result file whose one figure has these measurements."""
    how = {
        "mode": "full",
        "target": "t",
        "command": "python -m benchmarks run processes",
        "started_at": "2026-01-01T00:00:00+00:00",
        "seconds": 1.0,
        **parameters,
    }
    data = {
        "name": "processes",
        "parameters": how,
        "machine": {"loop_us": loops} if loops else {},
        "versions": {},
        "metrics": {"speed": spread(values).to_json(), "total": 3},
    }
    folder.mkdir(exist_ok=True)
    (folder / "processes.json").write_bytes(orjson.dumps(data))
    return str(folder)


def test_the_command_tells_by_its_exit_code(tmp_path: Path) -> None:
    """0 without a difference, 1 with one, 2 with one line for what cannot be compared."""
    old = stored(tmp_path / "old", [1, 2, 3, 4, 5])
    new = stored(tmp_path / "new", [11, 12, 13, 14, 15], rounds=9)
    other = stored(tmp_path / "other", [1, 2, 3, 4, 5], items=5)
    same = CliRunner().invoke(main, ["compare", old, old + "/processes.json", "--all"])
    assert (same.exit_code, "total: 3 -> 3 (+0.0%), one sample: cannot be judged" in same.output) == (0, True)
    differs = CliRunner().invoke(main, ["compare", old, new])
    assert differs.exit_code == 1
    assert "processes: speed: 3 [1 to 5, n=5] -> 13 [11 to 15, n=5] (+333.3%), differs" in differs.output
    for words, says in (
        ((old, other), "differ in their settings: items"),
        ((old, str(tmp_path)), "holds no result file"),
        ((old, "no-such-revision"), "neither a file, nor a folder, nor a git revision"),
    ):
        refused = CliRunner().invoke(main, ["compare", *words])
        assert (refused.exit_code, says in " ".join(refused.output.split())) == (2, True), refused.output


def test_a_slower_machine_is_named(tmp_path: Path) -> None:
    """Beyond 10%, and only where both results know their speed."""
    old = stored(tmp_path / "old", [1, 2, 3, 4, 5], loops=[6, 7])
    for loops, says in (([20, 19], "took 3 times as long for NEW"), ([6, 7.5], ""), ([], "")):
        new = stored(tmp_path / f"new{len(says)}{len(loops)}", [1, 2, 3, 4, 5], loops=loops)
        done = CliRunner().invoke(main, ["compare", old, new])
        assert done.exit_code == 0
        assert ("as long for NEW" in done.output, says in done.output) == (bool(says), True), done.output
