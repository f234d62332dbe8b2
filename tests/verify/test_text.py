"""What people read of a proof and of a canary."""

from refire_async.errors import ExitCode
from refire_async.model.canary import Canary, Consumer, Consumers
from refire_async.model.proof import Proof, Tally
from refire_async.report.proof import describe_canary, describe_proof


def proof(tally: Tally, *, began: float = 1_000_000.0, back: float = 990_000.0, view: str = "") -> Proof:
    return Proof("r", tally, 12, 3, view, 4.0, began, back)


def test_a_clean_proof_says_how_long_the_stream_is_kept():
    """It can be repeated until then."""
    one = proof(Tally(expected=5, once=4, by_others=1))
    text = describe_proof(one, rerun_with=None)
    assert "proved from the stream" in text
    assert "kept 2 h 46 min more" in text
    assert "by others 1" in " ".join(text.split())
    assert one.exit_code is ExitCode.COMPLETE


def test_what_the_stream_no_longer_holds_is_not_proved():
    """It is neither once nor missing, and the exit code says so."""
    one = proof(Tally(expected=5, once=4, unproven=1), back=1_000_500.0)
    text = describe_proof(one, rerun_with=None)
    assert "not proved from the stream" in text
    assert "not to the run's start" in text
    assert one.exit_code is ExitCode.UNPROVEN
    assert one.to_json() == {
        "run_id": "r",
        "expected": 5,
        "once": 4,
        "missing": 0,
        "doubled": 0,
        "by_others": 0,
        "missing_keys_file": None,
    }


def test_a_stream_that_shows_less_is_named():
    text = describe_proof(proof(Tally(expected=2, once=2, repeats=1), view="KEYS_ONLY"), rerun_with=None)
    assert "The stream is KEYS_ONLY" in text
    assert "1 items have more than one record" in text


def test_a_canary_tells_of_events_and_consumers():
    """Errors, lag, and what could not be found out."""
    known = (Consumer("pay", 3, 1, 0.5), Consumer("mail", 2, 0, 300.0))
    canary = Canary(10, proof(Tally(expected=10, once=10)), None, Consumers(known, "x is silent", ("mail",)))
    text = describe_canary(canary)
    assert "10 of 10 fired, 0 missing, 0 doubled" in text
    assert "pay: 3 invocations, 1 errors, iterator age 0.5 s" in text
    assert "mail: 2 invocations, 0 errors, iterator age 5 min 00 s, behind" in text
    assert "x is silent" in text
    assert not canary.clean
    assert Canary(10, canary.proof, None, Consumers(unknown="nobody was asked")).clean
    assert not Canary(10, None, "no stream", Consumers()).clean
