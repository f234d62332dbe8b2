"""What becomes of an item, given what the run says and what the stream shows, for every kind of stream."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.checkpoint.pages import SettledPage
from refire_async.model.keys import Item
from refire_async.model.proof import ProofCounts
from refire_async.verification.encoding import Claim
from refire_async.verification.expected import Claims
from refire_async.verification.observed import reader
from refire_async.verification.reconcile import CLOCKS_S, reconcile
from tests.support.checkpoints import SPEC, item
from tests.verification.records import BOTH, KEYS, NEW, OLD, SECOND, record, touch


def page(*items: Item, notes: Iterable[tuple[Any, Item]] = ()) -> SettledPage:
    return SettledPage(1, 0.0, list(items), list(notes))


def verdict(
    settled: Iterable[SettledPage],
    records: Iterable[dict[str, Any]],
    *,
    others: Iterable[SettledPage] = (),
    opened: tuple[int, int] | None = None,
    older: bool = False,
) -> tuple[dict[str, int], list[int]]:
    """The counts that are not 0, and the numbers of what is missing."""
    claims, missing = Claims(SPEC), []
    rows: list[Claim] = [row for one in settled for row in claims.of(one)]
    if opened is not None:
        rows += [row for one in settled for row in Claims(SPEC).opened(one, *opened)]
    rows += [row for one in others for row in Claims(SPEC).foreign(one)]
    changes = [reader(SPEC)(deepcopy(one)) for one in records]
    tally = reconcile(rows, changes, ended=SECOND + 10.0, missing=missing.append, older=older)
    counts = {name: getattr(tally, name) for name in ProofCounts.__slots__ if getattr(tally, name)}
    assert counts.pop("expected", 0) == claims.count
    return counts, missing


A3 = item("a", 3)


@pytest.mark.parametrize("view", [BOTH, NEW, OLD, KEYS])
def test_a_touch_that_is_in_the_stream_is_found_whatever_the_stream_shows(view: str):
    """Of a missing marker as well as of a number; an item without a record is missing."""
    settled = [page(A3, item("new"), item("b", 7))]
    records = [touch("a", 3, view=view), touch("new", None, view=view)]
    assert verdict(settled, records) == ({"once": 2, "missing": 1}, [2])


@pytest.mark.parametrize("view", [BOTH, NEW])
def test_another_touch_makes_it_doubled(view: str):
    """One after ours, as a second writer makes it."""
    assert verdict([page(A3)], [touch("a", 3, view=view), touch("a", 4, view=view)])[0] == {"doubled": 1}


def test_old_images_show_a_second_touch_when_another_record_follows():
    """The last change of an item has no other side there."""
    records = [touch("a", n, view=OLD) for n in (3, 4, 5)]
    assert verdict([page(A3)], records[:2])[0] == {"once": 1}
    assert verdict([page(A3)], records)[0] == {"doubled": 1}


@pytest.mark.parametrize("view", [BOTH, NEW, OLD])
def test_changes_of_others_are_not_taken_for_touches(view: str):
    """Before and after ours: other attributes, other steps of the marker, an end and a new beginning."""
    mine = [record({**A3, "x": {"N": "1"}}, {**item("a", 4), "x": {"N": "1"}}, view=view)]
    before = [record(A3, {**A3, "x": {"N": "1"}}, view=view)]
    after = [
        record({**item("a", 4), "x": {"N": "1"}}, {**item("a", 4), "x": {"N": "2"}}, view=view),
        record({**item("a", 4), "x": {"N": "2"}}, item("a", 9), view=view),
        record(item("a", 9), None, view=view),
        record(None, item("a", 5), view=view),
    ]
    assert verdict([page(A3)], before + mine + after)[0] == {"once": 1}
    # One side only: the last change may have been ours as far as old images tell.
    assert verdict([page(A3)], before)[0] == ({"once": 1} if view == OLD else {"missing": 1})


def test_what_an_earlier_run_did_is_not_of_this_one():
    """It counted up to the marker that this run read."""
    assert verdict([page(A3)], [touch("a", n) for n in (1, 2, 3)])[0] == {"once": 1}


def test_a_touch_that_other_attributes_changed_with_is_somebody_elses():
    """The checkpoint says 4, and somebody has written 4, with more: not ours."""
    records = [record(A3, {**item("a", 4), "x": {"S": "y"}})]
    assert verdict([page(A3)], records)[0] == {"missing": 1}


def test_order_within_sets_is_no_change():
    """Members of a set come in any order."""
    old = {**A3, "tags": {"SS": ["x", "y"]}, "m": {"M": {"l": {"L": [{"NS": ["1", "2"]}]}}}}
    new = {**item("a", 4), "tags": {"SS": ["y", "x"]}, "m": {"M": {"l": {"L": [{"NS": ["2", "1"]}]}}}}
    assert verdict([page(A3)], [record(old, new)])[0] == {"once": 1}


def test_after_a_conflict_the_run_touched_from_another_marker():
    """Another writer came first, with more than the marker (fine) or with nothing but it (a touch too many)."""
    conflicted = [page(A3, notes=[("conflict", item("a", 5))])]
    by_other = record(A3, {**item("a", 5), "x": {"S": "y"}})
    mine = record({**item("a", 5), "x": {"S": "y"}}, {**item("a", 6), "x": {"S": "y"}})
    assert verdict(conflicted, [by_other, mine])[0] == {"once": 1}
    assert verdict([page(A3, notes=[("conflict", item("a", 4))])], [touch("a", 3), touch("a", 4)])[0] == {
        "doubled": 1
    }


def test_what_was_read_in_an_earlier_sitting_counts_from_there():
    """Read as 3, found as 4 and left open; the next sitting touches from 4. Two touches since it was read."""
    earlier, later = page(notes=[("read", A3)]), page(item("a", 4))
    assert verdict([earlier, later], [touch("a", 3), touch("a", 4)])[0] == {"doubled": 1}
    assert verdict([later], [touch("a", 3), touch("a", 4)])[0] == {"once": 1}
    assert verdict([earlier], [touch("a", 3)]) == ({}, [])


def test_found_changed_is_once_or_by_others():
    """The answer to an attempt was lost, or another writer came first: the stream tells which."""
    already = [page(A3, notes=[("already", A3)])]
    by_other = record(A3, {**item("a", 8), "x": {"S": "y"}})
    assert verdict(already, [touch("a", 3)])[0] == {"once": 1}
    assert verdict(already, [by_other])[0] == {"by_others": 1}
    assert verdict(already, [record(A3, None)])[0] == {"by_others": 1}
    assert verdict(already, [])[0] == {"missing": 1}
    assert verdict(already, [touch("a", 3), touch("a", 4)])[0] == {"doubled": 1}


def test_what_is_gone_or_failed_is_not_expected():
    assert verdict([page(A3, notes=[("none", A3)])], []) == ({}, [])


def test_touches_of_other_runs_that_are_known_or_much_later_are_not_doubled():
    """Known from their checkpoints; else nobody's clock is wrong by more than a quarter of an hour."""
    second = touch("a", 4)
    assert verdict([page(A3)], [touch("a", 3), second], others=[page(item("a", 4))])[0] == {"once": 1}
    late = touch("a", 4, second=SECOND + 11 + CLOCKS_S)
    assert verdict([page(A3)], [touch("a", 3), late])[0] == {"once": 1}


