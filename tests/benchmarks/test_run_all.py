"""`run all` goes on after an interruption, and the page of results shows what files hold without trusting it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from benchmarks.framework import cli, html_page, machine, running
from benchmarks.framework.result import Result, read
from benchmarks.framework.running import How
from tests.benchmarks.test_results import result

DRIVER = """
import signal, sys, time
from pathlib import Path
from benchmarks.framework import cli, html_page, registry
from benchmarks.framework.registry import load
import dataclasses

def fake(name):
    base = load("sandbox_throughput")
    def run(bench, parameters):
        with open(sys.argv[1] + "/ran", "a") as log:
            log.write(name + "\\n")
        if name == "replay" and not Path(sys.argv[1], "second").exists():
            Path(sys.argv[1], "waiting").touch()
            time.sleep(60)
        case = {"case": "scan", "items": 100, "items_per_s": 1.0, "items_per_cpu_s": 1.0}
        return {"cases": [case]}
    return dataclasses.replace(base, name=name, run=run)

cli.choose = lambda names: [fake(name) for name in ("client_cpu", "replay", "skew")]
cli.current_commit = lambda: "0123456789ab"
html_page.write = lambda folder, against, target: target
signal.signal(signal.SIGTERM, signal.default_int_handler)
cli.main(["run", "all", "--out", sys.argv[1] + "/out"])
"""


def start(folder: Path) -> subprocess.Popen[str]:
    """`run all` with three scenarios, of which the second hangs the first time."""
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(running.ROOT)},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_run_all_goes_on_where_it_was_stopped(number: signal.Signals, tmp_path: Path) -> None:
    """What was finished is kept, what was under way runs again, the rest runs once."""
    with start(tmp_path) as first:
        deadline = time.monotonic() + 30
        while not (tmp_path / "waiting").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        first.send_signal(number)
        first.wait(30)
    assert first.returncode
    assert [path.name for path in (tmp_path / "out").glob("*.json")] == ["client_cpu.json"]
    (tmp_path / "second").touch()
    with start(tmp_path) as second:
        output = second.communicate(timeout=60)[0]
    assert second.returncode == 0, output
    assert "client_cpu kept, finished on 0123456789ab" in output
    assert (tmp_path / "ran").read_text().split() == ["client_cpu", "replay", "replay", "skew"]


def how(folder: Path, **changes: object) -> How:
    """As the sandbox_throughput of `finished` was run."""
    values = {"out": folder, "quick": True, "commit": "0123456789ab", "changes": {}, **changes}
    return How(**values)  # type: ignore[arg-type] # as given


def finished(folder: Path) -> Path:
    """A whole result of that commit."""
    found = result()
    done = Result(
        found.name,
        {**found.parameters, "commit": "0123456789ab"},
        machine.machine(),
        found.versions,
        found.metrics,
    )
    for suffix in ("png", "svg"):
        (folder / f"{found.name}.{suffix}").touch()
    path = folder / f"{found.name}.json"
    path.write_bytes(
        orjson.dumps(
            {name: getattr(done, name) for name in ("name", "parameters", "machine", "versions", "metrics")}
        )
    )
    return path


def test_only_a_whole_result_of_the_same_commit_and_settings_counts(tmp_path: Path) -> None:
    """Another commit, a changed tree, other settings, a missing plot, half a file: it runs again."""
    path = finished(tmp_path)
    name = path.stem
    assert how(tmp_path).finished(name) == path
    for changes in ({"commit": "ba9876543210"}, {"quick": False}, {"changes": {"items": "5"}}):
        assert how(tmp_path, **changes).finished(name) is None
    for tree in ("0123456789ab+changes", "unknown"):
        data = orjson.loads(path.read_bytes())
        data["parameters"]["commit"] = tree
        path.write_bytes(orjson.dumps(data))
        assert how(tmp_path, commit=tree).finished(name) is None
    finished(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    assert how(tmp_path).finished(name) is None
    finished(tmp_path)
    path.with_suffix(".svg").unlink()
    assert how(tmp_path).finished(name) is None


def test_a_changed_tree_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is run, with what to do."""
    monkeypatch.setattr(cli, "current_commit", lambda: "0123456789ab+changes")
    done = CliRunner().invoke(cli.main, ["run", "all", "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "--changed-tree" in done.output
    assert not (tmp_path / "out").exists()


def test_the_page_escapes_what_files_hold_and_needs_no_network(tmp_path: Path) -> None:
    """Markup in each text of a result stays text; images are embedded; no address is loaded."""
    evil = "<script>alert('x')</script>\"&"
    path = finished(tmp_path)
    data = orjson.loads(path.read_bytes())
    data["machine"].update(cpu=evil, kernel=evil, python=evil)
    data["parameters"].update(command=evil, target=evil, mode=evil, started_at=evil, commit=evil)
    data["metrics"]["cases"][0]["case"] = evil
    path.write_bytes(orjson.dumps(data))
    path.with_suffix(".svg").write_text(f"<svg>{evil}</svg>")
    text = html_page.page(
        [read(path)], {path.stem: path.with_suffix(".svg").read_bytes()}, {path.stem: read(path)}
    )
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "data:image/svg+xml;base64," in text
    assert not any(word in text for word in ("http://", "https://", 'src="/', "@import", "url("))


def test_the_page_command_tells_what_changed(tmp_path: Path) -> None:
    """One file beside the results, and nothing is said to differ from itself."""
    finished(tmp_path)
    done = CliRunner().invoke(cli.main, ["page", str(tmp_path), "--against", str(tmp_path)])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "index.html").read_text()
    assert "0 of 0 figures with repetitions differ" in text
    assert "Commit 0123456789ab." in text
