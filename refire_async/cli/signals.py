"""Signal handlers during and after an event loop. A signal after the work has ended does not change the exit code."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HANDLED = (*STOPPING, signal.SIGUSR1, signal.SIGTSTP)


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that stop a run. If SIGHUP is ignored, as under `nohup`, it stays ignored."""
    return tuple(
        number for number in STOPPING if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    )


@contextmanager
def handling(
    numbers: tuple[signal.Signals, ...], on_signal: Callable[[signal.Signals], None]
) -> Iterator[None]:
    """Call `on_signal` in the running event loop for each of these signals that arrives in the block.

    After the block the signals are ignored, so that a late signal does not replace the program's exit code. After an
    error in the block they have their default effect, so that a program that hangs can be ended.

    `loop.add_signal_handler` does not do: its removal restores the default effect. A Python function does not remain a
    handler to the end either: the interpreter removes it at shutdown. Main thread only.
    """
    import asyncio  # noqa: PLC0415 - not needed to show help

    loop = asyncio.get_running_loop()

    def handler(number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(on_signal, signal.Signals(number))

    for number in numbers:
        signal.signal(number, handler)
    after = signal.SIG_DFL
    try:
        yield
        after = signal.SIG_IGN
    finally:
        for number in numbers:
            signal.signal(number, after)


@contextmanager
def suspending(hide: Callable[[], None]) -> Iterator[None]:
    """In the block, Ctrl-Z calls `hide` before it suspends the program, so that nothing remains on the screen."""

    def stop(_number: signal.Signals) -> None:
        hide()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)  # returns when the shell continues the program (`fg`, `bg`)
        signal.signal(signal.SIGTSTP, handler)

    if signal.getsignal(signal.SIGTSTP) == signal.SIG_IGN:
        yield
        return
    with handling((signal.SIGTSTP,), stop):
        yield


def ignore() -> None:
    """Ignore the signals that would end the program, because its exit code is known."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def restored() -> Iterator[None]:
    """Restore the handlers after the block, for a caller that continues."""
    before = {number: signal.getsignal(number) for number in HANDLED}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
