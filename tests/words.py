"""Words that this project gave up: finds them in code, tests and documents, and names what to write instead.

    python -m tests.words                       every file
    python -m tests.words refire_async/aws      these files and folders only
    python -m tests.words --clean               those that are clean and must remain so (`CLEAN`)

Prints `file:line: word: use replacement` for each and ends with 1 if it found any. Names that other programs read
(columns of the checkpoint, JSON fields, failpoints) keep the old word: `KEPT` lists them.
"""

import re
import sys
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SEARCHED = ("refire_async", "tests", "benchmarks", "docs", "README.md", "pyproject.toml", ".ci")
SUFFIXES = frozenset({".py", ".md", ".toml", ".txt", ""})
CLEAN: tuple[str, ...] = (
    ".ci",
    "README.md",
    "benchmarks",
    "docs",
    "pyproject.toml",
    "refire_async/aws",
    "refire_async/checkpoint",
    "refire_async/cli",
    "refire_async/delivery",
    "refire_async/diagnosis",
    "refire_async/engine",
    "refire_async/events.py",
    "refire_async/model",
    "refire_async/output",
    "refire_async/pacing",
    "refire_async/pipeline",
    "refire_async/planning",
    "refire_async/preflight",
    "refire_async/private.py",
    "refire_async/sandbox",
    "refire_async/settings.py",
    "refire_async/sources",
    "refire_async/verification",
    "tests/README.md",
    "tests/aws",
    "tests/benchmarks",
    "tests/checkpoint",
    "tests/cli",
    "tests/conftest.py",
    "tests/delivery",
    "tests/diagnosis",
    "tests/engine",
    "tests/evidence",
    "tests/model",
    "tests/output",
    "tests/pacing",
    "tests/pipeline",
    "tests/planning",
    "tests/preflight",
    "tests/sandbox",
    "tests/scenarios",
    "tests/sources",
    "tests/support",
    "tests/test_permissions.py",
    "tests/test_private.py",
    "tests/test_python_api.py",
    "tests/test_readme.py",
    "tests/test_support.py",
    "tests/test_support_judge.py",
    "tests/test_words.py",
    "tests/typing",
    "tests/verification",
    "tests/words.py",
)
# This list; and the changelog, which says what old names became.
LEFT_OUT = frozenset({"tests/words.py", "tests/test_words.py", "docs/changelog.md", "docs/CHANGELOG.md"})


class Word(NamedTuple):
    """A word that was given up: a regular expression for it, and what to write instead."""

    pattern: str
    instead: str
    code_only: bool = False  # an everyday word in prose; given up as a name in Python only


class Found(NamedTuple):
    """A word that was found: `path` is relative to the root; `line` counts from 1, 0 is the file's name."""

    path: str
    line: int
    text: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text!r}: use {self.instead}"


