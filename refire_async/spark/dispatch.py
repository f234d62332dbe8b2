"""Call a function once per number, each in a Spark task of its own. Works with Spark Connect, which has no RDDs.

Spark may call it again for the same number, also at the same time: after an executor is lost, by speculation, or
while one that was taken for lost is still at work. So the function must keep its results where that does no harm.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

Work = Callable[[int], bytes]
"""Takes its number; returns a small result for the driver. It is pickled: it must hold no secrets."""

_SCHEMA = "task long, result binary"


def on_each(spark: "SparkSession", tasks: int, work: Work) -> list[bytes]:
    """The results of `work` for the numbers below `tasks`, in their order.

    Raises what pyspark raises when a task failed too often (`spark.task.maxFailures`).
    """
    numbers = spark.range(0, tasks, 1, tasks)  # a row in each of as many partitions
    rows = numbers.mapInArrow(partial(_run_partition, work), _SCHEMA).collect()
    return [bytes(row["result"]) for row in sorted(rows, key=lambda row: row["task"])]


def _run_partition(work: Work, batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """In a Python worker of an executor: `work` for each number of a partition."""
    import pyarrow as pa  # noqa: PLC0415 - the driver of a run does without

    schema = pa.schema([("task", pa.int64()), ("result", pa.binary())])
    for batch in batches:
        numbers = batch.column("id").to_pylist()
        yield pa.RecordBatch.from_arrays(
            [pa.array(numbers, pa.int64()), pa.array([work(number) for number in numbers], pa.binary())],
            schema=schema,
        )
