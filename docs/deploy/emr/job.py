"""`refire` on Spark, as a step of EMR or a job of EMR Serverless. The arguments are the rest of the command line."""

import sys

from refire_async.spark.job import main

sys.exit(main(sys.argv[1:]))
