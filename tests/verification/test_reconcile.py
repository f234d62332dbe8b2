"""The result for an item, given its checkpoint and its stream records, for every view type."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.checkpoint.pages import AcknowledgedPage
from refire_async.model.keys import Item
from refire_async.model.proof import ProofCounts
from refire_async.verification.encoding import ExpectedRow
from refire_async.verification.expected import ExpectedRows
from refire_async.verification.observed import encoder
from refire_async.verification.reconcile import MAX_CLOCK_SKEW_S, reconcile
from tests.support.checkpoints import SPEC, item
from tests.verification.records import BOTH, KEYS, NEW, OLD, SECOND, record, touch


def page(*items: Item, notes: Iterable[tuple[Any, Item]] = ()) -> AcknowledgedPage:
    return AcknowledgedPage(1, 0.0, list(items), list(notes))


def result(
    pages: Iterable[AcknowledgedPage],
    records: Iterable[dict[str, Any]],
    *,
    others: Iterable[AcknowledgedPage] = (),
    opened: tuple[int, int] | None = None,
    markers_are_older: bool = False,
) -> tuple[dict[str, int], list[int]]:
    """The counts that are not 0, and the numbers of the missing rows."""
    expected, missing = ExpectedRows(SPEC), []
    rows: list[ExpectedRow] = [row for one in pages for row in expected.of(one)]
    if opened is not None:
        rows += [row for one in pages for row in ExpectedRows(SPEC).opened(one, *opened)]
    rows += [row for one in others for row in ExpectedRows(SPEC).foreign(one)]
    observed = [encoder(SPEC)(deepcopy(one)) for one in records]
    found = reconcile(
        rows, observed, ended=SECOND + 10.0, on_missing=missing.append, markers_are_older=markers_are_older
    )
    counts = {name: getattr(found, name) for name in ProofCounts.__slots__ if getattr(found, name)}
    assert counts.pop("expected", 0) == expected.count
    return counts, missing


A3 = item("a", 3)


@pytest.mark.parametrize("view", [BOTH, NEW, OLD, KEYS])
def test_a_touch_in_the_stream_is_found_for_every_view_type(view: str):
    """Both from a missing marker and from a number; an item without a record is missing."""
    pages = [page(A3, item("new"), item("b", 7))]
    records = [touch("a", 3, view=view), touch("new", None, view=view)]
    assert result(pages, records) == ({"once": 2, "missing": 1}, [2])


@pytest.mark.parametrize("view", [BOTH, NEW])
def test_another_touch_makes_it_doubled(view: str):
    """A touch after the run's own, by a second writer."""
    assert result([page(A3)], [touch("a", 3, view=view), touch("a", 4, view=view)])[0] == {"doubled": 1}


def test_old_images_show_a_second_touch_when_another_record_follows():
    """With old images only, the new marker of an item's last change is unknown."""
    records = [touch("a", n, view=OLD) for n in (3, 4, 5)]
    assert result([page(A3)], records[:2])[0] == {"once": 1}
    assert result([page(A3)], records)[0] == {"doubled": 1}


@pytest.mark.parametrize("view", [BOTH, NEW, OLD])
def test_changes_of_others_are_not_taken_for_touches(view: str):
    """Before and after the run's touch: other attributes, other steps of the marker, a deletion and a new item."""
    own = [record({**A3, "x": {"N": "1"}}, {**item("a", 4), "x": {"N": "1"}}, view=view)]
    before = [record(A3, {**A3, "x": {"N": "1"}}, view=view)]
    after = [
        record({**item("a", 4), "x": {"N": "1"}}, {**item("a", 4), "x": {"N": "2"}}, view=view),
        record({**item("a", 4), "x": {"N": "2"}}, item("a", 9), view=view),
        record(item("a", 9), None, view=view),
        record(None, item("a", 5), view=view),
    ]
    assert result([page(A3)], before + own + after)[0] == {"once": 1}
    # With old images only, the last change may have been the run's touch.
    assert result([page(A3)], before)[0] == ({"once": 1} if view == OLD else {"missing": 1})


