"""`python -m refire_async` is the same program as `refire`."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the program where it can run: its locks, signals and sockets are those of POSIX."""
    if sys.platform == "win32":
        sys.stderr.write("refire: Windows is not supported; use Linux or macOS, or WSL 2 on Windows\n")
        sys.exit(10)

    from refire_async.cli import main as run  # noqa: PLC0415 - cannot be imported on Windows

    run()


if __name__ == "__main__":
    main()
