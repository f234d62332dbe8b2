"""`python -m benchmarks`."""

import signal

from benchmarks.framework.cli import main

if __name__ == "__main__":
    # As Ctrl-C: children are stopped and scratch folders go away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main(prog_name="python -m benchmarks")