def test_touches_by_an_earlier_run_do_not_count():
    """They led to the marker that this run read."""
    assert result([page(A3)], [touch("a", n) for n in (1, 2, 3)])[0] == {"once": 1}


def test_a_change_of_further_attributes_is_not_the_run_s():
    """The run wrote marker 4; a record with marker 4 and another changed attribute is by another writer."""
    records = [record(A3, {**item("a", 4), "x": {"S": "y"}})]
    assert result([page(A3)], records)[0] == {"missing": 1}


def test_the_order_within_sets_does_not_matter():
    """The stream returns the members of a set in any order."""
    old = {**A3, "tags": {"SS": ["x", "y"]}, "m": {"M": {"l": {"L": [{"NS": ["1", "2"]}]}}}}
    new = {**item("a", 4), "tags": {"SS": ["y", "x"]}, "m": {"M": {"l": {"L": [{"NS": ["2", "1"]}]}}}}
    assert result([page(A3)], [record(old, new)])[0] == {"once": 1}


def test_after_a_conflict_the_run_touched_from_another_marker():
    """Another writer came first: it changed more than the marker (once) or only the marker (doubled)."""
    conflicted = [page(A3, notes=[("conflict", item("a", 5))])]
    by_other = record(A3, {**item("a", 5), "x": {"S": "y"}})
    own = record({**item("a", 5), "x": {"S": "y"}}, {**item("a", 6), "x": {"S": "y"}})
    assert result(conflicted, [by_other, own])[0] == {"once": 1}
    assert result([page(A3, notes=[("conflict", item("a", 4))])], [touch("a", 3), touch("a", 4)])[0] == {
        "doubled": 1
    }


def test_an_item_that_an_earlier_attempt_read_counts_from_that_marker():
    """Read as 3, found as 4 and left open; the next attempt touches from 4: two touches since the first read."""
    earlier, later = page(notes=[("read", A3)]), page(item("a", 4))
    assert result([earlier, later], [touch("a", 3), touch("a", 4)])[0] == {"doubled": 1}
    assert result([later], [touch("a", 3), touch("a", 4)])[0] == {"once": 1}
    assert result([earlier], [touch("a", 3)]) == ({}, [])


def test_found_changed_is_once_or_by_others():
    """The answer to a write was lost, or another writer came first: the stream shows which."""
    already = [page(A3, notes=[("already", A3)])]
    by_other = record(A3, {**item("a", 8), "x": {"S": "y"}})
    assert result(already, [touch("a", 3)])[0] == {"once": 1}
    assert result(already, [by_other])[0] == {"by_others": 1}
    assert result(already, [record(A3, None)])[0] == {"by_others": 1}
    assert result(already, [])[0] == {"missing": 1}
    assert result(already, [touch("a", 3), touch("a", 4)])[0] == {"doubled": 1}


def test_vanished_and_failed_items_are_not_expected():
    assert result([page(A3, notes=[("none", A3)])], []) == ({}, [])


def test_touches_of_known_runs_and_much_later_touches_are_not_doubled():
    """Known from the checkpoints of other runs, or later than clocks can differ (15 minutes)."""
    second = touch("a", 4)
    assert result([page(A3)], [touch("a", 3), second], others=[page(item("a", 4))])[0] == {"once": 1}
    late = touch("a", 4, second=SECOND + 11 + MAX_CLOCK_SKEW_S)
    assert result([page(A3)], [touch("a", 3), late])[0] == {"once": 1}


BEFORE = SECOND - 5
EXPORT: dict[str, Any] = {"markers_are_older": True, "opened": (SECOND, SECOND - 2)}


def test_in_an_export_touches_before_the_page_was_opened_are_another_run_s():
    """The marker is older than the run, so only time excludes. From the second of the page on, a touch counts."""
    conflicted = [page(A3, notes=[("conflict", item("a", 4))])]
    for second, found in ((BEFORE, {"once": 1}), (SECOND, {"doubled": 1})):
        records = [touch("a", 3, second=second), touch("a", 4)]
        assert result(conflicted, records, **EXPORT)[0] == found


