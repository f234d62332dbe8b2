"""The timetable: grammar, precedence of entries, and clocks that go forward and back."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.errors import UsageError
from refire_async.pacing.rate import PAUSE, Rate, parse_rate
from refire_async.pacing.timetable import DAYS, find_zone, parse_timetable
from refire_async.settings import Budget

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = "08:00,20% 20:00,90% Sat-Sun,100%"


def instant(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def wall(at: float | None, zone: ZoneInfo = BERLIN) -> str:
    assert at is not None
    return datetime.fromtimestamp(at, zone).isoformat(" ", "minutes")


@pytest.mark.parametrize(
    ("moment", "rate", "said"),
    [
        ("2026-11-23 07:59", "90%", "90% until 08:00 CET"),
        ("2026-11-23 08:00", "20%", "20% until 20:00 CET"),
        ("2026-11-23 19:59", "20%", "20% until 20:00 CET"),
        ("2026-11-23 20:00", "90%", "90% until 08:00 CET"),
        ("2026-11-27 23:00", "90%", "90% until 00:00 CET"),
        ("2026-11-28 00:00", "100%", "100% until Mon 00:00 CET"),
        ("2026-11-29 23:59", "100%", "100% until 00:00 CET"),
        ("2026-11-30 00:00", "90%", "90% until 08:00 CET"),
    ],
)
def test_office_hours(moment: str, rate: str, said: str) -> None:
    """A whole day applies from midnight to midnight; after it the last time without days."""
    scheduled = parse_timetable(OFFICE, BERLIN).at(instant(moment))
    assert f"{scheduled.rate} {scheduled.ends}" == said
    assert str(scheduled.rate) == rate


@pytest.mark.parametrize(
    ("text", "moment", "rate"),
    [
        ("08:00,10% Mon-08:00,50%", "2026-11-23 09:00", "50%"),
        ("08:00,10% Mon-08:00,50%", "2026-11-24 09:00", "10%"),
        ("Mon-07:00,50% 08:00,10%", "2026-11-23 07:30", "50%"),
        ("Mon-07:00,50% 08:00,10%", "2026-11-23 08:00", "10%"),
        ("Sat-Sun,100% 08:00,10% Sat-12:00,40%", "2026-11-28 11:00", "100%"),
        ("Sat-Sun,100% 08:00,10% Sat-12:00,40%", "2026-11-28 12:00", "40%"),
        ("Sat-Sun,100% 08:00,10% Sat-12:00,40%", "2026-11-29 00:00", "100%"),
        ("Fri-Mon,7", "2026-11-29 12:00", "7"),
        ("Fri-Mon,7", "2026-11-23 23:59", "7"),
        ("Tue,3000", "2026-11-24 00:00", "3000"),
        ("Tue-9:30,pause", "2026-11-23 12:00", "pause"),
        ("tue-09:30,OFF", "2026-11-24 09:30", "pause"),
    ],
)
def test_the_more_specific_entry_applies(text: str, moment: str, rate: str) -> None:
    """A time with days before whole days before a time without days; ranges of days wrap around the week."""
    assert str(parse_timetable(text, BERLIN).at(instant(moment)).rate) == rate


def test_on_days_without_an_entry_the_options_apply() -> None:
    scheduled = parse_timetable("Sat-Sun,100%", BERLIN).at(instant("2026-11-25 12:00"))
    assert (scheduled.rate, wall(scheduled.until)) == (None, "2026-11-28 00:00+01:00")
    assert scheduled.ends == "until Sat 00:00 CET"


def test_one_rate_without_end() -> None:
    scheduled = parse_timetable("50%", BERLIN).at(instant("2026-11-25 12:00"))
    assert (scheduled.rate, scheduled.until, scheduled.ends) == (Rate(percent=50.0), None, "")


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        # 02:30 does not exist on 29 March 2026: it begins when the clocks go forward, at 03:00 CEST.
        ("2026-03-29T00:30+00:00", "2026-03-29 03:00+02:00"),
        # 02:30 comes twice on 25 October 2026: it begins the first time.
        ("2026-10-25T00:10+00:00", "2026-10-25 02:30+02:00"),
    ],
)
def test_clock_changes(moment: str, until: str) -> None:
    table = parse_timetable("02:30,20% 12:00,50%", BERLIN)
    before = table.at(datetime.fromisoformat(moment).timestamp())
    assert (str(before.rate), wall(before.until)) == ("50%", until)
    assert before.until is not None
    after = table.at(before.until)
    assert (str(after.rate), wall(after.until)[11:16]) == ("20%", "12:00")


def test_a_repeated_hour_does_not_restore_the_old_rate() -> None:
    """At the second 02:10 of the night the entry of 02:30 has applied since the first 02:30."""
    second = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1).timestamp()
    assert str(parse_timetable("02:30,20% 12:00,50%", BERLIN).at(second).rate) == "20%"


def test_a_night_is_an_hour_shorter_in_march() -> None:
    """From 20:00 to 08:00 there are 11 hours: changes follow the wall clock."""
    begin = instant("2026-03-28 20:00")
    until = parse_timetable("08:00,20% 20:00,90%", BERLIN).at(begin).until
    assert until is not None
    assert until - begin == 11 * 3600


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("8,20%", "'8,20%'"),
        ("08:00,20% 25:00,30%", "'25:00,30%'"),
        ("08:00,20% 12:60,30%", "'12:60,30%'"),
        ("08:00,20% 20:00", "'20:00'"),
        ("Xyz,20%", "'xyz' is no day"),
        ("Mon-Xyz,20%", "'xyz' is no day"),
        ("08:00,120%", "'08:00,120%'"),
        ("08:00,0", "'0' is not a rate"),
        ("08:00,-5%", "'-5%' is not a rate"),
        ("08:00,nan", "'nan' is not a rate"),
        ("08:00,", "'08:00,'"),
        ("08:00,20%,30%", "'20%,30%' is not a rate"),
        ("08:00,20% 8:00,30%", "'8:00,30%'"),
        ("Sat,1 Fri-Mon,2", "'Fri-Mon,2'"),
        ("", "empty"),
        (" ", "empty"),
        ("150%", "'150%'"),
        (" ".join(f"{n // 60:02}:{n % 60:02},5" for n in range(201)), "200 entries"),
        ("x" * 10_000 + ",5", "xxx…'"),
    ],
)
def test_invalid_entries_are_named(text: str, named: str) -> None:
    """One short line names the entry and says what to write."""
    with pytest.raises(UsageError) as caught:
        parse_timetable(text, None)
    assert named in caught.value.message
    assert caught.value.action
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["Europe", "Nope/Zone", "../etc/passwd", "\0", "", "Europe/Berlin/"])
def test_unknown_zones(name: str) -> None:
    with pytest.raises(UsageError, match="no time zone"):
        find_zone(name)


def test_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a zone the machine's zone applies, with its summer time."""
    import time

    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        assert find_zone(None) is None
        here, there = (parse_timetable("02:30,20% 12:00,50%", zone) for zone in (None, BERLIN))
        for day in range(0, 365, 1):
            now = instant("2026-01-01 05:00") + day * 86_400
            assert here.at(now) == there.at(now)
    finally:
        monkeypatch.undo()
        time.tzset()


