"""Collects the lines of a list that contain no key, and describes them. Pure."""

from collections import Counter
from dataclasses import dataclass, field

FIRST_BAD_LINES = 5
"""Number of bad lines that are listed; the others are counted."""

_MAX_CAUSES = 20


@dataclass(slots=True)
class BadLines:
    """Lines without a key: their number, what is wrong with the first ones, and how often each cause occurred."""

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)
    causes: Counter[str] = field(default_factory=Counter)

    def add(self, number: int, what: str, entry: int = 0) -> None:
        """Note that line `number`, or entry `entry` (from 1) of several in it, is bad."""
        self.count += 1
        if what in self.causes or len(self.causes) < _MAX_CAUSES:
            self.causes[what] += 1
        if len(self.first) < FIRST_BAD_LINES:
            self.first.append((number, f"entry {entry:,} {what}" if entry else what))

    def describe(self, name: str) -> str:
        """One line for messages: the first bad line, and the numbers of others."""
        number, what = self.first[0]
        text = f"{name} line {number} {what}"
        if self.count > 1:
            others = ", ".join(map(str, dict.fromkeys(line for line, _ in self.first)))
            more = "" if self.count <= FIRST_BAD_LINES else f" and {self.count - FIRST_BAD_LINES:,} more"
            text += f"; {self.count:,} bad lines in all: {others}{more}"
        return text

    def describe_all(self, name: str) -> str:
        """One line for messages about a list without any key: what is wrong with most of its lines."""
        if self.count == 1:
            return f"{name} names no key: line {self.first[0][0]} {self.first[0][1]}"
        what, times = self.causes.most_common(1)[0]
        share = (
            f"each of its {self.count:,} lines"
            if times == self.count
            else f"{times:,} of its {self.count:,} lines"
        )
        return f"{name} names no key: {share} {what}"
