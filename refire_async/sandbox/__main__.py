"""``python -m refire_async.sandbox``: the child process of ``SandboxProcess``. Users run ``refire sandbox``."""

import sys

from refire_async.sandbox.process import run_child

if __name__ == "__main__":
    sys.exit(run_child())
