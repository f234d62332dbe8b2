"""A job of AWS Glue 5 or 6 that runs `refire` on Spark. Its argument `--refire` is the rest of the command line.

Upload it to S3. The job gets refire with `--additional-python-modules` (README.md in this folder).
"""

import shlex
import sys

from awsglue.utils import getResolvedOptions

from refire_async.spark.job import main

sys.exit(main(shlex.split(getResolvedOptions(sys.argv, ["refire"])["refire"])))