def test_in_an_export_a_touch_before_the_page_does_not_count_for_an_item_found_changed():
    """The answer to the run's write was lost and another run had touched the item before: nothing fired since."""
    already = [page(A3, notes=[("already", A3)])]
    assert result(already, [touch("a", 3, second=BEFORE)], **EXPORT)[0] == {"missing": 1}
    assert result(already, [touch("a", 3)], **EXPORT)[0] == {"once": 1}
    # A touch that the service acknowledged is the run's, whatever its second.
    assert result([page(A3)], [touch("a", 3, second=BEFORE)], **EXPORT)[0] == {"once": 1}


def test_time_does_not_exclude_touches_from_a_marker_that_a_scan_read():
    """A touch from the marker that the scan read came after the scan, whatever the clocks say."""
    records = [touch("a", 3, second=BEFORE), touch("a", 4)]
    assert result([page(A3)], records, opened=(SECOND, SECOND - 2))[0] == {"doubled": 1}


def test_keys_only_records_from_before_the_page_do_not_count():
    """Such records can be judged by time only."""
    early, own = touch("a", 3, view=KEYS, second=BEFORE), touch("a", 4, view=KEYS)
    opened = (SECOND, SECOND - 2)
    assert result([page(A3)], [early], opened=opened)[0] == {"missing": 1}
    assert result([page(A3)], [early, own], opened=opened)[0] == {"once": 1}


@pytest.mark.parametrize("view", [BOTH, NEW])
def test_the_expected_change_at_another_time_is_unproven(view: str):
    """The expected change, an hour after the end: a clock was wrong, or another run made it. It is not missing."""
    late = touch("a", 3, view=view, second=SECOND + 3600)
    assert result([page(A3)], [late]) == ({"unproven": 1}, [])
    assert result([page(A3)], [late], others=[page(A3)]) == ({"missing": 1}, [0])


def test_keys_only_records_show_that_there_was_an_event():
    """They do not show whose: several records count as once and as a repeat."""
    records = [touch("a", n, view=KEYS) for n in (3, 4)]
    assert result([page(A3)], records)[0] == {"once": 1, "repeats": 1}
    assert result([page(A3)], [record(None, A3, view=KEYS)])[0] == {"missing": 1}


def test_numbers_that_are_not_small_integers():
    """Decimals, 30-digit and negative numbers are matched exactly."""
    for text, after in (("1.5", "2.5"), ("9" * 30, "1" + "0" * 30), ("-1", "0")):
        one = {**item("a"), "revision": {"N": text}}
        assert result([page(one)], [record(one, {**one, "revision": {"N": after}})])[0] == {"once": 1}
        assert result([page(one)], [record(one, {**one, "revision": {"N": "77.5"}})])[0] == {"missing": 1}


histories = st.lists(
    st.sampled_from(["touch", "other", "jump", "gone"]) | st.just("touch"), min_size=0, max_size=6
)


@given(before=histories, after=histories, touched=st.booleans(), start=st.integers(0, 3))
def test_any_history_has_the_known_result(before: list[str], after: list[str], touched: bool, start: int):
    """Changes by others before and after the read, with or without the run's touch. Both images."""
    records: list[dict[str, Any]] = []
    now: Item | None = {**item("a", start), "x": {"N": "0"}}

    def change(kind: str) -> None:
        nonlocal now
        if now is None:
            # A new item with the same key has a marker of its own.
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
    if touched:
        change("touch")
    touches = 0
    for kind in after if touched else []:
        touches += kind == "touch" and now is not None
        change(kind)
    expected = {"missing": 1} if not touched else {"doubled": 1} if touches else {"once": 1}
    assert result([page({"pk": read["pk"], "revision": read["revision"]})], records)[0] == expected
