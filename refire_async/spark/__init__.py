"""A run whose tasks are those of a Spark job. Needs pyspark (extra `spark`), which Glue and EMR bring."""

from refire_async.spark.driver import run

__all__ = ["run"]
