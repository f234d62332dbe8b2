"""`python -m benchmarks.framework.sampled FILE …` is `refire …` with its CPU time sampled into FILE.

`FILE --module NAME …` is `python -m NAME …` in the same way.

Every millisecond of CPU time the timer's signal looks where the main thread is. A call into C shows as the line that
called it. Unlike cProfile this hardly slows down what it looks at. FILE gets one line per stack, frames from the
outermost to the innermost, and its number of samples: the collapsed form that flame graphs are made of.
"""

from __future__ import annotations

import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

PERIOD_S = 0.001


def frame_name(frame: FrameType) -> str:
    """`module:function:line`."""
    module = frame.f_globals.get("__name__", "?")
    return f"{module}:{frame.f_code.co_name}:{frame.f_lineno}"


def main() -> int:
    """Run the command line, or a module, to its end under the timer."""
    stacks: Counter[tuple[str, ...]] = Counter()

    def look(_number: int, frame: FrameType | None) -> None:
        names = []
        while frame is not None:
            names.append(frame_name(frame))
            frame = frame.f_back
        stacks[tuple(reversed(names))] += 1

    path = Path(sys.argv.pop(1))
    from refire_async.cli import main as refire  # noqa: PLC0415 - imports are no part of the profile

    signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, PERIOD_S, PERIOD_S)
    try:
        if sys.argv[1:2] == ["--module"]:
            name = sys.argv[2]
            del sys.argv[1:3]
            runpy.run_module(name, run_name="__main__", alter_sys=True)
            return 0
        return refire()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        path.write_text("".join(f"{';'.join(stack)} {count}\n" for stack, count in stacks.items()))


if __name__ == "__main__":
    sys.exit(main())
