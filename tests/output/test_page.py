"""The report: its content, that it hides keys, and that foreign text cannot become markup."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.checkpoint.recording import Recording
from refire_async.model.marker import Marker
from refire_async.model.proof import ProofCounts
from refire_async.model.series import Note, Point
from refire_async.output.html.charts import quantile
from refire_async.output.html.markup import el
from refire_async.output.html.page import render
from refire_async.output.html.promises import promises
from refire_async.output.html.report_data import read_report_data
from refire_async.output.html.track import MOST_COLUMNS, lay_out
from refire_async.planning.forecast.cost import Prices
from tests.output.runs import finished_run, private_spec
from tests.support.checkpoints import SPEC, new_store

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
CLEAN = ProofCounts(expected=59_990, once=59_985, by_others=5)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&lt;\u202e\x00"


class Reader(HTMLParser):
    """Elements, attributes and texts of a page; fails where elements do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def report(checkpoint: Path, *, with_keys: bool = False) -> str:
    """The page of a run."""
    return render(read_report_data(checkpoint, with_keys=with_keys), NOW)


def row(checkpoint: Path, promise: str) -> str:
    """The text of a promise in a report."""
    found = re.search(rf"<b>{promise}</b></td><td>(.*?)</tr>", promises(read_report_data(checkpoint)))
    assert found, promise
    return re.sub(r"<[^>]+>", " ", found[1])


def test_content(tmp_path: Path) -> None:
    """Counts, proof, cost, findings, failures, settings and the timeline are all in it."""
    text = Reader(report(finished_run(tmp_path / "a.refire", proof=CLEAN))).text
    for said in (
        "Run run-1 of table orders",
        "60,100 scanned = 59,990 touched + 0 already + 10 vanished + 0 expired + 100 failed",
        "59,985 of 59,990 events once by this run, 5 by others, 0 doubled",
        "4 of 4 segments read to their end",
        "the table's stream has no consumer",
        "ValidationException 100",
        "revision in attribute revision",
        "--max-wcu 800 --verify --ignore no-consumer",
        "paused: you, by refire rate",
        "stopping: interrupted",
        "index writes: hot key range",
        "project-orders at most 2 min 09 s",
        "$0.06",  # 100,000 writes on demand
        "It contains no keys of items.",
    ):
        assert said in text, said
    titles = [
        "What limited the rate",
        "Write capacity against the budget",
        "Items",
        "Throttling by reason",
        "Latency of writes",
    ]
    assert all(title in text for title in [*titles, "Progress over the hash range"])


def test_every_promise_that_holds_is_called_kept(tmp_path: Path) -> None:
    """A proved, complete run within its budget shows all six."""
    report_data = read_report_data(finished_run(tmp_path / "a.refire", proof=CLEAN, failed=0))
    assert promises(report_data).count("✓ kept") == 6


@pytest.mark.parametrize(
    ("promise", "counts", "budget", "said"),
    [
        ("Once", ProofCounts(10, 9, doubled=1), 800.0, "broken"),
        ("Coverage", ProofCounts(10, 9, missing=1), 800.0, "broken"),
        ("Coverage", ProofCounts(10, 9, unproven=1), 800.0, "not shown"),
        ("Once", None, 800.0, "not shown"),
        ("Budget", CLEAN, 600.0, "broken"),
        ("Budget", CLEAN, 0.0, "not shown"),
    ],
)
def test_a_promise_that_was_not_kept_or_not_shown(
    tmp_path: Path, promise: str, counts: ProofCounts | None, budget: float, said: str
) -> None:
    """A verification that found a problem, no verification, and use above the budget."""
    assert said in row(finished_run(tmp_path / "a.refire", proof=counts, budget=budget), promise)


def test_failed_items_break_coverage(tmp_path: Path) -> None:
    """The run is complete and every event proved, but 100 items have not fired."""
    path = finished_run(tmp_path / "a.refire", proof=CLEAN)
    found = row(path, "Coverage")
    assert "broken" in found
    assert "100 items could not be touched" in found
    assert '<span class="mark fail">complete, 100 items failed</span>' in report(path)


