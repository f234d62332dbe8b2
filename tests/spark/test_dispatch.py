"""Each number has a Spark task of its own."""

import os
from typing import TYPE_CHECKING

from refire_async.spark.dispatch import on_each

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _double(number: int) -> bytes:
    """In an executor: another process than the driver."""
    return f"{number * 2} {os.getpid()}".encode()


def test_results_are_in_the_order_of_their_numbers(spark: "SparkSession") -> None:
    found = [row.split() for row in on_each(spark, 5, _double)]
    assert [int(value) for value, _ in found] == [0, 2, 4, 6, 8]
    assert os.getpid() not in {int(process) for _, process in found}
