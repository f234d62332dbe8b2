"""`python -m benchmarks`."""

from benchmarks.framework.cli import main

if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
