"""Runs a case against a real DynamoDB: the command line as a child process, killed, resumed, and judged."""

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refire_async.failpoints import VARIABLE
from tests.evidence.case import KILL_WITHIN_S, Case, Kill
from tests.evidence.judge import Evidence, Verdict, judge
from tests.evidence.rows import INDEXES, KEYS, SELECTIONS, row
from tests.evidence.writers import MIX, Writers
from tests.support.backends import Backend
from tests.support.cli import PROGRAM, Cli, Result, Running
from tests.support.judge import SUMMARY_FIELDS, counted_up, stamped
from tests.support.processes import children_of, wait_until_gone
from tests.support.streams import Change
from tests.support.tables import Identity, Table, create_table

RUN_ID = "the-run"
MOST_ATTEMPTS = 12
"""A run that is not complete after this many attempts, most of them undisturbed, does not end by itself."""

LONGEST_S = 240.0
POLL_S = 0.002


@dataclass(slots=True)
class Report:
    """The result of a case."""

    case: Case
    verdict: Verdict = field(default_factory=Verdict)
    attempts: int = 0
    kills: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    conflicts: int = 0
    """Items that were touched in a second or later attempt, after another writer had changed their marker."""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether every promise was kept."""
        return not self.verdict.violations


class Harness:
    """One case. `program` is the program to judge; tests of the judge use others than `refire`."""

    def __init__(self, backend: Backend, folder: Path, case: Case, program: Sequence[str] = PROGRAM) -> None:
        self._backend = backend
        self._case = case
        self._draw = random.Random(f"harness/{case.seed}")
        home = folder / "home"
        home.mkdir()
        self._cli = Cli(home, backend.url, backend.access_key, program=program)
        self._folder = folder
        self._checkpoint = home / "run.refire"
        self._report = Report(case)
        self._selected = 0

    def run(self) -> Report:
        """Run the case and judge it. Its evidence stays in the folder if a promise was broken."""
        started = time.monotonic()
        case, report = self._case, self._report
        table = create_table(
            self._backend, *KEYS, prefix="evidence", indexes=INDEXES, capacity=self._capacity()
        )
        try:
            draw = random.Random(f"rows/{case.seed}")
            table.fill(row(number, draw) for number in range(case.items))
            stream = table.stream()
            stream.read()
            before = table.items()
            arguments = self._arguments(table, before)
            with self._faults(table):
                writers = self._writers(table, before)
                with writers.writing() if case.live else contextlib.nullcontext():
                    last = self._run_to_the_end(arguments)
            report.writes = writers.done
            changes: dict[Identity, list[Change]] = {}
            for change in stream.read():
                changes.setdefault(table.identity(change.key), []).append(change)
            evidence = Evidence(
                before=before,
                after=table.items(),
                changes=changes,
                writes=writers.writes,
                selected=SELECTIONS[case.selection].selects,
                marker=case.attribute,
                touch=counted_up if case.marker == "revision" else stamped(RUN_ID),
                fragile=case.fragile,
                older=case.selection == "export",
            )
            report.verdict = judge(evidence)
            self._check_end(last)
            if not report.passed:
                dump(self._folder, evidence, report)
        finally:
            table.delete()
            self._cli.close()
        report.seconds = time.monotonic() - started
        return report

    def _capacity(self) -> int | None:
        return self._case.capacity if self._case.live else None

    def _writers(self, table: Table, before: dict[Identity, Any]) -> Writers:
        case = self._case
        mix = {kind: share for kind, share in MIX.items() if kind != "revise" or case.marker == "revision"}
        rate = max(1.0, case.live * case.capacity)
        selected = filter(SELECTIONS[case.selection].selects, before.values())
        hot = list(itertools.islice(selected, case.hot))
        return Writers(table, list(before.values()), case.attribute, rate, case.seed, mix, hot=hot)

    def _arguments(self, table: Table, before: dict[Identity, Any]) -> tuple[str, ...]:
        case = self._case
        chosen = SELECTIONS[case.selection]
        self._selected = sum(map(chosen.selects, before.values()))
        selection = chosen.arguments(list(before.values()), self._folder, table)
        if chosen.segmented:
            selection += ("--segments", str(case.segments))
        named = ("--run-id", RUN_ID, "--checkpoint", str(self._checkpoint))
        return ("run", "--table", table.name, *selection, "--marker", case.marker, *named)

    def _options(self) -> tuple[str, ...]:
        """Options of this attempt, which may differ between attempts. Slow enough for kills to hit a run at work."""
        case = self._case
        by_time = sum(kill.after_s > 0 for kill in case.kills)
        rate = max(20.0, self._selected / (0.5 + KILL_WITHIN_S * by_time + bool(case.live)))
        return (
            *("--json", "--max-rate", f"{rate:g}", "--writer", case.writer),
            *(("--max-rcu", str(case.max_rcu)) if case.max_rcu else ()),
            *("--workers", str(self._draw.choice([1, 3, 8]))),
            *(("--processes", str(case.processes)) if case.processes > 1 else ()),
        )

    @contextlib.contextmanager
    def _faults(self, table: Table) -> Iterator[None]:
        if not (self._case.faults or self._case.slow_lookup or self._case.live):
            yield
            return
        _put_faults(self._backend.url, self._case.fault_file(table.name))
        try:
            yield
            for fault in _get_stats(self._backend.url)["faults"]:
                self._report.faults[fault["kind"]] += fault["struck"]
        finally:
            _put_faults(self._backend.url, {})

    def _run_to_the_end(self, arguments: tuple[str, ...]) -> Result:
        kills = list(self._case.kills)
        while self._report.attempts < MOST_ATTEMPTS:
            self._report.attempts += 1
            kill = kills.pop(0) if kills else None
            result = self._attempt(arguments, kill)
            if result.code in (0, 4) or "is complete" in result.stderr:
                return result
        return result

    def _attempt(self, arguments: tuple[str, ...], kill: Kill | None) -> Result:
        """One attempt: the run again (which resumes if there is a checkpoint), or a resume."""
        if self._checkpoint.exists() and self._draw.random() < 0.7:
            arguments = ("resume", "--checkpoint", str(self._checkpoint))
        variables = {VARIABLE: f"{kill.point}:{kill.count}"} if kill is not None and kill.point else {}
        known = self._checkpoint.exists()
        child = self._cli.start(*arguments, *self._options(), env=variables)
        if kill is not None and (kill.interrupt or not kill.point):
            self._wait_until_due(child, kill, known=known)
            if kill.interrupt and not child.ended:
                child.signal(signal.SIGINT)
            if not kill.point:
                self._kill(child, kill)
        family: set[int] = set()
        while not child.ended:
            family.update(children_of(child.process.pid))
            if time.monotonic() - child.started > LONGEST_S:
                break
            time.sleep(POLL_S * 5)
        result = child.wait(timeout_s=1.0)
        wait_until_gone(sorted(family))
        if kill is not None and kill.point:
            deaths = (result.code == -signal.SIGKILL) + result.stderr.count("process.replaced")
            self._report.kills += [str(kill)] * deaths
        return result

    def _wait_until_due(self, child: Running, kill: Kill, *, known: bool) -> None:
        """Wait for `kill.after_s` seconds after the work began, or until the attempt has ended."""
        while not (child.ended or self._has_begun(known=known, child=child)):
            time.sleep(POLL_S)
        until = time.monotonic() + kill.after_s
        while not child.ended and time.monotonic() < until:
            time.sleep(POLL_S)

    def _kill(self, child: Running, kill: Kill) -> None:
        parent, children = child.process.pid, sorted(children_of(child.process.pid))
        victims = children[:1] if kill.victim == "child" and children else [parent]
        if kill.victim == "both":
            victims = [parent, *children]
        for victim in victims:
            if not child.ended:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    self._report.kills.append(str(kill))

    def _has_begun(self, *, known: bool, child: Running) -> bool:
        """Whether a new checkpoint exists; for a known one, whether the log says that the run began."""
        if known:
            return b"run." in child.stderr.read_bytes()
        return self._checkpoint.exists()

    def _check_end(self, last: Result) -> None:
        """Check that the run completed, and that its summary adds up and agrees with the stream."""
        verdict = self._report.verdict
        if "is complete" in last.stderr and last.code == 11:
            return  # killed between the end of the run and its summary
        if last.code != 0:
            verdict.other.append(f"ended with {last.code}: {last.stderr[-2000:]}")
            return
        summary = last.json
        if tuple(summary) != SUMMARY_FIELDS or summary["status"] != "complete":
            verdict.other.append(f"odd summary {summary}")
        self._report.conflicts = summary["conflicts"]
        outcomes = sum(summary[name] for name in ("touched", "already", "vanished", "expired", "failed"))
        if summary["scanned"] != outcomes or summary["failed"]:
            verdict.other.append(f"does not add up: {summary}")
        most = summary["touched"] + summary["already"] + summary["vanished"]
        if not (summary["touched"] <= verdict.touches and verdict.touched <= most):
            described = f"{verdict.touches} touches of {verdict.touched} items in the stream"
            verdict.other.append(f"{described}, but {summary}")
        if verdict.by_others > summary["already"]:
            verdict.other.append(f"{verdict.by_others} items were fired by others alone, but {summary}")


def dump(folder: Path, evidence: Evidence, report: Report) -> None:
    """Write the evidence of a case to files, for debugging: `case.json`, `stream.jsonl` and the items."""

    def lines(name: str, values: Iterator[Any]) -> None:
        (folder / name).write_text("".join(json.dumps(value, default=str) + "\n" for value in values))

    described = {**report.case.describe(), "killed": report.kills, "violations": report.verdict.violations}
    (folder / "case.json").write_text(json.dumps(described, indent=1, default=str))
    lines("before.jsonl", iter(evidence.before.values()))
    lines("after.jsonl", iter(evidence.after.values()))
    lines("writes.jsonl", ([w.kind, w.token, sorted(w.identity), w.acknowledged] for w in evidence.writes))
    lines(
        "stream.jsonl",
        ([c.event, c.key, c.old, c.new] for changes in evidence.changes.values() for c in changes),
    )


def carry_out(
    backend: Backend, folder: Path, case: Case, program: Sequence[str] = PROGRAM, *, keep: bool = False
) -> Report:
    """Run a case in its own folder, which is removed if the case passed, and without `keep`."""
    own = folder / f"case-{case.seed}"
    own.mkdir(parents=True)
    try:
        report = Harness(backend, own, case, program).run()
    except (AssertionError, TimeoutError) as error:  # no end by itself, a secret in a file, a write refused
        report = Report(case, Verdict(other=[f"{type(error).__name__}: {error}"]))
        (own / "case.json").write_text(
            json.dumps({**case.describe(), "violations": report.verdict.violations})
        )
    if report.passed or not keep:
        shutil.rmtree(own)
    return report


def _put_faults(url: str, document: dict[str, Any]) -> None:
    request = urllib.request.Request(f"{url}/_sandbox/faults", json.dumps(document).encode(), method="PUT")
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


def _get_stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/_sandbox/stats", timeout=10) as answer:
        stats = json.load(answer)
    assert isinstance(stats, dict)
    return stats
