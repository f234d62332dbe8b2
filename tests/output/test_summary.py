"""The summary of a run as text: true numbers, and commands that can be pasted."""

import shlex

from hypothesis import given
from hypothesis import strategies as st

from refire_async.errors import ExitCode
from refire_async.model.run import DryRun, Result
from refire_async.output.summary import command_line, describe
from tests.output.samples import summary

COMPLETE = """\
Run run-1 of table orders: complete

  scanned   1,010
  touched   1,000  changed by this run: each emitted a record
  vanished     10  deleted by other writers during the run, left deleted
  2 of the touched were changed by other writers; no update was lost

  took      12 s, 84.2 items/s
  consumed  1,234 WCU, 67 RCU
  throttled 7, retries 3"""


def test_complete() -> None:
    """Outcomes without items are not listed, and no command is suggested."""
    done = summary(scanned=1010, touched=1000, vanished=10, conflicts=2)
    assert describe(Result(done, ExitCode.COMPLETE), resume_with="never") == COMPLETE


def test_stopped() -> None:
    """A stopped run says why and how to resume."""
    stopped = Result(summary("stopped", scanned=5, touched=5), ExitCode.INTERRUPTED, "interrupted")
    text = describe(stopped, resume_with="refire resume run-1")
    assert "because: interrupted" in text
    assert text.endswith("\n\nResume with: refire resume run-1")


def test_failed_items() -> None:
    """The file of the failed keys and the command for it; there is nothing to resume."""
    failed = summary(scanned=5, touched=3, failed=2, failed_keys_file="/state/failed.jsonl")
    text = describe(
        Result(failed, ExitCode.SOME_FAILED),
        resume_with="never",
        rerun_failed_with="refire run --table orders --keys-file /state/failed.jsonl",
    )
    assert "failed    2  could not be touched" in text
    assert "reasons: /state/failed.jsonl" in text
    assert text.endswith(
        "To retry them once the causes are fixed: refire run --table orders --keys-file /state/failed.jsonl"
    )
    assert "never" not in text


def test_dry_run() -> None:
    """A dry run shows the cost, and says that it wrote nothing and whether there is more."""
    looked = Result(
        summary("dry-run", scanned=10),
        ExitCode.COMPLETE,
        dry_run=DryRun(items=10, wcu=20.0, rcu=1.5, more=True),
    )
    text = describe(looked, resume_with="never")
    assert "nothing was written" in text
    assert "10 items in what was read; there are more" in text
    assert "20 WCU to write, 1.5 RCU to read" in text
    assert "never" not in text
    whole = Result(
        summary("dry-run"), ExitCode.COMPLETE, dry_run=DryRun(items=10, wcu=20.0, rcu=1.5, more=False)
    )
    assert "there is more" not in describe(whole, resume_with="never")


@given(st.text(min_size=1), st.text(min_size=1))
def test_commands_survive_a_shell(run_id: str, path: str) -> None:
    """For any name the pasted line gives the same arguments, and values are never parsed as options."""
    line = command_line("resume", run_id, options=[("--checkpoint", path), ("--region", None)])
    words = shlex.split(line)
    assert words[:3] == ["refire", "resume", run_id]
    assert words[3:] in (["--checkpoint", path], [f"--checkpoint={path}"])
    assert len(words) == (4 if path.startswith("-") else 5)
