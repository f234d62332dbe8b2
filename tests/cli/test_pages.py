"""The documentation is right: its command lines parse, and the names that it lists are those of the code."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import pytest

from refire_async.cli import program

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def lines() -> Iterator[tuple[str, str]]:
    """Page and command line of every `refire …` in a shell block."""
    for page in PAGES:
        language = "sh" if page.parent != ROOT else "(?:sh)?"
        for block in re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                for words in commands_of(line):
                    if words[0] == "refire":
                        yield str(page.relative_to(ROOT)), shlex.join(words[1:])


def commands_of(line: str) -> Iterator[list[str]]:
    """The simple commands of a line of shell, without redirections."""
    tokens = shlex.shlex(line, posix=True, punctuation_chars=True)
    tokens.whitespace_split = True
    words: list[str] = []
    for token in [*tokens, ";"]:
        if set(token) <= set("();<>|&"):
            if words:
                yield words
            # The word after a redirection is a file name.
            words = ["to"] if set(token) & set("<>") else []
        elif token not in ("if", "then", "else", "while", "do"):
            words.append(token)


@pytest.mark.parametrize(("page", "line"), [*dict.fromkeys(lines())])
def test_command_lines_parse(page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command, options and values are valid; the test creates the files that a line names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    words = []
    for word in shlex.split(line):
        if not re.search(r"\.(jsonl|csv|csv\.gz|json|toml|refire|gz)$", word) or word.startswith("s3:"):
            words.append(word)
            continue
        file = tmp_path / Path(word).name
        file.write_text("{}" if file.suffix != ".toml" else "")
        words.append(str(file))
    for word in words:
        if word.startswith("./"):
            (tmp_path / word).mkdir()
            (tmp_path / word / "manifest-summary.json").touch()
    name, *rest = words
    if name in ("--help", "--version"):
        return
    command = program.get_command(click.Context(program), name)
    assert command is not None, f"{page}: refire {name}"
    with click.Context(program, info_name="refire") as root, command.make_context(name, rest, parent=root):
        pass


def test_there_are_command_lines() -> None:
    """The test above has lines to check; each task has its page and its commands."""
    found = [page for page, _ in lines()]
    tasks = [page for page in PAGES if page.parent.name == "tasks"]
    assert len(tasks) >= 8
    for page in tasks:
        assert str(page.relative_to(ROOT)) in found


def test_every_page_is_in_the_index() -> None:
    """docs/README.md links to each page."""
    index = (ROOT / "docs" / "README.md").read_text()
    for page in PAGES[1:]:
        name = str(page.relative_to(ROOT / "docs"))
        assert name == "README.md" or f"({name})" in index, name


def test_anchors_exist() -> None:
    """A link into a page has a heading there."""
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", page.read_text()):
            headings = re.findall(
                r"^#+ (.*)$", (page.parent / target if target else page).read_text(), re.MULTILINE
            )
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.relative_to(ROOT)}: {target}#{anchor}"


def test_log_events_are_documented() -> None:
    """docs/logging.md lists exactly the names of all log events."""
    listed = set(
        re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", (ROOT / "docs" / "logging.md").read_text(), re.MULTILINE)
    )
    said = set()
    for path in (ROOT / "refire_async").rglob("*.py"):
        if "sandbox" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            # Names are literals in the call, or are assigned just before.
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said.update(
                    re.findall(
                        r"^(?:run|keys|write|read|request|item|rate|budget|advice|process|recording|"
                        r"canary|consumer|verify|library|program|config|page|segment|"
                        r"delivery|records|invocation|mapping|service)\.[a-z_]+$",
                        node.value,
                    )
                )
    assert said == listed


def test_pictures_are_complete_and_request_nothing() -> None:
    """Each picture is well-formed and sends no request."""
    pictures = [*(ROOT / "docs" / "images").glob("*.svg")]
    assert pictures
    for picture in pictures:
        text = picture.read_text()
        assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        # A namespace is a name. Terminal output is text between tags.
        fetched = re.findall(
            r"(?:href|src)=[\"']?+(?!#)\S+|url\((?!#)[^)]*\)|@import", re.sub(r">[^<]*<", "><", text)
        )
        assert not fetched, picture.name