BEFORE = SECOND - 5
EXPORT: dict[str, Any] = {"older": True, "opened": (SECOND, SECOND - 2)}


def test_an_export_s_touches_by_others_before_its_page_was_opened_are_theirs():
    """The marker is older than the run: value alone does not tell. From the page's second on it may be its own."""
    conflicted = [page(A3, notes=[("conflict", item("a", 4))])]
    for second, found in ((BEFORE, {"once": 1}), (SECOND, {"doubled": 1})):
        records = [touch("a", 3, second=second), touch("a", 4)]
        assert verdict(conflicted, records, **EXPORT)[0] == found


def test_what_an_export_s_run_found_changed_is_not_borne_out_by_a_touch_before_it():
    """Its own answer was lost, and another run had touched the item already: nothing has fired since."""
    already = [page(A3, notes=[("already", A3)])]
    assert verdict(already, [touch("a", 3, second=BEFORE)], **EXPORT)[0] == {"missing": 1}
    assert verdict(already, [touch("a", 3)], **EXPORT)[0] == {"once": 1}
    # What was answered is the run's, whatever the second says.
    assert verdict([page(A3)], [touch("a", 3, second=BEFORE)], **EXPORT)[0] == {"once": 1}


def test_values_tell_where_the_run_has_read_them_itself():
    """A touch from the marker that a scan has read came after it, whatever the clocks say."""
    records = [touch("a", 3, second=BEFORE), touch("a", 4)]
    assert verdict([page(A3)], records, opened=(SECOND, SECOND - 2))[0] == {"doubled": 1}


