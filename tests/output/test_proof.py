"""The text of a verification's result and of a canary's."""

from dataclasses import replace

from refire_async.errors import ExitCode
from refire_async.model.canary import Canary, Consumer, Consumers
from refire_async.model.proof import Proof, ProofCounts, least_view
from refire_async.output.proof import describe_canary, describe_proof


def proof(
    counts: ProofCounts, *, began: float = 1_000_000.0, back: float = 990_000.0, view: str = ""
) -> Proof:
    return Proof(
        run_id="r",
        counts=counts,
        records=12,
        shards=3,
        view_type=view,
        seconds=4.0,
        began=began,
        reaches_back_to=back,
    )


def test_a_clean_proof_says_how_long_the_stream_is_kept():
    """The verification can be repeated until then."""
    one = proof(ProofCounts(expected=5, once=4, by_others=1))
    text = describe_proof(one, rerun_with=None)
    assert "proved from the stream" in text
    assert "expire in 2 h 46 min" in text
    assert "by others 1" in " ".join(text.split())
    assert one.exit_code is ExitCode.COMPLETE


def test_items_whose_records_were_trimmed_are_not_proved():
    """They are neither once nor missing, and the exit code says so."""
    one = proof(ProofCounts(expected=5, once=4, unproven=1), back=1_000_500.0)
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


def test_a_stream_without_both_images_is_named():
    for view in ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE"):
        less = proof(ProofCounts(expected=2, once=2), view=view)
        assert (less.verdict, less.exit_code) == ("not disproved", ExitCode.COMPLETE)
        text = describe_proof(less, rerun_with=None)
        assert "not disproved" in text
        assert "proved from" not in text
        assert "exactly once" not in text
    text = describe_proof(
        proof(ProofCounts(expected=2, once=2, repeats=1), view="KEYS_ONLY"), rerun_with=None
    )
    assert "doubled ? not visible" in " ".join(text.split())
    assert "The stream is KEYS_ONLY" in text
    assert "1 items have more than one record" in text


def test_the_view_type_that_shows_least_counts():
    """A stream with more images that was enabled during the run shows nothing of the time before."""
    assert least_view(["KEYS_ONLY", "NEW_AND_OLD_IMAGES"]) == "KEYS_ONLY"
    assert least_view(["NEW_AND_OLD_IMAGES", "NEW_IMAGE"]) == "NEW_IMAGE"
    assert least_view([]) == ""


def test_nothing_is_proved_where_nothing_was_touched():
    """Failed items are reported."""
    one = replace(proof(ProofCounts()), failed=7)
    text = describe_proof(one, rerun_with=None)
    assert "proved from" not in text
    assert "7 items failed" in text


def test_clocks_that_disagree_lead_to_no_advice():
    one = replace(proof(ProofCounts(expected=5, unproven=5)), clocks_disagree=True)
    text = describe_proof(one, rerun_with="refire run")
    assert "clocks of this machine and of the service disagree" in text
    assert "refire run" not in text
    assert one.exit_code is ExitCode.UNPROVEN


def test_a_canary_reports_events_and_consumers():
    """Errors, lag, and why a consumer is not known."""
    known = (Consumer("pay", 3, 1, 0.5), Consumer("mail", 2, 0, 300.0))
    canary = Canary(
        10, proof(ProofCounts(expected=10, once=10)), None, Consumers(known, "x is silent", ("mail",))
    )
    text = describe_canary(canary)
    assert "10 of 10 fired, 0 missing, 0 doubled" in text
    assert "pay: 3 invocations, 1 errors, iterator age 0.5 s" in text
    assert "mail: 2 invocations, 0 errors, iterator age 5 min 00 s, behind" in text
    assert "x is silent" in text
    assert not canary.clean
    assert Canary(10, canary.proof, None, Consumers(unknown="no mapping")).clean
    assert not Canary(10, None, "no stream", Consumers()).clean
    failed = Canary(10, canary.proof, None, Consumers(), failed=53)
    assert not failed.clean
    assert "53 items could not be touched" in describe_canary(failed)
    assert not Canary(0, proof(ProofCounts()), None, Consumers()).clean
