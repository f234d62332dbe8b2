"""The readers, lanes and write workers of one attempt. Only this package retries requests of the data plane."""

from refire_async.pipeline.context import Context
from refire_async.pipeline.run import run_pipeline

__all__ = ["Context", "run_pipeline"]
