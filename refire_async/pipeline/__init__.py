"""The readers, lanes and write workers of one process. Of the data plane's requests, only this package retries any."""

from refire_async.pipeline.context import Context, Sizes
from refire_async.pipeline.run import run_pipeline

__all__ = ["Context", "Sizes", "run_pipeline"]
