"""Shells complete commands, options, words and run ids, with the printed script."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ended
from tests.support.cli import CODE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script(refire: Callable[..., Ended], shell: str) -> None:
    """The script calls the program with the variable that it answers to."""
    ended = refire("completion", shell)
    assert (ended.code, ended.err) == (0, "")
    assert "_REFIRE_COMPLETE" in ended.out
    assert f"{shell}_complete" in ended.out


def complete(tmp_path: Path, *words: str) -> list[str]:
    """Bash may replace the last of these words."""
    child = subprocess.run(
        [sys.executable, "-m", "refire_async"],
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(CODE),
            "HOME": str(tmp_path),
            "_REFIRE_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(("refire", *words)),
            "COMP_CWORD": str(len(words)),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (child.returncode, child.stderr) == (0, "")
    return [line.partition(",")[2] for line in child.stdout.splitlines() if line]


def test_answers(tmp_path: Path) -> None:
    """Commands, options, words of an option. A bad file or an unknown command is no error here."""
    (tmp_path / "refire.toml").write_text("tabel = 5")
    assert complete(tmp_path, "res") == ["resume"]
    assert complete(tmp_path, "run", "--max-w") == ["--max-wcu"]
    assert complete(tmp_path, "run", "--table", "x", "--writer", "p") == ["partiql"]
    assert complete(tmp_path, "rnu", "--max") == []


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".local/share/bash-completion/completions/refire"),
        ("zsh", ".zfunc/_refire"),
        ("fish", ".config/fish/completions/refire.fish"),
    ],
)
def test_install(
    refire: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, place: str
) -> None:
    """The script is in the folder of the given shell or the user's own; a second install replaces it."""
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    script = refire("completion", shell).out
    for words in ((), (shell,)):
        ended = refire("completion", "install", *words)
        assert (ended.code, ended.err) == (0, "")
        assert str(tmp_path / place) in ended.out
        assert (tmp_path / place).read_text() == script


def test_install_that_is_not_possible(
    refire: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown shell, or a folder that cannot be written: one line that says what to do."""
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    ended = refire("completion", "install")
    assert (ended.code, ended.out) == (2, "")
    assert "'tcsh'" in ended.err
    assert "refire: SHELL must be one of bash, zsh, fish" in refire("completion", "install", "tcsh").err
    (tmp_path / ".zfunc").touch()
    ended = refire("completion", "install", "zsh")
    assert (ended.code, ended.out) == (2, "")
    assert "cannot be written" in ended.err
    assert list(tmp_path.glob("**/*.new")) == []
