"""Rates by the time of the week: `08:00,20% 20:00,90% Sat-Sun,100%`. Pure.

Entries are separated by spaces; each is WHEN,RATE, and WHEN is a time (every day), days, or days and a time:

    08:00,20%          from 8 o'clock on, every day, until the next time of the timetable
    Mon-Fri-08:00,20%  the same on these days
    Sat-Sun,100%       on these days from midnight to midnight, over all times without a day
    50%                always

The more specific entry applies: a time with days before whole days, whole days before a time without days. After a
whole day the last time without days applies again; if there is none, no entry does. Times are wall clock times of the
zone. A time that is skipped when clocks go forward begins at that change; a time that occurs twice when clocks go back
begins the first time.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from refire_async.errors import UsageError
from refire_async.pacing.rate import Rate, parse_rate

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY = frozenset(range(7))

_DAYS = r"(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?"
_TIME = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
_WHEN = re.compile(rf"(?:{_DAYS}|(?:{_DAYS.replace('first', 'from').replace('last', 'to')}-)?{_TIME})")
_ACTION = "write entries like 08:00,20% or Sat-Sun,100% or Mon-Fri-08:00,3000 with spaces between them"
_MIDNIGHT = time(0, 0)
_MAX_ENTRIES = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """`rate` on `days` (0 is Monday; None: every day, without naming one) from `at` on (None: the whole day)."""

    rate: Rate
    days: frozenset[int] | None = None
    at: time | None = None

    def covers(self, weekday: int) -> bool:
        """Whether the entry applies on this day of the week."""
        return self.days is None or weekday in self.days


@dataclass(frozen=True, slots=True)
class ScheduledRate:
    """The `rate` (None: no entry applies) until the instant `until` (None: no end).

    `ends` is text: `until 20:00 CET`, or empty.
    """

    rate: Rate | None
    until: float | None
    ends: str


class Timetable:
    """Entries in a time zone; `zone` None is the zone of this machine. Instants are seconds since 1970."""

    def __init__(self, entries: tuple[Entry, ...], zone: ZoneInfo | None) -> None:
        self._entries = entries
        self._zone = zone

    def at(self, instant: float) -> ScheduledRate:
        """The rate at `instant` (Unix time, s), and its end."""
        today = self._local(instant).date()
        # After nine days every weekday has been seen together with the day before it.
        marks = [
            (self._instant(day, at), self._rate(day, at))
            for day in (today + timedelta(days=n) for n in range(-1, 9))
            for at in self._times(day)
        ]
        now = bisect_right(marks, instant, key=lambda mark: mark[0]) - 1
        rate = marks[now][1]
        until = next((start for start, other in marks[now + 1 :] if other != rate), None)
        return ScheduledRate(rate, until, self._end_text(instant, until))

    def _times(self, day: date) -> list[time]:
        """Times at which the rate may change on that day."""
        named = {e.at for e in self._entries if e.at is not None and e.covers(day.weekday())}
        return sorted({_MIDNIGHT, *named})

    def _rate(self, day: date, at: time) -> Rate | None:
        """The rate at that local time."""
        whole = self._whole(day)
        today = [e for e in self._timed(day, at) if whole is None or e.days is not None]
        if today:
            return today[-1].rate
        if whole is not None:
            return whole.rate
        for back in range(1, 8):
            before = self._timed(day - timedelta(days=back), time.max)
            if before:
                return before[-1].rate
        return None

    def _whole(self, day: date) -> Entry | None:
        return next((e for e in self._entries if e.at is None and e.covers(day.weekday())), None)

    def _timed(self, day: date, until: time) -> list[Entry]:
        """Entries with a time on that day, up to `until`; the last one applies."""
        found = [
            (e.at, e.days is not None, e)
            for e in self._entries
            if e.at is not None and e.at <= until and e.covers(day.weekday())
        ]
        return [e for *_, e in sorted(found, key=lambda entry: entry[:2])]

    def _local(self, instant: float) -> datetime:
        return datetime.fromtimestamp(instant, self._zone)  # None: the zone of the machine

    def _instant(self, day: date, at: time) -> float:
        """The first instant at which the wall clock shows this time or a later one."""
        wall = datetime.combine(day, at, self._zone)
        early, late = wall.timestamp(), wall.replace(fold=1).timestamp()
        if early <= late:
            return early
        # The clocks skip this time (PEP 495: then fold 0 is the later instant). They go forward in between.
        low, high = int(late), int(early)
        while low < high:
            middle = (low + high) // 2
            if self._local(middle).replace(tzinfo=None) >= wall.replace(tzinfo=None):
                high = middle
            else:
                low = middle + 1
        return float(low)

    def _end_text(self, instant: float, until: float | None) -> str:
        if until is None:
            return ""
        end = self._local(until)
        if end.tzinfo is None:
            end = end.astimezone()
        near = until - instant < timedelta(hours=24).total_seconds()
        day = "" if near else f"{DAYS[end.weekday()]} "
        name = end.tzname() or ""
        return f"until {day}{end:%H:%M} {f'UTC{name}' if name[:1] in '+-' else name}".rstrip()


def find_zone(name: str | None) -> ZoneInfo | None:
    """The time zone called `name`; None is the zone of this machine. Raises UsageError."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"there is no time zone {name[:40]!r}", "for example Europe/Berlin or UTC") from None


