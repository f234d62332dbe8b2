"""Readers, lanes and write workers of one sitting. Retries live here and nowhere else."""

from refire_async.pipeline.context import Context
from refire_async.pipeline.outage import Outage
from refire_async.pipeline.run import run_pipeline

__all__ = ["Context", "Outage", "run_pipeline"]
