"""Signals while a loop runs, and after: what ends the program in the end is its outcome, not a late signal."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HANDLED = (*ENDING, signal.SIGUSR1, signal.SIGTSTP)


def ending_signals() -> tuple[signal.Signals, ...]:
    """Those that end a run in good order. A SIGHUP that is ignored, as `nohup` has it, stays ignored."""
    return tuple(
        number for number in ENDING if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    )


@contextmanager
def taking(numbers: tuple[signal.Signals, ...], tell: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call `tell` on the running loop for each of these signals that comes within the block.

    When the block ends they are ignored: what the program has to say stands, and its exit code is not to become that
    of a signal that came too late. When it ends by an error they have their default effect, so that a program that
    hangs then can be ended.

    These are not the loop's own handlers, which leave the default behind when they are taken off, nor does a function
    of Python stay a handler to the end: the interpreter takes it off when it shuts down. Only for the main thread.
    """
    import asyncio  # noqa: PLC0415 - help comes without it

    loop = asyncio.get_running_loop()

    def heard(number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(tell, signal.Signals(number))

    for number in numbers:
        signal.signal(number, heard)
    after = signal.SIG_DFL
    try:
        yield
        after = signal.SIG_IGN
    finally:
        for number in numbers:
            signal.signal(number, after)


@contextmanager
def suspending(put_away: Callable[[], None]) -> Iterator[None]:
    """In the block Ctrl-Z calls `put_away` before it stops the program, so that the shell finds a tidy terminal."""

    def stop(_number: signal.Signals) -> None:
        put_away()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)  # returns when the shell lets the program go on (`fg`, `bg`)
        signal.signal(signal.SIGTSTP, handler)

    if signal.getsignal(signal.SIGTSTP) == signal.SIG_IGN:
        yield
        return
    with taking((signal.SIGTSTP,), stop):
        yield


def ignore() -> None:
    """Ignore from now on what would end the program: its exit code is known."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def put_back() -> Iterator[None]:
    """After the block the handlers are what they were, for a caller that lives on."""
    before = {number: signal.getsignal(number) for number in HANDLED}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
