"""How far a scenario is: a bar on a terminal, a line per step elsewhere; on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Bar:
    """The `Steps` of one scenario, for `with`."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._progress = Progress(
            TextColumn("{task.fields[scenario]:>18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", scenario=name, total=None)
        self._total = 0
        self._steps = 0

    def begin(self, total: int) -> None:
        """See `Steps`."""
        self._total = total
        self._progress.update(self._task, total=total)

    def step(self, label: str) -> None:
        """See `Steps`."""
        self._progress.update(self._task, completed=self._steps, description=label)
        self._steps += 1
        if not self._console.is_terminal:
            self._console.print(
                f"{self._name} {self._steps}/{self._total}: {label}", highlight=False, soft_wrap=True
            )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._progress.update(self._task, completed=self._steps, total=self._steps, description="done")
        self._progress.stop()


class Silent:
    """`Steps` without a display."""

    def begin(self, total: int) -> None:
        """See `Steps`."""

    def step(self, label: str) -> None:
        """See `Steps`."""
