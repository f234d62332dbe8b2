"""`python -m refire_async` is the same program as `refire`."""

from refire_async.cli import main

if __name__ == "__main__":
    main()
