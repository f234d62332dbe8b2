"""The README is right: its commands are those that CI runs, and its links lead to files."""

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STUBS = ("ruff", "mypy", "lint-imports", "pytest", "python")
"""The programs that `.ci/run` calls from .venv."""

README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    """The text below a second-level heading, up to the next one."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no section {title}"
    return found[1]


def tracked_files() -> list[Path]:
    """Every file under version control; in an unpacked source distribution, every file."""
    if not (ROOT / ".git").exists():
        return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_start_has_two_commands_of_one_line() -> None:
    """Start shows exactly two `sh` blocks of one line each; the second installs and runs the tests."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", section("Start"), re.MULTILINE | re.DOTALL)
    assert [language for language, _ in blocks] == ["sh", "sh"]
    commands = [text.splitlines() for _, text in blocks]
    assert [len(lines) for lines in commands] == [1, 1]
    assert all("python3 -m venv" in line for (line,) in commands)
    assert commands[1][0].endswith("pytest")


def test_ci_runs_the_command_of_the_readme(tmp_path: Path) -> None:
    """`.ci/run` takes the second command from the README, and fails when that command or a check fails."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for stub in (tmp_path / ".ci/versions", tmp_path / ".ci/spark", *(tools / name for name in STUBS)):
        stub.write_text("#!/bin/sh\n")
        stub.chmod(0o755)

    def run(command: str) -> subprocess.CompletedProcess[str]:
        start = (
            f"# x\n\n## Start\n\n```sh\nfalse\n```\n\n```sh\n{command}\n```\n\n## Next\n\n```sh\nfalse\n```\n"
        )
        (tmp_path / "README.md").write_text(start)
        return subprocess.run(["bash", tmp_path / ".ci" / "run"], capture_output=True, text=True, check=False)

    passed = run("echo 3 passed in 1s")
    assert passed.returncode == 0, passed.stderr
    assert passed.stdout.splitlines()[-1] == "3 passed in 1s"
    failed = run("echo 1 failed in 1s && false")
    assert failed.returncode == 1
    assert failed.stdout.splitlines()[-1] == "1 failed in 1s"
    (tools / "mypy").write_text("#!/bin/sh\nexit 1\n")
    assert run("echo 3 passed in 1s").returncode == 1


def test_links_to_files_exist() -> None:
    """Every relative link in the README and in docs/ names an existing file."""
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", page.read_text()):
            if "://" not in target and not target.startswith(("#", "mailto:")):
                path = page.parent / target.partition("#")[0]
                assert path.exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_links_of_the_readme_work_on_a_package_index() -> None:
    """They are absolute, and the files that they name on the project's pages exist."""
    home = "https://github.com/refire-async/refire-async"
    raw = "https://raw.githubusercontent.com/refire-async/refire-async/main/"
    targets = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", README)
    assert targets
    for target in targets:
        assert target.startswith("https://"), target
        for start in (f"{home}/blob/main/", raw):
            if target.startswith(start):
                assert (ROOT / target.removeprefix(start)).exists(), target


def test_no_path_of_a_machine() -> None:
    """No tracked file has the path of this working copy or of a home folder."""
    paths = re.compile(rf"{re.escape(str(ROOT))}\b|{re.escape(str(Path.home()))}/|/(home|Users)/\w+/")
    for path in tracked_files():
        found = paths.search(path.read_text(errors="replace"))
        assert not found, f"{path.relative_to(ROOT)} holds {found}"
