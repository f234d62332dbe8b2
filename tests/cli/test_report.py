"""`refire report` from the command line: its file, the file's mode, and one-line errors."""

import json
import os
import stat
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.output.runs import finished_run
from tests.support.cli import Cli


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line in its own folder, without an endpoint."""
    return Cli(tmp_path)


def test_a_report_is_a_file_for_its_owner(cli: Cli, tmp_path: Path) -> None:
    """By default in the current folder, mode 0600, written in one step; a second report replaces it."""
    checkpoint = finished_run(tmp_path / "a.refire")
    for _ in range(2):
        result = cli.run("report", "--checkpoint", str(checkpoint), "--json")
        assert (result.code, result.stderr) == (0, "")
        assert result.json == {"run_id": "run-1", "report": "refire-run-1.html"}
    page = tmp_path / "refire-run-1.html"
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert page.read_text().endswith("</html>\n")
    assert not list(tmp_path.glob(".refire-*"))
    assert "ann7@example.org" not in page.read_text()


def test_keys_and_prices_on_request(cli: Cli, tmp_path: Path) -> None:
    """The effect of `--with-keys`, `--prices` and `--out`."""
    checkpoint = finished_run(tmp_path / "a.refire")
    (tmp_path / "prices.json").write_text(json.dumps({"write_million": 10, "date": "today"}))
    options = ("--with-keys", "--prices", "prices.json", "--out", "b.html")
    result = cli.run("report", "--checkpoint", str(checkpoint), *options)
    assert (result.code, result.stdout) == (0, "Report of run run-1: b.html\n")
    page = (tmp_path / "b.html").read_text()
    assert "ann7@example.org" in page
    assert "Prices of as given, today" in page


def test_pictures_do_not_depend_on_matplotlib(cli: Cli, tmp_path: Path) -> None:
    """Without it, and with a notebook's settings for it: both pictures are drawn, and always the same."""
    checkpoint = finished_run(tmp_path / "a.refire")
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "matplotlib.py").write_text("raise ImportError('not installed')")
    (tmp_path / "matplotlibrc").write_text("backend: no-such-backend")
    paths = os.pathsep.join([str(tmp_path / "without"), cli.environment()["PYTHONPATH"]])
    notebook = {"PYTHONPATH": paths, "MPLBACKEND": "module://no_such_backend", "MATPLOTLIBRC": str(tmp_path)}
    thought_of = ("plan", "--items", "5M", "--item-size", "1KB", "--consumer-rate", "900", "--plot")
    for name, env in (("a", {}), ("b", notebook)):
        made = cli.run("report", "--checkpoint", str(checkpoint), "--out", f"{name}.html", env=env)
        assert (made.code, made.stderr) == (0, "")
        made = cli.run(*thought_of, f"{name}.svg", env=env)
        assert (made.code, made.stderr) == (0, "")
    assert (tmp_path / "a.svg").read_text() == (tmp_path / "b.svg").read_text()
    root = ET.fromstring((tmp_path / "a.svg").read_text())
    words = "".join(root.itertext())
    assert "Plan for" in words
    assert "items touched" in words
    assert "records waiting" in words


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "no run given"),
        (("no-such-run",), 2, "there is no run no-such-run"),
        (("--checkpoint", "notes.txt"), 11, "is not a checkpoint"),
        (("--checkpoint", "a.refire", "--out", "folder"), 2, "is a folder"),
        (("--checkpoint", "a.refire", "--out", "none/b.html"), 2, "is not there"),
        (("--checkpoint", "a.refire", "--prices", "notes.txt"), 2, "is not JSON"),
    ],
)
def test_errors_are_one_line(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """Bad input: the right exit code, one line, no file."""
    finished_run(tmp_path / "a.refire")
    (tmp_path / "notes.txt").write_text("no JSON, no checkpoint")
    (tmp_path / "folder").mkdir()
    result = cli.run("report", *arguments)
    assert result.code == code
    assert len(result.error_lines) == 1
    assert said in result.error_lines[0]
    assert not list(tmp_path.glob("*.html"))
