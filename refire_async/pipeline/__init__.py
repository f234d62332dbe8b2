"""Readers, lanes and write workers of one sitting. Retries live here and nowhere else."""

from refire_async.pipeline.context import Context
from refire_async.pipeline.patience import Patience
from refire_async.pipeline.run import run_pipeline
from refire_async.pipeline.stop import StopReason, StopRequest

__all__ = ["Context", "Patience", "StopReason", "StopRequest", "run_pipeline"]
