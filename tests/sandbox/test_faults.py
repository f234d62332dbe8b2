"""Faults: what a fault file may say, whom each fault strikes, and that a seed gives the same faults again."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.capacity.reasons import Reason
from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.clock import VirtualClock
from refire_async.sandbox.fault_specs import (
    CapacityChanged,
    FaultFileError,
    FaultSpec,
    RequestFault,
    RequestKind,
    TableDeleted,
    parse_faults,
)
from refire_async.sandbox.faults import NOTHING, CapacityRestored, Faults, error_of
from refire_async.sandbox.latency import Latency, parse_latency

ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/Orders"
OPERATIONS = ("BatchExecuteStatement", "Scan", "UpdateItem")
SETTINGS = CapacitySettings()


def install(*faults: dict, seed: int = 0) -> tuple[Faults, VirtualClock]:
    """These faults, as read from a file, on a clock that moves by hand."""
    clock = VirtualClock()
    clock.advance(1000)  # times of the file count from here
    return Faults(parse_faults({"seed": seed, "faults": list(faults)}, operations=OPERATIONS), clock), clock


def mistakes(document: object) -> tuple[str, ...]:
    """What is wrong with a fault file; nothing if it can be read."""
    try:
        parse_faults(document, operations=OPERATIONS)
    except FaultFileError as error:
        return error.mistakes
    return ()


# Fault files -----------------------------------------------------------------------------------------------


def test_empty_file_ends_all_faults() -> None:
    """``{}`` is a file without faults."""
    assert parse_faults({}) == FaultSpec()
    assert Faults(parse_faults({}), VirtualClock()).decide("Scan", ["T"]) is NOTHING


def test_every_kind_can_be_written() -> None:
    """Each kind of fault is read with all of its members."""
    common = {
        "probability": 0.5,
        "count": 3,
        "operations": ["Scan"],
        "tables": ["T"],
        "start": 1,
        "stop": 2.5,
    }
    extra = {
        "internal_error": {"when": "after", "scope": "member"},
        "reset": {"when": "after"},
        "timeout": {"when": "before"},
        "throttle": {"reason": "IndexWriteKeyRangeThroughputExceeded", "index": "i", "scope": "member"},
        "truncate": {"keep_bytes": 0},
        "slow_drip": {"bytes_per_second": 7},
        "latency": {"latency": "5ms"},
    }
    for kind in RequestKind:
        spec = parse_faults({"faults": [{"kind": kind.value, **common, **extra.get(kind.value, {})}]})
        (fault,) = spec.requests
        assert fault.kind is kind
        assert (fault.probability, fault.count, fault.start, fault.stop) == (0.5, 3, 1.0, 2.5)
        assert (fault.operations, fault.tables) == ({"Scan"}, {"T"})
    events = parse_faults(
        {
            "seed": 9,
            "faults": [
                {"kind": "table_deleted", "table": "T", "start": 3},
                {"kind": "capacity", "table": "T", "index": "i", "read": 1, "write": 2.5, "stop": 9},
            ],
        }
    )
    assert events.seed == 9
    assert events.events == (TableDeleted("T", 3), CapacityChanged("T", "i", 1, 2.5, 0, 9))


def test_seed_of_the_command_line_is_the_default() -> None:
    """A file without a seed takes the sandbox's."""
    assert parse_faults({}, default_seed=5).seed == 5
    assert parse_faults({"seed": 6}, default_seed=5).seed == 6


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ([], "faults: [] is not a JSON object; {} ends all faults"),
        ({"fault": []}, "the fault file has no 'fault'; did you mean faults?"),
        ({"seed": "x"}, "seed: 'x' is not a whole number of at least 0"),
        ({"seed": True}, "seed: True is not a whole number of at least 0"),
        ({"faults": {}}, "'faults': {} is not a list"),
        ({"faults": [7]}, "faults[0]: 7 is not a JSON object"),
        ({"faults": [{"kind": "bad_crc"}, 7]}, "faults[1]: 7 is not a JSON object"),
    ],
)
def test_mistakes_in_the_file_are_named(document: object, line: str) -> None:
    """What is not a fault file at all gives one line that says what would be."""
    assert mistakes(document) == (line,)


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({"kind": "throtle"}, ".kind: the list of kinds has no 'throtle'; did you mean throttle?"),
        ({"kind": "throttle"}, ": a throttle fault needs 'reason'"),
        (
            {"kind": "throttle", "reason": "TableWrite"},
            f".reason: the list of reasons has no 'TableWrite'; known: {', '.join(Reason)}",
        ),
        (
            {"kind": "throttle", "reason": "IndexWriteAccountLimitExceeded"},
            ": IndexWriteAccountLimitExceeded needs 'index', the name of the index",
        ),
        (
            {"kind": "throttle", "reason": "TableReadAccountLimitExceeded", "index": "i"},
            ".index: TableReadAccountLimitExceeded speaks of the table, not of an index",
        ),
        ({"kind": "latency"}, ": a latency fault needs 'latency'"),
        ({"kind": "latency", "latency": 5}, '.latency: 5 is not a text like "5ms"'),
        ({"kind": "reset", "probability": 1.5}, ".probability: 1.5 is not a number from 0 up to 1"),
        ({"kind": "reset", "probability": math.nan}, ".probability: nan is not a number from 0 up to 1"),
        ({"kind": "reset", "count": 0}, ".count: 0 is not a whole number of at least 1"),
        ({"kind": "reset", "when": "during"}, ".when: 'during' is not one of before, after"),
        ({"kind": "reset", "start": 5, "stop": 5}, ".stop: 5 is not after start"),
        ({"kind": "reset", "tables": "T"}, ".tables: 'T' is not a list of names"),
        ({"kind": "reset", "tables": [1]}, ".tables: 1 is not a name"),
        (
            {"kind": "reset", "operations": ["updateItem"]},
            ".operations: the sandbox has no 'updateItem'; did you mean UpdateItem?",
        ),
        (
            {"kind": "bad_crc", "when": "after"},
            ": a bad_crc fault has no 'when'; known: count, operations, probability, start, stop, tables",
        ),
        ({"kind": "capacity", "table": "T"}, ": a capacity fault needs 'read', 'write' or both"),
        (
            {"kind": "slow_drip", "bytes_per_second": 0},
            ".bytes_per_second: 0 is not a number above 0 up to 1e+09",
        ),
    ],
)
def test_mistakes_in_a_fault_are_named(entry: dict, line: str) -> None:
    """Each mistake gives one line that says where it is and what would be right."""
    assert mistakes({"faults": [entry]}) == (f"faults[0]{line}",)