@pytest.mark.parametrize("view", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE"])
def test_a_stream_that_shows_less_proves_no_promise(tmp_path: Path, view: str) -> None:
    """It disproves nothing, and the report claims no more."""
    path = finished_run(tmp_path / "a.refire", proof=CLEAN, view=view, failed=0)
    for promise in ("Once", "Coverage"):
        assert "kept" not in row(path, promise)
        assert "not shown" in row(path, promise)
    text = Reader(report(path)).text
    assert "Not disproved by the stream" in text
    assert "Proved from the stream" not in text


def test_a_run_that_was_not_verified_shows_no_coverage(tmp_path: Path) -> None:
    """Nothing but its own counts is known, and the page says how to verify."""
    found = row(finished_run(tmp_path / "a.refire", failed=0), "Coverage")
    assert "not shown" in found
    assert "refire verify run-1" in found


@pytest.mark.parametrize(
    ("index_budget", "state", "said"),
    [
        (400.0, "kept", "0 of 24 windows of 5 s above that of index _by-$day$ and its burst"),
        (300.0, "broken", "above that of index _by-$day$ and its burst, the highest took 133% of it"),
        (None, "not shown", "the budget of index _by-$day$ was not recorded"),
    ],
)
def test_an_index_has_a_budget_of_its_own(
    tmp_path: Path, index_budget: float | None, state: str, said: str
) -> None:
    """The table stayed within its budget; the promise covers each index that was written to as well."""
    path = finished_run(tmp_path / "a.refire", proof=CLEAN, index_budget=index_budget)
    found = row(path, "Budget")
    assert state in found
    assert said in found
    assert "0 of 24 windows of 5 s above the table" in found


def test_an_attempt_of_an_earlier_version_leaves_a_gap(tmp_path: Path) -> None:
    """Units without a recorded budget are not compared with that of another attempt, and do not count as kept."""
    report_data = read_report_data(finished_run(tmp_path / "a.refire", proof=CLEAN, failed=0))
    for point in report_data.recorded.points[:60]:
        point.index_budgets.clear()
    assert report_data.budgets["_by-$day$"] == (0, 12, pytest.approx(1.0, abs=0.01), True)
    assert promises(report_data).count("✓ kept") == 5


def test_a_run_in_progress_shows_no_promise_yet(tmp_path: Path) -> None:
    """A new checkpoint has a report too."""
    new_store(tmp_path / "a.refire").close()
    assert "not shown" in row(tmp_path / "a.refire", "Coverage")
    assert "Nothing was recorded." in report(tmp_path / "a.refire")


def test_keys_are_shown_only_on_request(tmp_path: Path) -> None:
    """Neither failed nor selected keys, nor values of a filter, without `with_keys`."""
    path = finished_run(tmp_path / "a.refire", private_spec(), reason="what Bob Miller wrote is too long")
    hidden, shown = report(path), report(path, with_keys=True)
    for private in ("ann7@example.org", "bob@example.org", "Bob Miller"):
        assert private not in hidden
        assert private in shown
    assert "It contains keys of items" in shown


def test_foreign_text_stays_text(tmp_path: Path) -> None:
    """Markup in ids, names, findings, codes and reasons is shown as text; with and without keys."""
    spec = replace(SPEC, run_id=HOSTILE, table=HOSTILE, marker=Marker("revision", HOSTILE, HOSTILE))
    path = finished_run(tmp_path / "a.refire", spec, finding=HOSTILE, code=HOSTILE, reason=HOSTILE)
    with Recording(path) as recording:
        cause = f"{HOSTILE} {HOSTILE}"
        recording.save(
            [Point(2e9, 1.0, 5, budget=9.0, wcu={HOSTILE: 5.0, "": 1.0}, throttled={cause: 3})],
            [Note(2e9, "pause", {"why": HOSTILE})],
        )
    tame = Reader(report(finished_run(tmp_path / "b.refire"), with_keys=True))
    page = Reader(report(path, with_keys=True))
    known = {tag for tag, _ in tame.elements}
    assert {tag for tag, _ in page.elements} <= known
    assert not {"script", "img", "a", "iframe", "object", "link"} & known
    for _tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
    assert page.text.count("<script>alert(1)</script>") >= 8
    assert "\u202e" not in page.text


@given(st.text(), st.text())
def test_text_comes_out_as_it_went_in(text: str, value: str):
    """An element has exactly the text that it was given, except for invisible characters."""
    page = Reader(el("p", text, title=value))
    assert [tag for tag, _ in page.elements] == ["p"]
    assert "".join(page.texts) == "".join(c if c.isprintable() else " " for c in text)
    assert page.elements[0][1]["title"] == "".join(c if c.isprintable() else " " for c in value)


def test_it_loads_nothing(tmp_path: Path) -> None:
    """No address except XML namespaces, no picture except its own, and a policy that forbids both."""
    page = report(finished_run(tmp_path / "a.refire"))
    addresses = set(re.findall(r"\b(?:https?:)?//[\w.-]+", page))
    assert addresses <= {"http://www.w3.org", "//www.w3.org"}
    sources = [
        value
        for _, attributes in Reader(page).elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href")
    ]
    assert all((value or "").startswith(("#", "data:image/png")) for value in sources)
    assert "default-src 'none'" in page


def test_plots_take_the_colours_of_the_page(tmp_path: Path) -> None:
    """Every plot has a title and a description, and colours that follow the reader's preference."""
    page = report(finished_run(tmp_path / "a.refire"))
    plots = re.findall(r'<svg [^>]*role="img".*?</figure>', page, re.DOTALL)
    assert len(plots) == 7
    for plot in plots:
        assert re.match(r"<svg [^>]*><title>[^<]+</title><desc>[^<]+</desc>", plot)
        assert "var(--ink)" in plot
        assert re.findall(r"#[0-9a-f]{3,6}", plot) == []


def test_all_plots_share_one_time_axis(tmp_path: Path) -> None:
    """The same ticks at the same places, and the same pauses and resumes."""
    page = report(finished_run(tmp_path / "a.refire"))
    plots = re.findall(r'<svg [^>]*role="img".*?</figure>', page, re.DOTALL)
    axes = {tuple(re.findall(r'<text x="([\d.]+%)"[^>]*>([^<]+)<', plot)) for plot in plots}
    assert len(axes) == 1
    assert ("50.00%", "60 s") in next(iter(axes))
    for plot in plots:
        assert plot.count('class="break"') == 1
        assert plot.count('class="gap"') == 1


def test_a_budget_far_above_what_was_used_does_not_flatten_the_curve(tmp_path: Path) -> None:
    """The legend has its value, and the axis ends above the consumption."""
    page = report(finished_run(tmp_path / "a.refire", budget=99_999.0))
    assert "budget (up to 99,999: above this scale)" in page
    plot = page[page.index("<title>Write capacity") :]
    axis = re.findall(r'text-anchor="end" fill="var\(--ink\)">([^<]+)<', plot[: plot.index("</figure>")])
    assert axis == ["120 s", "0", "500", "1,000"]


def test_a_long_run_makes_no_long_page(tmp_path: Path) -> None:
    """2,000 points are drawn in at most `MOST_COLUMNS` columns with the same sum."""
    points = [Point(1e9 + second, 1.0, items=second) for second in range(2_000)]
    track = lay_out(points, [1e9])
    assert track is not None
    assert len(track.points) <= MOST_COLUMNS
    assert sum(point.items for point in track.points) == sum(range(2_000))
    assert track.edges[-1] == 2_000
    assert points[0].seconds == 1.0


def test_time_between_attempts_is_left_out() -> None:
    """A night between two attempts is a line, not a gap."""
    points = [Point(at, 1.0) for at in (100.0, 101.0, 40_000.0, 40_001.0)]
    track = lay_out(points, [100.0, 40_000.0])
    assert track is not None
    assert (track.edges, track.breaks) == ([0.0, 1.0, 2.0, 3.0, 4.0], [2.0])


@given(st.dictionaries(st.integers(0, 63).map(str), st.integers(1, 1_000), min_size=1), st.floats(0.01, 0.99))
def test_a_quantile_is_in_the_bucket_that_holds_it(counts: dict[str, float], share: float):
    """At least `share` of the requests lie below the bucket's end."""
    value = quantile(counts, share)
    total = sum(counts.values())
    below = sum(number for bucket, number in counts.items() if 0.001 * 1.2 ** (int(bucket) - 1) < value)
    assert below >= share * total


def test_own_prices(tmp_path: Path) -> None:
    """The cost is that of the given prices."""
    path = finished_run(tmp_path / "a.refire")
    spent = read_report_data(path, prices=Prices(write_million=10.0, read_million=0.0)).cost
    assert spent is not None
    assert spent.total == pytest.approx(1.0)
