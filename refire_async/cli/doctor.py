"""`refire doctor`: collect what the report of a problem needs in one file."""

import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refire_async.cli import options
from refire_async.cli.config import EffectiveOption, effective_options
from refire_async.cli.help import Command
from refire_async.cli.options_to_settings import make_connection
from refire_async.cli.params import ExistingFile, FilePath, Word
from refire_async.cli.parsed_options import DoctorOptions
from refire_async.cli.streams import print_json, print_result
from refire_async.errors import RefireError, UsageError
from refire_async.private import replacing

if TYPE_CHECKING:
    from refire_async.diagnosis.report import Setting


@click.command(
    "doctor",
    cls=Command,
    unexpected="one table at a time",
    examples=(
        ("Versions, settings and the last run, without a call to AWS", "refire doctor"),
        ("The same and which calls about a table work", "refire doctor orders --region eu-west-1"),
    ),
)
@click.argument(
    "table",
    metavar="[TABLE]",
    required=False,
    type=Word(
        "TABLE",
        r"[a-zA-Z0-9_.-]{3,255}|arn:[^\s]+:table/[a-zA-Z0-9_.-]{3,255}",
        "the name of a table (3 to 255 of a-z, A-Z, 0-9, _ . -)",
        "for example refire doctor orders",
    ),
)
@options.connection
@options.option(
    "Run", "--checkpoint", ExistingFile("FILE"), "Checkpoint file of the run; default: the newest run."
)
@options.option(
    "Run",
    "--log",
    ExistingFile("FILE"),
    "Log file of the run, or the output of its --json; default: the --log-file of refire run.",
)
@options.option(
    "Output", "--out", FilePath("FILE"), "Output file; default refire-doctor-TIME.json in this folder."
)
@options.json_output
@click.pass_context
def command(ctx: click.Context, /, table: str | None, **given: Any) -> int:
    """Collect what a bug report needs in one file: versions, settings, the last run, which calls work.

    Only numbers and words that refire knows are in it: no names, keys, items, paths or credentials. Read it before
    you attach it. Without TABLE nothing is sent to AWS; with it, calls that read only.
    """
    parsed = DoctorOptions(**given)
    settings, log_file = _settings(ctx)

    from refire_async.diagnosis import report  # noqa: PLC0415 - slow to import, not needed to show help
    from refire_async.diagnosis.last_run import newest_checkpoint  # noqa: PLC0415
    from refire_async.engine.event_loop import run_loop  # noqa: PLC0415

    request = report.Request(
        connection=make_connection(parsed),
        table=table,
        checkpoint=parsed.checkpoint or newest_checkpoint(),
        log_file=parsed.log or log_file,
        settings=settings,
    )
    diagnosis = run_loop(partial(report.diagnose, request))
    path = parsed.out or Path(time.strftime("refire-doctor-%Y%m%dT%H%M%SZ.json", time.gmtime()))
    _write(path, report.to_text(diagnosis))
    if parsed.json:
        import orjson  # noqa: PLC0415 - not needed to show help

        print_json(orjson.dumps({"file": str(path)}).decode())
    else:
        print_result("\n".join([*_outcome(diagnosis), f"Written to {path}: {report.CONTENTS}.", _ADVICE]))
    return 0


_ADVICE = "Read it before you attach it to an issue."


def _settings(ctx: click.Context) -> tuple["list[Setting] | str", Path | None]:
    """The options of `run` that are set, or the name of the error that they raise; and its log file."""
    from refire_async.diagnosis.report import Setting  # noqa: PLC0415 - slow to import, not needed to show help

    def make(option: EffectiveOption) -> Setting:
        return Setting(option.name, option.source, option.value, option.words)

    try:
        _, _, found = effective_options(ctx, "run")
    except RefireError as error:
        return type(error).__name__, None
    logs = [one.value for one in found if one.name == "log-file" and one.value is not None]
    return [make(one) for one in found if one.source != "default"], Path(logs[0]) if logs else None


def _outcome(diagnosis: dict[str, Any]) -> list[str]:
    """What was asked of AWS, in a line or two."""
    if diagnosis["session"] is None:
        return ["Nothing was sent to AWS; name a table to try calls about it: refire doctor TABLE"]
    if diagnosis["probes"] is None:
        return [f"AWS was not asked: {diagnosis['session']}"]
    counts = Counter(probe["outcome"] for probe in diagnosis["probes"])
    described = (f"{number} {outcome.replace('works', 'work')}" for outcome, number in counts.items())
    return [f"Calls about the table: {', '.join(described)}"]


def _write(path: Path, text: bytes) -> None:
    try:
        with replacing(path) as file:
            file.write(text)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "choose another place with --out"
        ) from None