def parse_timetable(text: str, zone: ZoneInfo | None) -> Timetable:
    """Parse a timetable.

    Raises:
        UsageError: an entry is invalid; the message names it.
    """
    words = text.split()
    if not words:
        raise UsageError("the timetable is empty", _ACTION)
    if len(words) > _MAX_ENTRIES:
        raise UsageError(f"the timetable has more than {_MAX_ENTRIES} entries", _ACTION)
    if len(words) == 1 and "," not in text:
        return Timetable((Entry(parse_rate(words[0]), EVERY_DAY),), zone)
    entries: list[Entry] = []
    for word in words:
        entry = _parse_entry(word)
        if any(_clash(entry, other) for other in entries):
            raise UsageError(f"entry {word!r}: another entry is for the same time", "leave one of them out")
        entries.append(entry)
    return Timetable(tuple(entries), zone)


def _parse_entry(word: str) -> Entry:
    shown = repr(word if len(word) <= 40 else f"{word[:39]}…")
    when, comma, value = word.partition(",")
    if not comma:
        raise UsageError(f"entry {shown} has no comma between time and rate", _ACTION)
    found = _WHEN.fullmatch(when.lower())
    if found is None:
        raise UsageError(f"entry {shown} does not begin with a time or days", _ACTION)
    first, last = found["first"] or found["from"], found["last"] or found["to"]
    days = None if first is None else _parse_days(shown, first, last or first)
    at = None
    if found["hour"] is not None:
        hour, minute = int(found["hour"]), int(found["minute"])
        if hour > 23 or minute > 59:
            raise UsageError(f"entry {shown} has no time between 00:00 and 23:59", _ACTION)
        at = time(hour, minute)
    try:
        rate = parse_rate(value)
    except UsageError as error:
        raise UsageError(f"entry {shown}: {error.message}", error.action) from None
    return Entry(rate, days, at)


def _parse_days(shown: str, first: str, last: str) -> frozenset[int]:
    names = [name.lower() for name in DAYS]
    for name in (first, last):
        if name not in names:
            raise UsageError(f"entry {shown}: {name!r} is no day", f"days are {' '.join(DAYS)}")
    begin, end = names.index(first), names.index(last)
    return frozenset((begin + n) % 7 for n in range((end - begin) % 7 + 1))


def _clash(one: Entry, other: Entry) -> bool:
    """Whether two entries conflict: on some day neither is more specific than the other."""
    if one.at != other.at or (one.days is None) != (other.days is None):
        return False
    return one.days is None or other.days is None or bool(one.days & other.days)