def test_keys_alone_from_before_the_page_show_nothing():
    """There is nothing but the time to go by."""
    early, own = touch("a", 3, view=KEYS, second=BEFORE), touch("a", 4, view=KEYS)
    opened = (SECOND, SECOND - 2)
    assert verdict([page(A3)], [early], opened=opened)[0] == {"missing": 1}
    assert verdict([page(A3)], [early, own], opened=opened)[0] == {"once": 1}


@pytest.mark.parametrize("view", [BOTH, NEW])
def test_what_is_found_at_another_time_is_not_missing(view: str):
    """The very change, an hour after the end: a clock was wrong, or another run did it. Not to be fired again."""
    late = touch("a", 3, view=view, second=SECOND + 3600)
    assert verdict([page(A3)], [late]) == ({"unproven": 1}, [])
    assert verdict([page(A3)], [late], others=[page(A3)]) == ({"missing": 1}, [0])


def test_keys_alone_show_that_there_was_a_record():
    """Not whose: several are once, and said to be several."""
    records = [touch("a", n, view=KEYS) for n in (3, 4)]
    assert verdict([page(A3)], records)[0] == {"once": 1, "repeats": 1}
    assert verdict([page(A3)], [record(None, A3, view=KEYS)])[0] == {"missing": 1}


def test_numbers_that_are_no_whole_ones():
    """Decimals and 38 digits are matched exactly, too."""
    for text, after in (("1.5", "2.5"), ("9" * 30, "1" + "0" * 30), ("-1", "0")):
        one = {**item("a"), "revision": {"N": text}}
        assert verdict([page(one)], [record(one, {**one, "revision": {"N": after}})])[0] == {"once": 1}
        assert verdict([page(one)], [record(one, {**one, "revision": {"N": "77.5"}})])[0] == {"missing": 1}


histories = st.lists(
    st.sampled_from(["touch", "other", "jump", "gone"]) | st.just("touch"), min_size=0, max_size=6
)


@given(before=histories, after=histories, mine=st.booleans(), start=st.integers(0, 3))
def test_any_history_is_reconciled_at_as_its_author_knows_it(
    before: list[str], after: list[str], mine: bool, start: int
):
    """Changes of others before and after the read, and ours or not. Both images."""
    records: list[dict[str, Any]] = []
    now: Item | None = {**item("a", start), "x": {"N": "0"}}

    def change(kind: str) -> None:
        nonlocal now
        if now is None:
            # What came back is another item, with a marker of its own.
            new: Item | None = {**item("a", 50 * (len(records) + 1)), "x": {"N": "0"}}
        elif kind == "touch":
            new = {**now, "revision": {"N": str(int(now["revision"]["N"]) + 1)}}
        elif kind == "other":
            new = {**now, "x": {"N": str(int(now["x"]["N"]) + 1)}}
        elif kind == "jump":
            new = {**now, "revision": {"N": str(int(now["revision"]["N"]) + 10)}}
        else:
            new = None
        records.append(record(now, new))
        now = new

    for kind in before:
        change(kind)
    if now is None:
        change("back")
    assert now is not None
    read = now
    if mine:
        change("touch")
    touches = 0
    for kind in after if mine else []:
        touches += kind == "touch" and now is not None
        change(kind)
    expected = {"missing": 1} if not mine else {"doubled": 1} if touches else {"once": 1}
    assert verdict([page({"pk": read["pk"], "revision": read["revision"]})], records)[0] == expected
