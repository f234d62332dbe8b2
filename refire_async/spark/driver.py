"""A run whose tasks are those of a Spark job: the driver starts them and returns the result of the run.

Everything that lasts is in the checkpoint table: Spark gets a number in, and an exit code out. So it does no harm that
Spark starts a task again, or twice at once: the second waits for the first, or continues where it was lost.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import orjson

from refire_async.engine.event_loop import run_loop
from refire_async.engine.run import prepare
from refire_async.engine.run import run as run_task
from refire_async.errors import (
    CheckpointRefusedError,
    ExitCode,
    RefireError,
    RefusedError,
    StoppedError,
    UsageError,
)
from refire_async.model.run import Result
from refire_async.settings import RunSettings
from refire_async.spark.dispatch import on_each

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ERRORS: dict[int, type[RefireError]] = {
    kind.exit_code: kind for kind in (UsageError, RefusedError, StoppedError, CheckpointRefusedError)
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended: `message` and `action` are those of its error, empty without one."""

    exit_code: int
    message: str = ""
    action: str = ""

    def to_bytes(self) -> bytes:
        """For Spark."""
        return orjson.dumps([self.exit_code, self.message, self.action])


class TaskStoppedError(Exception):
    """A task stopped and can be resumed. Spark starts it again, up to `spark.task.maxFailures` times."""


def run(spark: "SparkSession", settings: RunSettings) -> Result:
    """Touch what `settings` select, by tasks of a Spark job, and return the result of the whole run.

    `settings.checkpoint` is a DynamoDB table, `settings.tasks` the number of tasks. The workers have `refire_async`
    and find their own credentials, as the driver does: none are sent to them.

    Raises:
        RefireError: the run could not begin, or a task stopped too often; a later call with the same settings
            continues.
    """
    from py4j.protocol import Py4JJavaError  # noqa: PLC0415 - Spark brings it
    from pyspark.errors import PySparkException  # noqa: PLC0415

    tasks = settings.tasks
    if not tasks:
        raise UsageError("the number of tasks is missing", "set tasks; `plan` says how many")
    # Here, where the keys file may be: the tasks find the run, and their parts of its list, in the table.
    run_loop(partial(prepare, settings))
    try:
        rows = on_each(spark, tasks, partial(_run_task, settings))
    except (Py4JJavaError, PySparkException) as error:
        raise StoppedError(
            f"the Spark job ended before the run: {_first_line(error)}", "submit it again: it continues"
        ) from error
    for row in rows:
        outcome = Outcome(*orjson.loads(row))
        if outcome.exit_code in ERRORS:
            raise ERRORS[outcome.exit_code](outcome.message, outcome.action)
    # All tasks are done: the first one's result is that of the run.
    return run_loop(partial(run_task, replace(settings, task=0)))


def _run_task(settings: RunSettings, number: int) -> bytes:
    """In a Python worker of an executor: one task from its start, or from where an earlier try left it, to its end."""
    try:
        result = run_loop(partial(run_task, replace(settings, task=number)))
    except RefireError as error:
        outcome = Outcome(error.exit_code, error.message, error.action)
    else:
        outcome = Outcome(result.exit_code, result.reason or "")
    if outcome.exit_code == ExitCode.STOPPED:
        raise TaskStoppedError(f"task {number} stopped: {outcome.message}")
    return outcome.to_bytes()


def _first_line(error: Exception) -> str:
    """The line of an error of Spark that says what happened: the last one of a Python worker's traceback, if there is
    one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    ours = [line for line in lines if TaskStoppedError.__name__ in line]
    return (ours or lines or [type(error).__name__])[0][:300]
