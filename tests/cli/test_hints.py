"""The command that resumes a run has all settings that its checkpoint lacks, and is safe to paste."""

import shlex
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from refire_async.cli.hints import Hints
from refire_async.settings import Budget, Connection, PacingSettings, ResumeSettings, RunSettings, Tuning


def test_nothing_given() -> None:
    """The id is enough if the user relied on the defaults."""
    assert Hints(RunSettings(table="orders"), None).resume("run-1") == "refire resume run-1"


def test_everything_given() -> None:
    """Place, connection and speed limits are repeated; --max-items is not, because it was for that attempt."""
    settings = RunSettings(
        table="orders",
        connection=Connection(region="eu-west-1", profile="my profile", endpoint_url="http://127.0.0.1:8000"),
        budget=Budget(wcu_percent=12.5, max_wcu=500, max_rcu=0.25, max_rate=1_234_567),
        pacing=PacingSettings(
            rate="08:00,20% 20:00,90%",
            timezone="Europe/Berlin",
            headroom_percent=20.0,
            max_iterator_age_s=300.0,
            max_consumer_errors=0,
            consumer_rate=500.0,
        ),
        tuning=Tuning(segments=64, workers=3, writer="update", give_up_after_s=90),
        max_items=10,
        checkpoint=Path("my runs/x.refire"),
        ignore=frozenset(("table-status", "stream-disabled")),
    )
    assert Hints(settings, settings.checkpoint).resume("run-1") == (
        "refire resume run-1 --checkpoint 'my runs/x.refire' --region eu-west-1 --profile 'my profile' "
        "--endpoint-url http://127.0.0.1:8000 --max-wcu 500 --wcu-percent 12.5 --max-rcu 0.25 "
        "--max-rate 1234567 --rate '08:00,20% 20:00,90%' --rate-timezone Europe/Berlin --headroom 20% "
        "--max-iterator-age 300s --consumer-rate 500 --max-consumer-errors 0 "
        "--workers 3 --writer update --give-up-after 90s "
        "--ignore stream-disabled --ignore table-status"
    )


@given(st.floats(1e-6, 1e9), st.text(st.characters(min_codepoint=32, codec="utf-8"), min_size=1))
def test_values_survive(limit: float, path: str) -> None:
    """Numbers keep their value, names their characters."""
    settings = ResumeSettings(checkpoint=Path("x"), budget=Budget(max_wcu=limit))
    words = shlex.split(Hints(settings, Path(path)).resume("run-1"))
    assert abs(float(words[words.index("--max-wcu") + 1]) - limit) <= limit * 1e-9
    assert str(Path(path)) in (words[4], words[3].removeprefix("--checkpoint="))
