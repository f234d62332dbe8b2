"""Result files and the page that is made of them, also of files that somebody has tampered with."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.probes import matrix, results
from tests.probes.__main__ import program
from tests.probes.catalogue import facts
from tests.probes.results import Results
from tests.probes.runner import Result

SOME = facts()[0].id


def written(path: Path, results_: Results) -> Path:
    path.write_text(results.dumps(results_), encoding="utf-8")
    return path


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    """All outcomes, and text that Markdown, HTML and JSON would read otherwise."""
    found = [Result(SOME, "differs", 'a|b "c" <d> é'), Result("unknown.fact", "agrees", "")]
    collected = results.collect("aws", "eu-west-1", found)
    assert results.load(written(tmp_path / "a.json", collected)) == collected


def test_the_later_file_counts_fact_by_fact(tmp_path: Path) -> None:
    """What a later session did not try keeps its earlier outcome."""
    one, two = facts()[0].id, facts()[1].id
    early = Results(
        "aws", "2026-01-01", "eu-west-1", {}, {n: Result(n, "differs", "early") for n in (one, two)}
    )
    late = {one: Result(one, "agrees", "late"), two: Result(two, "not tried", "late")}
    page = matrix.page([Results("aws", "2026-02-01", "us-east-1", {}, late), early])
    assert "| AWS | 1 | 1 | 0 | 2026-02-01, eu-west-1, us-east-1 |" in page
    assert f"| `{two}` | AWS | early | the service: the assumption is wrong |" in page


def test_text_cannot_break_the_page(tmp_path: Path) -> None:
    """Bars, line ends and tags in what was seen stay within their cell."""
    text = "a | b\n## c\n<script>d</script>"
    path = written(
        tmp_path / "a.json", Results("aws", "2026-01-01", "", {}, {SOME: Result(SOME, "differs", text)})
    )
    page = matrix.page([results.load(path)])
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{SOME}` | AWS |")]
    assert row.count(" | ") == 3
    assert "<script>" not in page
    assert "\n## c" not in page


HOSTILE = {
    "not JSON": "{",
    "nested": "[" * 200_000,
    "another type": "[]",
    "another format": json.dumps({"format": 99, "server": "aws", "facts": {}}),
    "another server": json.dumps({"format": 1, "server": "| x", "facts": {}}),
    "no facts": json.dumps(
        {"format": 1, "server": "aws", "date": "2026-01-01", "region": "", "versions": {}}
    ),
    "facts of another type": json.dumps({"format": 1, "server": "aws", "facts": ["a"]}),
    "outcome": json.dumps({"format": 1, "server": "aws", "facts": {"a": {"outcome": "wins", "text": ""}}}),
    "outcome of another type": json.dumps(
        {"format": 1, "server": "aws", "facts": {"a": {"outcome": {}, "text": ""}}}
    ),
    "date": json.dumps(
        {"format": 1, "server": "aws", "date": "2026-01-01 | x\n", "region": "", "versions": {}, "facts": {}}
    ),
    "region": json.dumps(
        {"format": 1, "server": "aws", "date": "2026-01-01", "region": "<b>", "versions": {}, "facts": {}}
    ),
}


@pytest.mark.parametrize("kind", [*HOSTILE, "bytes", "empty folder"])
def test_a_bad_file_is_one_line(kind: str, tmp_path: Path) -> None:
    """Exit code 2, one line that names the file, no page."""
    file, page = tmp_path / "bad.json", tmp_path / "page.md"
    if kind == "bytes":
        file.write_bytes(b"\xff\xfe\x00")
    elif kind != "empty folder":
        file.write_text(HOSTILE[kind], encoding="utf-8")
    done = CliRunner().invoke(program, ["matrix", str(tmp_path), "--out", str(page)])
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert done.output.startswith("error: ")
    assert str(tmp_path) in done.output
    assert not page.exists()
