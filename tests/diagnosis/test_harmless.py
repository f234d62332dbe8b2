"""Nothing but numbers, times and known words passes, wherever a text stands."""

import json
import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.diagnosis import harmless
from refire_async.diagnosis.events import EVENTS, MOST_EVENTS, read_tail, reduce_event
from refire_async.diagnosis.report import Setting
from refire_async.preflight.findings import KINDS

DOCS = Path(__file__).parents[2] / "docs"
FIELDS = (
    *(
        "event",
        "time",
        "timestamp",
        "level",
        "reason",
        "code",
        "type",
        "state",
        "status",
        "kind",
        "selection",
    ),
    *(
        "billing",
        "id",
        "items",
        "failed",
        "throttled_by",
        "text",
        "why",
        "message",
        "run_id",
        "table",
        "clean",
    ),
)

plants = st.text(max_size=12).map(lambda text: f"planted{text}")
values = st.recursive(
    plants | st.integers() | st.floats() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plants, inner, max_size=3),
    max_leaves=6,
)
events = st.builds(
    lambda known, other: known | other,
    st.fixed_dictionaries(dict.fromkeys(FIELDS, plants | values)),
    st.dictionaries(plants, values, max_size=2),
)


@given(events, st.sampled_from(sorted(EVENTS)))
def test_no_text_of_an_event_passes(event: dict[str, object], name: str) -> None:
    """Field names, values and nested ones: with a known event, and with whatever stands in its place."""
    for one in (event, {**event, "event": name}):
        reduced = reduce_event(one)
        assert "planted" not in json.dumps(reduced)
        assert reduced is None or reduced["event"] in {*EVENTS, "summary"}
    assert reduce_event({**event, "event": name}) is not None


@given(plants, plants, st.sampled_from(["endpoint-url", "key-value", "writer"]))
def test_no_text_of_a_setting_passes(value: str, source: str, name: str) -> None:
    """Only one of the words of the option does."""
    del source
    assert "planted" not in json.dumps(Setting(name, "flag", value, ("partiql", "update")).to_json())


@pytest.mark.parametrize(
    ("value", "words", "shown"),
    [
        (500.0, (), {"value": 500.0}),
        (True, (), {"value": True}),
        ("update", ("partiql", "update"), {"value": "update"}),
        ("status = 'OPEN'", (), {}),
        (["a", "b"], (), {}),
    ],
)
def test_a_setting(value: object, words: tuple[str, ...], shown: dict[str, object]) -> None:
    assert Setting("x", "file", value, words).to_json() == {"name": "x", "source": "file", **shown}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (None, None),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://ann:secret@Proxy.example:443/path/secret?q=secret#secret", "https://proxy.example:443"),
        ("https://[::1]:9/", "https://[::1]:9"),
        ("ftp://host", "other"),
        ("http://ho st", "other"),
        ("http://host:99999", "other"),
        ("secret", "other"),
    ],
)
def test_an_endpoint(url: str | None, shown: str | None) -> None:
    """Scheme, host and port."""
    assert harmless.endpoint(url) == shown


@pytest.mark.parametrize(
    "known",
    [
        *(
            "ValidationException",
            "AccessDeniedException",
            "ThrottlingException",
            "ConnectionLost",
            "HTTP 503",
        ),
        *(
            "TableWriteKeyRangeThroughputExceeded",
            "NoCredentials",
            "NoRegionError",
            "TooManyRequestsException",
        ),
        *(
            "ConditionalCheckFailed",
            "CheckpointRefusedError",
            "FileNotFoundError",
            "ItemCollectionSizeLimitExceeded",
        ),
    ],
)
def test_codes_that_help_are_known(known: str) -> None:
    assert harmless.code(known) == known
    assert harmless.code(f"{known}x") == "other"


def test_times() -> None:
    """ISO 8601 and seconds; nothing else."""
    assert harmless.moment("2026-12-01T12:00:00.5+01:00") == "2026-12-01T11:00:00.500Z"
    assert harmless.moment(0) == "1970-01-01T00:00:00.000Z"
    for other in ("planted", True, None, 1e300, float("nan"), [], "2026-12-01 planted"):
        assert harmless.moment(other) is None


def test_numbers_of_moderate_size() -> None:
    assert [harmless.number(one) for one in (0, -1.5, True, 10**15, float("inf"), "7", None)] == [
        *(0, -1.5, True),
        *(None, None, None, None),
    ]


def test_every_documented_event_is_known() -> None:
    """Those of the logs and of --json, by name; `check.ID` for every finding."""
    rows = re.findall(r"^\| `([a-z.]+)` \| [a-z, ]+ \|", (DOCS / "logging.md").read_text(), re.MULTILINE)
    schema = json.loads((DOCS / "events.schema.json").read_text())
    names = set(re.findall(r'"const": "([a-z-]+)"', json.dumps(schema)))
    assert len(rows) > 40
    assert len(names) > 10
    assert {*rows, *names, *(f"check.{kind.id}" for kind in KINDS)} <= EVENTS


def test_the_end_of_a_log(tmp_path: Path) -> None:
    """The last events of a long file; lines that are none are counted."""
    log = tmp_path / "log"
    lines = [orjson.dumps({"event": "run.progress", "items": n, "state": "planted"}) for n in range(500)]
    log.write_bytes(b"\n".join([b"planted", b"[1]", b'{"event": "planted"}', *lines, b'{"event": "run.prog']))
    found = read_tail(log)
    assert found["lines_left_out"] == 4
    assert [event["items"] for event in found["events"]] == [*range(500 - MOST_EVENTS, 500)]
    assert found["events"][0]["state"] == "other"
    assert "planted" not in json.dumps(found)


def test_a_log_that_cannot_be_read(tmp_path: Path) -> None:
    """Not there, a folder, a link: the name of the error."""
    (tmp_path / "link").symlink_to(tmp_path)
    assert read_tail(tmp_path / "none") == {"read": "FileNotFoundError"}
    assert read_tail(tmp_path)["read"] in ("OSError", "IsADirectoryError")
    assert read_tail(tmp_path / "link")["read"] in ("OSError", "IsADirectoryError")