WORDS = (
    # Names and the words of the program's own language.
    Word(r"sittings?", "attempt"),
    Word(r"[a-z_]*_sittings?|sittings?_[a-z_]*|[A-Z]?[A-Za-z]*Sittings?[A-Z]?\w*", "attempt"),
    Word(r"WireError|wire_\w+|wire client|wire/\w+", "aws, AwsError"),
    Word(r"[Ss]teering|\w+_steering|steering_\w+", "governor"),
    Word(r"[Vv]oices?|\w+_voices?|voices?_\w+", "limit source"),
    Word(r"obey(?:s|ed|ing)?|obey_\w+", "apply, follow"),
    Word(r"fly_canary|fl(?:y|ies|ew|own) (?:a|the) canary", "run_canary, run a canary"),
    Word(r"[Gg]atherings?", "importing"),
    Word(r"gather_\w+", "collect_…, import_…", code_only=True),
    Word(r"[Dd]ossiers?|\w+_dossiers?", "report_data"),
    Word(r"[Tt]all(?:y|ies)|\w+_tall(?:y|ies)|[A-Z]\w*Tally", "counters"),
    Word(r"[Uu]ndecoded|\w+_undecoded", "lazy items"),
    Word(r"key_texts?", "canonical_key"),
    Word(r"[Pp]atience|\w+_patience|patience_\w+", "outage, retry, timeout"),
    Word(r"crash points?", "failpoint"),
    Word(r"[Ww]eather|weather_\w+", "fault profile"),
    Word(r"[Aa]renas?|arena_\w+", "harness"),
    Word(r"[Ss]tretch(?:es)?(?:_\w+)?", "hash range"),
    Word(r"by_arms?|arms", "by_index", code_only=True),
    Word(r"[Dd]ispositions? of a page|settled pages?", "acknowledged"),
    Word(r"unlisten", "unsubscribe", code_only=True),
    Word(r"told|told_\w+", "on_change, what happens", code_only=True),
    Word(r"is_sure|sure", "assume_yes", code_only=True),
    # Riddles.
    Word(
        r"[Ww]hoever|[Ww]homever|[Ss]omebody|[Ss]omeone|[Nn]obody|[Ee]verybody|[Aa]nybody", "the actor's name"
    ),
    Word(
        r"(?:is|are|was|were|be|been) told (?:of|to|that|what|the|about)",
        "receives, is notified, what happens",
    ),
    # Archaisms, and sentences that read like a translation.
    Word(r"to be had|cannot be had|can be had", "available, in use"),
    Word(r"st(?:ands?|ood|anding) against", "prevents, problems found"),
    Word(r"by and by", "gradually"),
    Word(r"in peace", "alone, unaffected"),
    Word(r"(?:go|goes|went|gone|going) on with", "continue, resume"),
    Word(r"foretells?|foretold", "predicts, estimates"),
    Word(r"looked after|look after|looks after", "monitor"),
    Word(r"is to be (?:had|told)", "is available"),
    Word(r"only thought of", "does not exist yet"),
    Word(r"[Ww]herewith|[Hh]erewith|[Tt]hereof|[Ww]hereupon|[Hh]ence(?:forth)?|lest", "plain English"),
    Word(r"hardly any", "few"),
    Word(r"so much later", "after"),
)

# What stays to the letter, because other programs and older checkpoints know it: taken out of a line before the search.
KEPT = re.compile(
    r"""
      sitting_id | \bsittings?\s*\( | (?:FROM|INTO|TABLE|UPDATE|JOIN|EXISTS|ON)\s+sittings?\b
    | ["'`](?:sittings?|tally)["'`]
    | pytest\.mark\.\w+ | server\.listen\w* | asyncio\.gather
    """,
    re.VERBOSE,
)

_SEARCH = tuple((re.compile(rf"(?<![A-Za-z0-9_])(?:{word.pattern})(?![A-Za-z0-9_])"), word) for word in WORDS)


def search(path: str, text: str) -> Iterator[Found]:
    """The given-up words in `text`, the content of the file at `path` (relative to the root), and in its name."""
    code = path.endswith(".py")
    name = Path(path).stem.removeprefix("test_")
    lines = [KEPT.sub(" ", line) for line in (name.replace("-", "_"), *text.splitlines())]
    names = [_names_only(line) for line in lines] if code else []
    # Most texts have no match at all, which is fast to see.
    whole_lines, whole_names = "\n".join(lines), "\n".join(names)
    found = [
        (number, Found(path, number, match[0], word.instead))
        for pattern, word in _SEARCH
        if pattern.search(whole_names if word.code_only else whole_lines)
        for number, line in enumerate(names if word.code_only else lines)
        for match in pattern.finditer(line)
    ]
    yield from (one for _, one in sorted(found, key=itemgetter(0)))


def _names_only(line: str) -> str:
    """A line of Python without its comment and its quoted texts."""
    return re.sub(r"#.*|\"[^\"]*\"|'[^']*'", " ", line)


def files(where: tuple[str, ...] = SEARCHED, root: Path = ROOT) -> Iterator[Path]:
    """The files at and below these paths that hold our own words."""
    for place in where:
        path = root / place
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            relative = file.relative_to(root)
            if (
                file.is_file()
                and file.suffix in SUFFIXES
                and "results" not in relative.parts
                and "__pycache__" not in relative.parts
                and relative.as_posix() not in LEFT_OUT
            ):
                yield file


def find(where: tuple[str, ...] = SEARCHED, root: Path = ROOT) -> list[Found]:
    """Every given-up word at and below these paths."""
    return [
        found
        for file in files(where, root)
        for found in search(file.relative_to(root).as_posix(), file.read_text(errors="replace"))
    ]


if __name__ == "__main__":
    chosen = tuple(sys.argv[1:]) or SEARCHED
    everything = find(CLEAN if chosen == ("--clean",) else chosen)
    sys.stdout.writelines(f"{found}\n" for found in everything)
    sys.exit(1 if everything else 0)