numbers = st.integers(1, 99_999).map(str)
rates = st.one_of(st.integers(1, 100).map(lambda n: f"{n}%"), numbers, st.just("pause"))
times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata"]
).map(ZoneInfo)
moments = st.integers(int(instant("2020-01-01")), int(instant("2030-01-01")))
daily = st.dictionaries(times, rates, min_size=1, max_size=4)


@given(daily, moments, zones)
def test_daily_times_follow_the_wall_clock(entries: dict[str, str], moment: int, zone: ZoneInfo) -> None:
    """Compared with the wall clock, on days without a clock change."""
    table = parse_timetable(" ".join(f"{at},{rate}" for at, rate in entries.items()), zone)
    now = datetime.fromtimestamp(moment, zone)
    around = {(now + timedelta(days=n)).utcoffset() for n in (-1, 0, 1)}
    shown = now.strftime("%H:%M")
    past = [at for at in sorted(entries) if at <= shown] or [max(entries)]
    if len(around) == 1:
        assert table.at(moment).rate == parse_rate(entries[past[-1]])


@given(daily, st.dictionaries(st.sampled_from(DAYS), rates, max_size=7), moments, zones)
def test_a_scheduled_rate_applies_until_its_end(
    entries: dict[str, str], whole: dict[str, str], moment: int, zone: ZoneInfo
) -> None:
    """The rate is the same until its end and another one after it, and the end is later; also over clock changes."""
    words = [f"{when},{rate}" for when, rate in (*entries.items(), *whole.items())]
    table = parse_timetable(" ".join(words), zone)
    scheduled = table.at(moment)
    if scheduled.until is None:
        assert all(table.at(moment + hour * 3600).rate == scheduled.rate for hour in range(0, 24 * 8, 7))
        return
    assert moment < scheduled.until <= moment + 8 * 86_400
    for share in (0.0, 0.3, 0.7, 0.999):
        between = table.at(moment + (scheduled.until - 0.001 - moment) * share)
        assert (between.rate, between.until) == (scheduled.rate, scheduled.until)
    assert table.at(scheduled.until).rate != scheduled.rate


@given(st.text(alphabet="0123458:,%- MonSatSunpaueoff.\t\0é", max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Any text is a timetable or a usage error."""
    try:
        table = parse_timetable(text, UTC)  # type: ignore[arg-type] # any zone does here
    except UsageError:
        return
    assert bool(table.at(0.0).ends) == (table.at(0.0).until is not None)


@given(rates)
def test_rates_print_as_they_are_parsed(text: str) -> None:
    assert str(parse_rate(text)) == text


def test_a_rate_replaces_the_budget_for_writing_only() -> None:
    """Limits on reads and on items per second stay."""
    options = Budget(wcu_percent=50.0, max_wcu=100.0, max_rcu=7.0, max_rate=3.0)
    assert Rate(percent=20.0).budget(options, "x") == Budget(
        wcu_percent=20.0, max_wcu=None, max_rcu=7.0, max_rate=3.0, set_by="x"
    )
    assert Rate(wcu=900.0).budget(options, "x") == Budget(
        wcu_percent=50.0, max_wcu=900.0, max_rcu=7.0, max_rate=3.0, set_by="x"
    )
    with pytest.raises(ValueError, match="pause"):
        PAUSE.budget(options, "x")
