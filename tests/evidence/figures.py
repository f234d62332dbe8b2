"""Sums over all cases of what was tried and found: the figures in the README."""

import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.test_bad_input import BAD
from tests.evidence.harness import Report
from tests.support.cli import CODE

MUST_BE_ZERO = ("missing", "doubled", "lost_updates", "brought_back", "other_violations")


LEAST_CONFLICTS = 1.0


@dataclass(slots=True)
class Figures:
    """Sums. `violations` has each broken promise with the seed of its case."""

    cases: int = 0
    attempts: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    hot_cases: int = 0
    conflicts: int = 0
    bad_inputs: int = 0
    items: int = 0
    records: int = 0
    touches: int = 0
    taken_back: int = 0
    overtaken: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def add(self, report: Report) -> None:
        """Add a case."""
        verdict = report.verdict
        self.cases += 1
        self.attempts += report.attempts
        self.kills.update(_kind_of_kill(kill) for kill in report.kills)
        self.faults.update(report.faults)
        self.writes.update(report.writes)
        self.hot_cases += report.case.hot > 0
        self.conflicts += report.conflicts
        self.items += verdict.items
        self.records += verdict.records
        self.touches += verdict.touches
        self.taken_back += verdict.taken_back
        self.overtaken += verdict.overtaken
        found = (verdict.missing, verdict.doubled, verdict.lost, verdict.revived, verdict.other)
        self.broken.update({name: len(texts) for name, texts in zip(MUST_BE_ZERO, found, strict=True)})
        self.violations += [f"seed {report.case.seed}: {text}" for text in verdict.violations]

    @property
    def reaches_conflicts(self) -> bool:
        """Whether items were touched in second attempts, on average `LEAST_CONFLICTS` for each case with hot items.

        Otherwise there is no evidence of what a run does after a conflict.
        """
        return self.conflicts >= LEAST_CONFLICTS * self.hot_cases

    def line(self) -> str:
        """One line of progress."""
        return (
            f"cases {self.cases:,}  kills {self.kills.total():,}  faults {self.faults.total():,}  "
            f"other writes {self.writes.total():,}  items {self.items:,}  violations {len(self.violations):,}"
        )

    def to_json(self) -> dict[str, Any]:
        """All figures as plain values."""
        return {
            "cases": self.cases,
            "attempts": self.attempts,
            "kills_tried": self.kills.total(),
            "faults_injected": self.faults.total(),
            "writes_by_others": self.writes.total(),
            "touched_after_a_conflict": self.conflicts,
            "bad_inputs_tried": self.bad_inputs,
            "items_checked": self.items,
            "stream_records_checked": self.records,
            "touches": self.touches,
            **{name: self.broken[name] for name in MUST_BE_ZERO},
            "second_touches_of_markers_taken_back": self.taken_back,
            "second_touches_after_an_exports_marker": self.overtaken,
            "kills": dict(sorted(self.kills.items())),
            "faults": dict(sorted(self.faults.items())),
            "writes": dict(sorted(self.writes.items())),
        }


def _kind_of_kill(kill: str) -> str:
    return "at a random time" if " after " in kill else kill.partition(":")[0]


def try_bad_inputs(figures: Figures) -> None:
    """Run the real program with every bad input of the tests' table: one line, exit code 2, no output."""
    with tempfile.TemporaryDirectory() as folder:
        for name, (arguments, variables, _hint) in BAD.items():
            environment = {
                "PATH": "/usr/bin:/bin",
                "HOME": folder,
                "XDG_STATE_HOME": folder,
                "PYTHONPATH": str(CODE),
                "AWS_EC2_METADATA_DISABLED": "true",
                **variables,
            }
            command = [sys.executable, "-m", "refire_async", *arguments]
            ended = subprocess.run(
                command,
                env=environment,
                cwd=Path(folder),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            figures.bad_inputs += 1
            if ended.returncode != 2 or ended.stdout or len(ended.stderr.splitlines()) != 1:
                figures.broken["other_violations"] += 1
                figures.violations.append(f"bad input '{name}': {ended.returncode} {ended.stderr[:500]}")
