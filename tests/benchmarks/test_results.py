"""Result files and the page that is made of them."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from benchmarks.framework import plots, results_page
from benchmarks.framework.cli import main
from benchmarks.framework.machine import cpu_model, machine, memory_gib
from benchmarks.framework.registry import NAMES, load
from benchmarks.framework.result import Result, check, read, write
from benchmarks.framework.scenario import BenchmarkError, Table


def result(name: str = "sandbox_throughput") -> Result:
    """A result as a run leaves it, with figures that no machine gives."""
    parameters = {
        "items": 100,
        "mode": "quick",
        "target": "a backend of the suite",
        "command": f"python -m benchmarks run {name} --quick",
        "started_at": "2026-11-23T06:00:00+00:00",
        "seconds": 12.5,
    }
    metrics = {
        "cases": [{"case": "scan", "items": 100, "items_per_s": 12_345.0, "items_per_cpu_s": 54_321.0}]
    }
    return Result(name, parameters, machine(), {"orjson": "3"}, metrics)


def test_a_result_survives_its_file_and_has_plots_beside_it(tmp_path: Path) -> None:
    """What is written is what is read; the plot is there as PNG and as SVG with text in it."""
    figure, (axes,) = plots.figure()
    axes.set_title("Things per second")
    written = result()
    path = write(tmp_path / "new", written, figure)
    assert read(path) == written
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "Things per second" in path.with_suffix(".svg").read_text()
    assert list(orjson.loads(path.read_bytes())) == ["name", "parameters", "machine", "versions", "metrics"]


def test_the_same_result_gives_the_same_svg(tmp_path: Path) -> None:
    """No date and no random id in it, so that a plot changes only when its figures do."""
    texts = []
    for folder in ("a", "b"):
        figure, _ = plots.figure()
        texts.append(write(tmp_path / folder, result(), figure).with_suffix(".svg").read_text())
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"metrics": None}, "metrics must be of type dict"),
        ({"extra": 1}, "must be an object of"),
        ({"parameters": {"mode": "quick"}}, "target must be of type str"),
    ],
)
def test_what_is_no_result_is_refused(change: dict[str, Any], problem: str) -> None:
    """Each member and its type is checked, and named."""
    data = {**json.loads(orjson.dumps(result())), **change}
    assert problem in (check(data) or "")
    assert check(json.loads(orjson.dumps(result()))) is None


def test_a_file_that_is_no_json_is_refused_by_name(tmp_path: Path) -> None:
    """The line says which file and what is wrong."""
    path = tmp_path / "budget.json"
    path.write_text("{")
    with pytest.raises(BenchmarkError, match=r"budget\.json is not JSON"):
        read(path)


def test_results_command_writes_table_command_and_date(tmp_path: Path) -> None:
    """RESULTS.md holds the figures, the command that repeats them, the day, the machine and a plot that is there."""
    figure, _ = plots.figure()
    write(tmp_path / "results", result(), figure)
    target = tmp_path / "RESULTS.md"
    done = CliRunner().invoke(main, ["results", str(tmp_path / "results"), "--to", str(target)])
    assert done.exit_code == 0, done.output
    text = target.read_text()
    assert "| scan | 12,345 | 54,321 |" in text
    assert "`python -m benchmarks run sandbox_throughput --quick`" in text
    assert "2026-11-23" in text
    assert str(machine()["cpu"]) in text
    assert "(results/sandbox_throughput.png)" in text
    assert str(tmp_path) not in text


def test_an_empty_folder_gives_no_page(tmp_path: Path) -> None:
    """One line that says what to do, and no file."""
    target = tmp_path / "RESULTS.md"
    done = CliRunner().invoke(main, ["results", str(tmp_path), "--to", str(target)])
    assert done.exit_code == 2
    assert "python -m benchmarks run" in done.output
    assert not target.exists()


def test_a_table_in_markdown() -> None:
    """A title row, a rule, the rows, then the line to read them by."""
    lines = results_page.markdown(Table(("a", "b"), [("x", "1")], "note"))
    assert lines == ["| a | b |", "| --- | ---: |", "| x | 1 |", "", "note"]


def test_every_scenario_has_a_readme_with_question_method_and_reading() -> None:
    """What a planner needs to judge a figure is beside the code that makes it."""
    root = Path(results_page.__file__).parents[1]
    for name in NAMES:
        text = (root / name / "README.md").read_text()
        assert all(part in text for part in ("**Question.**", "**Method.**", "**How to read it.**")), name
        assert load(name).name == name


def test_the_machine_is_described_by_what_matters() -> None:
    """Processor and memory are read from the kernel's text; nothing names the machine or a path."""
    assert cpu_model("processor\t: 0\nmodel name\t: AMD EPYC 9B45\nmodel name\t: other\n") == "AMD EPYC 9B45"
    assert memory_gib("MemTotal:       16777216 kB\nMemFree: 1 kB\n") == 16.0
    assert set(machine()) == {"cpu", "cores", "memory_gib", "kernel", "python", "load_before"}
