"""`refire spark-submit`: print or run the command that starts a run as a Spark job."""

import math
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import refire_async
from refire_async.cli import options
from refire_async.cli.help import Command
from refire_async.cli.params import OneOf, Whole, Word
from refire_async.cli.streams import print_result
from refire_async.errors import RefusedError, UsageError

SCRIPT = Path(refire_async.__file__).parent / "spark" / "job.py"

MOST_FAILURES = 10
"""Times that Spark starts a task again: each continues, so that a lost machine costs seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What `spark-submit` gets besides the words of the run. `tasks_per_executor` is the number of its cores."""

    words: tuple[str, ...]
    tasks: int
    tasks_per_executor: int = 4
    master: str | None = None
    deploy_mode: str | None = None
    archive: str | None = None
    script: str = str(SCRIPT)


def command_line(job: Job) -> list[str]:
    """The words of the command. Pure."""
    settings = {
        "spark.executor.cores": job.tasks_per_executor,
        "spark.executor.instances": math.ceil(job.tasks / job.tasks_per_executor),
        # Idle executors stay, for tasks that start again; a second copy of a task would only wait for the first.
        "spark.dynamicAllocation.enabled": "false",
        "spark.speculation": "false",
        "spark.task.maxFailures": MOST_FAILURES,
    }
    words = ["spark-submit"]
    if job.master is not None:
        words += ["--master", job.master]
    if job.deploy_mode is not None:
        words += ["--deploy-mode", job.deploy_mode]
    if job.archive is not None:
        words += ["--archives", f"{job.archive}#environment"]
        python = "./environment/bin/python"
        settings |= {
            "spark.executorEnv.PYSPARK_PYTHON": python,
            "spark.yarn.appMasterEnv.PYSPARK_PYTHON": python,
        }
    for name, value in settings.items():
        words += ["--conf", f"{name}={value}"]
    return [*words, job.script, *job.words]


@click.command(
    "spark-submit",
    cls=Command,
    context_settings={"allow_interspersed_args": False},
    examples=(
        (
            "Print the command",
            "refire spark-submit run -t orders --checkpoint dynamodb://runs/x --tasks 8",
        ),
        (
            "Run it, with the options in a file",
            "refire spark-submit --master yarn --execute run --config orders.toml",
        ),
    ),
)
@click.argument("words", metavar="run OPTIONS", nargs=-1, type=click.UNPROCESSED)
@options.option(
    "Spark",
    "--master",
    Word("URL", options.ANY_TEXT, "the URL of a master", "for example --master yarn"),
    "As of spark-submit; default: from Spark's own configuration.",
)
@options.option(
    "Spark",
    "--deploy-mode",
    OneOf("MODE", "client", "cluster"),
    "Where the driver runs; default: from Spark's own configuration.",
)
@options.option(
    "Spark",
    "--tasks-per-executor",
    Whole("N", "--tasks-per-executor 4", 1, 64),
    "Tasks at once in an executor: its cores.",
    default="4",
)
@options.option(
    "Spark",
    "--archive",
    Word("URI", options.ANY_TEXT, "an archive", "for example --archive s3://bucket/refire-venv.tar.gz"),
    "A packed virtual environment with refire-async (venv-pack), for workers that lack it.",
)
@options.flag("Spark", "--execute", "Run the command instead of printing it.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Start a run whose tasks are those of a Spark job.

    Prints the spark-submit command, or runs it. The words of the run are those of refire run; it needs a checkpoint
    in a DynamoDB table, and --tasks.
    """
    words = tuple(given["words"])
    job = Job(
        words=words,
        tasks=_tasks(ctx, words),
        tasks_per_executor=given["tasks_per_executor"],
        master=given["master"],
        deploy_mode=given["deploy_mode"],
        archive=given["archive"],
    )
    line = command_line(job)
    if not given["execute"]:
        print_result(shlex.join(line))
        return 0
    try:
        os.execvp(line[0], line)  # noqa: S606 - the user's own Spark
    except OSError as error:
        raise RefusedError(
            f"spark-submit cannot be started: {error.strerror}",
            "install Spark (pip install 'refire-async[spark]'), or print the command without --execute",
        ) from None


def _tasks(ctx: click.Context, words: tuple[str, ...]) -> int:
    """The number of tasks of a run that can be a Spark job. Raises UsageError, also for what `run` would refuse."""
    if not words or words[0] != "run":
        raise UsageError(
            "give the run that Spark is to start", "for example: refire spark-submit run --table orders …"
        )
    parent = ctx.parent
    assert parent is not None  # noqa: S101 - the program's group
    group = parent.command
    assert isinstance(group, click.Group)  # noqa: S101
    run = group.get_command(parent, "run")
    assert run is not None  # noqa: S101
    with run.make_context("run", list(words[1:]), parent=parent) as found:
        if not str(found.params.get("checkpoint") or "").startswith("dynamodb:"):
            raise UsageError(
                "the tasks of a Spark job share a checkpoint in a DynamoDB table",
                "name it with --checkpoint dynamodb://TABLE/RUN_ID",
            )
        tasks = found.params.get("tasks")
        if not tasks:
            raise UsageError(
                "the number of tasks is missing", "give --tasks N; 'refire plan --on emr' says how many"
            )
        if found.params.get("task") is not None:
            raise UsageError("--task is for one task, and Spark starts all of them", "leave it out")
        return int(tasks)