def test_all_mistakes_are_told_at_once() -> None:
    """A file with several mistakes has a line for each."""
    with pytest.raises(FaultFileError) as raised:
        parse_faults(
            {"seed": -1, "faults": [{"kind": "reset", "count": 0, "stop": "x"}, {}, {"kind": "reset"}]}
        )
    places = [line.split(":")[0] for line in raised.value.mistakes]
    assert places == ["seed", "faults[0].count", "faults[0].stop", "faults[1]"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["faults", "seed", "kind", "reason", "latency", "when", "start", "stop", "table", "x"]
            ),
            inner | st.sampled_from([kind.value for kind in RequestKind] + ["capacity", "table_deleted"]),
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(json_values)
def test_any_json_is_read_or_refused(document: object) -> None:
    """Whatever JSON comes, it is a fault file or a list of one-line mistakes."""
    lines = mistakes(document)
    assert all(line and "\n" not in line for line in lines)
    if not lines:
        assert isinstance(parse_faults(document, operations=OPERATIONS), FaultSpec)


# Decisions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        ({"kind": "internal_error"}, "before"),
        ({"kind": "internal_error", "when": "after"}, "after"),
        ({"kind": "reset"}, "before"),
        ({"kind": "reset", "when": "after"}, "after"),
        ({"kind": "timeout", "when": "after"}, "after"),
        ({"kind": "unavailable"}, "before"),
        ({"kind": "expired_token"}, "before"),
        ({"kind": "access_denied"}, "before"),
        ({"kind": "throttle", "reason": "TableReadKeyRangeThroughputExceeded"}, "before"),
        ({"kind": "truncate"}, "answer"),
        ({"kind": "bad_crc"}, "answer"),
        ({"kind": "slow_drip"}, "answer"),
    ],
)
def test_where_a_fault_strikes(fault: dict, place: str) -> None:
    """Before the request is carried out, after it, or on the bytes of its answer; nowhere else."""
    faults, _ = install(fault)
    decision = faults.decide("Scan", ["T"])
    struck = {name for name in ("before", "after", "answer") if getattr(decision, name) is not None}
    assert struck == {place}
    assert getattr(decision, place).kind == fault["kind"]
    assert decision.delay == 0


