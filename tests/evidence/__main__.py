"""`python -m tests.evidence [--minutes 20] [--seed N] [--json FILE]`: evidence that the promises hold, in figures.

Draws cases one after the other, from seed N on: a table, a selection, a marker, a writer; kills at failpoints and at
random times; faults; an application that writes to the same table. Runs each with the real command line until it is
complete, then replays its whole stream. Exit code 1 if a promise was broken: the seed is printed, and the case's
checkpoint, logs and stream are kept. Exit code 1 too if too few items were touched after a conflict.
`--seed N --cases 1` repeats one case (the same plan; times differ).
"""

import argparse
import contextlib
import itertools
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from refire_async.sandbox.config import SandboxConfig
from refire_async.sandbox.process import SandboxProcess
from tests.evidence.case import draw_case
from tests.evidence.figures import MUST_BE_ZERO, Figures, try_bad_inputs
from tests.evidence.harness import carry_out
from tests.support.backends import connected


class EvidenceRun:
    """Cases from a seed on, a few at a time, each job with its own sandbox."""

    def __init__(self, seeds: Iterable[int], folder: Path, *, seconds: float, loud: bool) -> None:
        self.figures = Figures()
        self._seeds = iter(seeds)
        self._folder = folder
        self._deadline = time.monotonic() + seconds
        self._started = time.monotonic()
        self._loud = loud
        self._lock = threading.Lock()

    def run(self, jobs: int) -> Figures:
        """Run cases until the time is over or the cases are done."""
        with ThreadPoolExecutor(jobs) as pool:
            for ended in [pool.submit(self._work) for _ in range(jobs)]:
                ended.result()
        return self.figures

    def _take(self) -> int | None:
        with self._lock:
            return next(self._seeds, None) if time.monotonic() < self._deadline else None

    def _work(self) -> None:
        with SandboxProcess(SandboxConfig()) as sandbox, connected("sandbox", sandbox.url) as backend:
            while (seed := self._take()) is not None:
                report = carry_out(backend, self._folder, draw_case(seed), keep=True)
                with self._lock:
                    self.figures.add(report)
                    self._report_progress(report.passed, seed)

    def _report_progress(self, passed: bool, seed: int) -> None:
        if not self._loud:
            return
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        end = "\r" if sys.stderr.isatty() and passed else "\n"
        sys.stderr.write(f"{minutes:02}:{seconds:02}  {self.figures.line()}{end}")
        if not passed:
            sys.stderr.write(f"seed {seed} broke a promise; see {self._folder / f'case-{seed}'}\n")
        sys.stderr.flush()


def collect(seeds: Iterable[int], *, minutes: float, folder: Path, jobs: int, loud: bool = False) -> Figures:
    """Run cases for some minutes, or until the seeds are used up, `jobs` at a time. Failed ones stay in `folder`."""
    return EvidenceRun(seeds, folder, seconds=minutes * 60, loud=loud).run(jobs)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.evidence", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long (default 20)")
    parser.add_argument("--seed", type=int, default=None, help="the first case; drawn if left out")
    parser.add_argument("--cases", type=int, default=None, help="end after this many cases")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time (default 2)")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the figures there too")
    parser.add_argument("--keep", type=Path, default=None, metavar="DIR", help="where failing cases are kept")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**9) if given.seed is None else given.seed
    folder = given.keep or Path(tempfile.mkdtemp(prefix="refire-evidence-"))
    sys.stderr.write(f"from seed {seed}\n")
    seeds = itertools.count(seed) if given.cases is None else range(seed, seed + given.cases)
    figures = collect(seeds, minutes=given.minutes, folder=folder, jobs=given.jobs, loud=True)
    try_bad_inputs(figures)
    figures_json = {"seed": seed, "minutes": given.minutes, **figures.to_json()}
    sys.stdout.write(json.dumps(figures_json, indent=1) + "\n")
    if given.json is not None:
        given.json.write_text(json.dumps(figures_json, indent=1) + "\n")
    for violation in figures.violations[:50]:
        sys.stderr.write(f"{violation}\n")
    failed = any(figures.broken[name] for name in MUST_BE_ZERO) or not figures.cases
    if not figures.reaches_conflicts:
        sys.stderr.write(
            f"only {figures.conflicts} items were touched after a conflict in {figures.hot_cases} cases with hot items:"
            " this is no evidence for what comes after one\n"
        )
        failed = True
    if not failed:
        with contextlib.suppress(OSError):
            folder.rmdir()  # empty: nothing was kept
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
