"""When a temporary mapping is through: decisions from what polls see. Times in seconds."""

from refire_async.delivery.mapping_watch import (
    IDLE,
    IDLE_S,
    LATE_S,
    LEAST_PATIENCE_S,
    LONG_IDLE_S,
    Figures,
    Verdict,
    Watch,
)

STEP_S = 15.0


def _watch(**more: float) -> Watch:
    return Watch(10, timeout_s=more.get("timeout_s", 30.0), give_up_after_s=60.0, now=0.0)


def _until(
    watch: Watch, figures: Figures | None, *, result: str = "OK", start: float = 0.0, limit: float = 5_000.0
) -> tuple[float, Verdict | None]:
    """Poll the same answer until there is a verdict."""
    now = start
    while now < limit:
        verdict = watch.see(now, state="Enabled", result=result, figures=figures)
        if verdict is not None:
            return now, verdict
        now += STEP_S
    return now, None


def test_all_counted() -> None:
    """Even on a table whose traffic never lets the mapping rest."""
    assert _until(_watch(), Figures(invoked=10)) == (LATE_S, "metrics")


def test_retries_are_no_deliveries() -> None:
    """Five records, invoked twice and failed once, are five; a retry may take the function's timeout."""
    at, verdict = _until(_watch(), Figures(invoked=10, failed_invokes=5), result="OK")
    assert (at, verdict) == (LEAST_PATIENCE_S + 30.0, "stuck")
    at, verdict = _until(_watch(), Figures(invoked=15, failed_invokes=5))
    assert (at, verdict) == (LATE_S + 30.0, "metrics")


def test_a_late_failure_takes_the_end_back() -> None:
    """Data points of failures come after those of invocations."""
    watch = _watch()
    assert _until(watch, Figures(invoked=10), limit=LATE_S)[1] is None
    assert (
        watch.see(LATE_S, state="Enabled", result="OK", figures=Figures(invoked=10, failed_invokes=3)) is None
    )
    assert watch.delivered == 7


def test_idle_without_metrics() -> None:
    """Sooner if it was seen at work, since a new mapping is idle until it polls."""
    assert _until(_watch(), None, result=IDLE) == (LONG_IDLE_S, "idle")
    watch = _watch()
    watch.see(0.0, state="Enabled", result="OK", figures=None)
    assert _until(watch, None, result=IDLE, start=STEP_S) == (STEP_S + IDLE_S, "idle")


def test_idle_with_fewer() -> None:
    """Metrics that count fewer are waited for longer."""
    watch = _watch()
    assert _until(watch, Figures(invoked=9), result=IDLE) == (LONG_IDLE_S, "idle")
    assert (watch.delivered, watch.failed) == (9, 0)


def test_a_creation_is_no_rest() -> None:
    """Records are not processed while it is being created."""
    watch = _watch()
    for step in range(40):
        assert watch.see(step * STEP_S, state="Creating", result=IDLE, figures=None) is None


def test_failing_without_end_is_no_progress() -> None:
    """More invocations, none of which succeeds; other events that are filtered out do not count either."""
    watch, now, verdict = _watch(), 0.0, None
    while verdict is None and now < 5_000:
        number = round(now) + 1
        figures = Figures(polled=number, filtered=number, invoked=number + 2, failed_invokes=number)
        verdict = watch.see(now, state="Enabled", result="PROBLEM: Function call failed", figures=figures)
        now += STEP_S
    assert verdict == "stuck"
    assert now <= LEAST_PATIENCE_S + 30.0 + 2 * STEP_S


def test_slow_progress_is_progress() -> None:
    """A record every eight minutes."""
    watch = _watch()
    for number in range(9):
        for step in range(32):
            at = number * 480.0 + step * STEP_S
            figures = Figures(polled=10, invoked=number)
            assert watch.see(at, state="Enabled", result="OK", figures=figures) is None


def test_counts_are_never_more_than_there_are() -> None:
    """Whatever the metrics say."""
    watch = _watch()
    watch.see(0.0, state="Enabled", result="OK", figures=Figures(invoked=99, dropped=3))
    assert (watch.delivered, watch.failed) == (7, 3)