def test_filters() -> None:
    """Only requests of the named operations and tables are struck, in the time given, as often as allowed."""
    faults, clock = install(
        {"kind": "reset", "operations": ["Scan"], "tables": ["A", "B"], "start": 10, "stop": 20, "count": 2}
    )
    assert faults.decide("Scan", ["A"]) is NOTHING
    clock.advance(10)
    assert faults.decide("UpdateItem", ["A"]) is NOTHING
    assert faults.decide("Scan", ["C"]) is NOTHING
    assert faults.decide("Scan", []) is NOTHING
    assert faults.decide("Scan", ["C", "B"]).before is not None
    assert faults.decide("Scan", ["A"]).before is not None
    assert faults.decide("Scan", ["A"]) is NOTHING
    assert faults.struck() == [{"kind": "reset", "struck": 2}]
    faults, clock = install({"kind": "reset", "start": 10, "stop": 20})
    clock.advance(19.99)
    assert faults.decide("Scan", ["A"]).before is not None
    clock.advance(0.01)
    assert faults.decide("Scan", ["A"]) is NOTHING


def test_one_end_per_request() -> None:
    """A refused request is not carried out, so later faults neither strike it nor use up their count."""
    faults, _ = install(
        {"kind": "truncate", "count": 1},
        {"kind": "reset", "when": "after", "count": 1},
        {"kind": "unavailable", "count": 1},
        {"kind": "latency", "latency": "20ms"},
        {"kind": "latency", "latency": "5ms"},
    )
    fates = [faults.decide("Scan", ["T"]) for _ in range(4)]
    assert [fate.delay for fate in fates] == [0.025] * 4
    assert [fate.before and fate.before.kind for fate in fates] == ["unavailable", None, None, None]
    assert [fate.after and fate.after.kind for fate in fates] == [None, "reset", None, None]
    assert [fate.answer and fate.answer.kind for fate in fates] == [None, None, "truncate", None]


def test_first_of_the_list_wins() -> None:
    """Of two faults that would strike in the same place, the earlier one does, and alone is counted."""
    faults, _ = install({"kind": "unavailable", "count": 2}, {"kind": "reset"})
    kinds = [
        decision.before.kind
        for decision in (faults.decide("Scan", ["T"]) for _ in range(3))
        if decision.before
    ]
    assert kinds == ["unavailable", "unavailable", "reset"]
    assert [one["struck"] for one in faults.struck()] == [2, 1]


def test_members_are_struck_one_by_one() -> None:
    """A fault of scope member leaves requests alone and strikes members of its table."""
    reason = "TableWriteKeyRangeThroughputExceeded"
    faults, _ = install(
        {"kind": "throttle", "reason": reason, "scope": "member", "tables": ["A"], "probability": 0.25}
    )
    assert faults.decide("BatchExecuteStatement", ["A"]) is NOTHING
    fates = [faults.decide_member("BatchExecuteStatement", "A") for _ in range(2000)]
    struck = [fate for fate in fates if fate is not None]
    assert len(struck) == pytest.approx(500, rel=0.2)
    assert {fate.reason for fate in struck} == {Reason(reason)}
    assert faults.decide_member("BatchExecuteStatement", "B") is None


