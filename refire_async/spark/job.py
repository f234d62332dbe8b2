"""The driver's script: `spark-submit job.py run --table …` (Glue, EMR: docs/deploy)."""

import sys
from collections.abc import Sequence

import click

from refire_async.cli import program
from refire_async.cli.exit_codes import guarded
from refire_async.cli.parsed_options import RunOptions
from refire_async.cli.run import make_settings
from refire_async.cli.streams import write_json


def main(words: Sequence[str]) -> int:
    """Run `refire run …` on the Spark session of this driver, and return the exit code."""
    return guarded(lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    from pyspark.sql import SparkSession  # noqa: PLC0415 - Spark brings it

    from refire_async.cli.session import json_line  # noqa: PLC0415 - brings the engine
    from refire_async.spark.driver import run  # noqa: PLC0415

    command = program.get_command(click.Context(program), words[0] if words else "")
    assert command is not None  # noqa: S101
    with command.make_context("run", list(words[1:]), parent=click.Context(program)) as context:
        settings = make_settings(context, RunOptions(**context.params))
    result = run(SparkSession.builder.getOrCreate(), settings)
    write_json(json_line(result))
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
