"""Each number has a Spark task of its own, and is called again where an executor is lost."""

import os
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from refire_async.spark.dispatch import on_each

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _note(folder: str, number: int) -> bytes:
    """A line per call: process of the worker, and of its executor."""
    path = Path(folder, f"{number}")
    calls = len(path.read_text().splitlines()) if path.exists() else 0
    with path.open("a") as file:
        file.write(f"{os.getpid()}\n")
    if number == 1 and calls == 0:
        os.kill(executor_of(os.getpid()), signal.SIGKILL)
        signal.pause()
    return str(number * 10).encode()


def executor_of(pid: int) -> int:
    """The executor (a JVM) above a Python worker."""
    while Path(f"/proc/{pid}/comm").read_text().strip() != "java":
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


def test_a_lost_executor_runs_its_number_again(spark: "SparkSession", tmp_path: Path) -> None:
    """The results come in order, with one of each, though number 1 was called twice."""
    assert on_each(spark, 3, partial(_note, str(tmp_path))) == [b"0", b"10", b"20"]
    assert len((tmp_path / "1").read_text().splitlines()) == 2