def _fates(seed: int, *faults: dict) -> list:
    installed, _ = install(*faults, seed=seed)
    return [installed.decide("Scan", ["T"]) for _ in range(300)]


def test_same_seed_same_faults() -> None:
    """The same file and seed give the same fate to each request; another seed gives others."""
    file = (
        {"kind": "internal_error", "when": "after", "probability": 0.1},
        {"kind": "latency", "latency": "lognormal:5ms,0.5", "probability": 0.3},
    )
    assert _fates(1, *file) == _fates(1, *file)
    assert _fates(1, *file) != _fates(2, *file)
    rate = sum(fate.after is not None for fate in _fates(1, *file)) / 300
    assert rate == pytest.approx(0.1, abs=0.05)


def test_faults_do_not_disturb_each_other() -> None:
    """Adding a fault to the end of the list changes nothing for those before it."""
    first = {"kind": "internal_error", "when": "after", "probability": 0.2}
    alone = [fate.after for fate in _fates(1, first)]
    assert [fate.after for fate in _fates(1, first, {"kind": "bad_crc", "probability": 0.5})] == alone
    assert [fate.after for fate in _fates(1, first, {"kind": "latency", "latency": "1ms"})] == alone


@given(st.integers(0, 2**32), st.floats(0, 1), st.integers(1, 50))
def test_never_more_than_count(seed: int, probability: float, count: int) -> None:
    """A fault strikes at most ``count`` requests, and none at probability 0."""
    faults, _ = install({"kind": "reset", "probability": probability, "count": count}, seed=seed)
    struck = sum(faults.decide("Scan", ["T"]).before is not None for _ in range(100))
    assert struck <= (count if probability > 0 else 0)
    assert faults.struck() == [{"kind": "reset", "struck": struck}]


# Tables ----------------------------------------------------------------------------------------------------


def test_capacity_changes_and_comes_back() -> None:
    """Events come once each, in order of time; a change with an end is undone at its end."""
    faults, clock = install(
        {"kind": "table_deleted", "table": "B", "start": 30},
        {"kind": "capacity", "table": "A", "write": 250, "start": 10, "stop": 20},
        {"kind": "capacity", "table": "A", "index": "i", "read": 1, "start": 5},
    )
    assert faults.due() == []
    assert faults.next_event_at == 1005
    clock.advance(10)
    assert faults.due() == [
        CapacityChanged("A", "i", read=1, start=5),
        CapacityChanged("A", write=250, start=10, stop=20),
    ]
    assert faults.due() == []
    clock.advance(60)
    assert faults.due() == [CapacityRestored("A", None), TableDeleted("B", 30)]
    assert faults.next_event_at == math.inf


def test_ending_faults_restores_capacity() -> None:
    """``{}`` in the middle: what was lowered comes back, what was to come never does, nothing strikes."""
    faults, clock = install(
        {"kind": "capacity", "table": "A", "write": 250},
        {"kind": "capacity", "table": "C", "write": 250, "stop": 2},
        {"kind": "table_deleted", "table": "B", "start": 30},
        {"kind": "reset"},
    )
    clock.advance(5)
    faults.due()
    assert faults.end() == [CapacityRestored("A", None)]
    clock.advance(60)
    assert faults.due() == []
    assert faults.decide("Scan", ["A"]) is NOTHING
    assert faults.end() == []


# Answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "type_", "status"),
    [
        (RequestKind.INTERNAL_ERROR, "InternalServerError", 500),
        (RequestKind.UNAVAILABLE, "ServiceUnavailable", 503),
        (RequestKind.EXPIRED_TOKEN, "ExpiredTokenException", 400),
        (RequestKind.ACCESS_DENIED, "AccessDeniedException", 400),
    ],
)
def test_errors_of_faults(kind: RequestKind, type_: str, status: int) -> None:
    """Faults that answer do so with the service's error type and status."""
    error = error_of(RequestFault(kind), "UpdateItem", ARN, settings=SETTINGS)
    assert error is not None
    assert (error.type, error.status) == (type_, status)


def test_forced_throttle_names_its_resource() -> None:
    """A forced throttle looks like a real one of that reason."""
    fault = RequestFault(RequestKind.THROTTLE, reason=Reason.INDEX_WRITE_PROVISIONED, index="i")
    error = error_of(fault, "UpdateItem", ARN, settings=SETTINGS)
    assert error is not None
    assert error.type == "ProvisionedThroughputExceededException"
    assert error.extra["ThrottlingReasons"] == [
        {"reason": "IndexWriteProvisionedThroughputExceeded", "resource": f"{ARN}/index/i"}
    ]


def test_faults_of_the_wire_have_no_error() -> None:
    """A reset, a timeout and a spoiled answer are not errors of the service."""
    for kind in (RequestKind.RESET, RequestKind.TIMEOUT, RequestKind.TRUNCATE, RequestKind.LATENCY):
        assert error_of(RequestFault(kind), "Scan", ARN, settings=SETTINGS) is None


# Latency ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("5ms", Latency("fixed", 0.005)),
        (" 250us ", Latency("fixed", 0.00025)),
        ("1.5s", Latency("fixed", 1.5)),
        ("0ms", Latency("fixed", 0.0)),
        ("uniform:2ms,10ms", Latency("uniform", 0.002, 0.01)),
        ("lognormal:5ms,0.5", Latency("lognormal", 0.005, 0.5)),
        ("lognormal: 5ms, 0", Latency("lognormal", 0.005, 0.0)),
    ],
)
def test_latency_forms(text: str, latency: Latency) -> None:
    """Each form is read with its unit."""
    parsed = parse_latency(text)
    assert (parsed.kind, parsed.first, parsed.second) == (
        latency.kind,
        pytest.approx(latency.first),
        pytest.approx(latency.second),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5", "'5' is not a time like 5ms"),
        ("", "'' is not a time like 5ms"),
        ("-5ms", "'-5ms' is not a time"),
        ("2h", "'2h' is not a time"),
        ("99999s", "99999s is more than an hour"),
        ("normal:5ms,1", "is not understood"),
        ("uniform:5ms", "is not understood"),
        ("uniform:10ms,2ms", "10ms is more than 2ms"),
        ("lognormal:5ms,x", "sigma 'x' is not a number from 0 to 5"),
        ("lognormal:5ms,nan", "sigma 'nan' is not a number from 0 to 5"),
        ("lognormal:5ms,50", "sigma '50' is not a number from 0 to 5"),
    ],
)
def test_bad_latency(text: str, message: str) -> None:
    """A form that is not understood gives one line that quotes it."""
    with pytest.raises(ValueError, match="latency") as raised:
        parse_latency(text)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_latency_distributions() -> None:
    """Samples have the median and the bounds that were asked for, and repeat with the seed."""
    rng = random.Random(3)
    lognormal = [parse_latency("lognormal:5ms,0.5").sample(rng) for _ in range(5000)]
    assert statistics.median(lognormal) == pytest.approx(0.005, rel=0.05)
    assert statistics.stdev(math.log(sample) for sample in lognormal) == pytest.approx(0.5, rel=0.05)
    uniform = [parse_latency("uniform:2ms,10ms").sample(rng) for _ in range(5000)]
    assert 0.002 <= min(uniform) < 0.0021
    assert 0.0099 < max(uniform) <= 0.01
    rng.seed(3)
    assert parse_latency("lognormal:5ms,0.5").sample(rng) == lognormal[0]
