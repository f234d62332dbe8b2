"""The recipes are right: every command line parses, and the policy is what the program prints."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ended, FakeEngine

RECIPES = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
COMMANDS = [
    line.rpartition("| ")[2] if line.startswith("cat ") else line
    for block in re.findall(r"```sh\n(.*?)```", RECIPES, re.DOTALL)
    for line in block.splitlines()
]


def test_every_option_of_a_selection_has_a_recipe() -> None:
    text = " ".join(COMMANDS)
    for option in (
        "key-value",
        "key-value-range",
        "sort-key-condition",
        "index",
        "where",
        "filter",
        "names",
        "values",
    ):
        assert f"--{option} " in text
    for option in ("keys-file", "export", "sample", "include-expired"):
        assert f"--{option}" in text


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("refire run ")])
def test_a_recipe_parses(
    refire: Callable[..., Ended],
    fake_engine: FakeEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
) -> None:
    """The test creates the files that it names, and nothing else."""
    monkeypatch.chdir(tmp_path)
    arguments = []
    for word in shlex.split(line)[1:]:
        path = tmp_path / Path(word).name
        if word.endswith((".csv", ".jsonl")) and not word.startswith("s3:"):
            path.touch()
            arguments.append(path.name)
            continue
        if word.startswith("./"):
            path.mkdir()
            (path / "manifest-summary.json").touch()
        arguments.append(word)
    ended = refire(*arguments)
    assert ended.code == 0, ended.err
    assert len(fake_engine.seen) == 1


def test_the_policy_is_what_the_program_prints(refire: Callable[..., Ended]) -> None:
    (line,) = [line for line in COMMANDS if line.startswith("refire iam-policy ")]
    (block,) = re.findall(r"```json\n(.*?)```", RECIPES, re.DOTALL)
    ended = refire(*shlex.split(line)[1:])
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == json.loads(block)
