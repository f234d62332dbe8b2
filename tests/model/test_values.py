"""The plain values: they travel through JSON unharmed, and counts add up."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.checkpoint.reading import spec_from_json, spec_to_json
from refire_async.errors import ExitCode
from refire_async.model.capacity import TABLE, Consumed, parse_consumed
from refire_async.model.counts import COUNT_NAMES, Counts
from refire_async.model.keys import KeySchema, identity
from refire_async.model.marker import Marker
from refire_async.model.run import RunSpec, Summary
from refire_async.model.selection import Selection
from refire_async.model.table import Index

names = st.text(min_size=1, max_size=20)
attribute_values = st.one_of(
    st.builds(lambda text: {"S": text}, st.text(max_size=20)),
    st.builds(lambda number: {"N": str(number)}, st.integers()),
    st.just({"B": "AP8="}),
    st.builds(lambda inner: {"L": [{"S": inner}]}, st.text(max_size=5)),
)
pairs_of_names = st.lists(st.tuples(names, names), max_size=3).map(tuple)
pairs_of_values = st.lists(st.tuples(names, attribute_values), max_size=3).map(tuple)
selections = st.builds(
    Selection,
    kind=st.sampled_from(["scan", "query", "keys"]),
    index=st.none() | names,
    key_name=st.none() | names,
    key_values=st.lists(attribute_values, max_size=3).map(tuple),
    sort_key_condition=st.none() | names,
    filter=st.none() | names,
    names=pairs_of_names,
    values=pairs_of_values,
    keys_file=st.none() | names,
    sample=st.none() | st.floats(0.001, 100),
    include_expired=st.booleans(),
)
schemas = st.builds(KeySchema, names, st.sampled_from("SNB")) | st.builds(
    KeySchema, names, st.sampled_from("SNB"), names, st.sampled_from("SNB")
)
specs = st.builds(
    RunSpec,
    run_id=names,
    table=names,
    table_id=names,
    keys=schemas,
    selection=selections,
    marker=st.builds(Marker, st.sampled_from(["revision", "stamp"]), names, names),
    total_segments=st.integers(1, 1_000_000),
    ttl_attribute=st.none() | names,
)


@given(specs)
def test_a_run_spec_comes_back_from_the_checkpoint_as_it_was(spec: RunSpec):
    """Any difference would refuse the checkpoint of the very same run."""
    assert spec_from_json(spec_to_json(spec)) == spec


@given(selections)
def test_a_selection_comes_back_from_json_as_it_was(selection: Selection):
    assert Selection.from_json(selection.to_json()) == selection


def test_a_selection_with_an_unknown_field_is_refused():
    """It was written by a version that knows more."""
    with pytest.raises(TypeError):
        Selection.from_json({"kind": "scan", "samples": 0.1})


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (Selection("scan"), "all of the table"),
        (Selection("scan", index="by-day", filter="a = :b"), "all of index by-day, filtered"),
        (Selection("query", key_name="pk", key_values=({"S": "a"},)), "pk = a of the table"),
        (
            Selection("query", key_name="pk", key_values=({"N": "1"},), sort_key_condition="> 5"),
            "pk = 1 of the table, sort key > 5",
        ),
        (Selection("keys", keys_file="/tmp/keys"), "the keys in /tmp/keys"),
    ],
)
def test_a_selection_says_what_it_is(selection: Selection, words: str):
    assert selection.describe() == words


counts = st.builds(Counts, **{name: st.integers(0, 10**9) for name in COUNT_NAMES})


@given(counts, counts)
def test_adding_counts_adds_every_one_of_them(one: Counts, other: Counts):
    before = one.to_json()
    one.add(other)
    assert one.to_json() == {name: before[name] + getattr(other, name) for name in COUNT_NAMES}


@given(counts)
def test_settled_items_are_those_with_an_outcome(some: Counts):
    """`conflicts` are among `touched`, `scanned` is the sum to be reached."""
    assert some.settled == some.touched + some.already + some.vanished + some.expired + some.failed


@pytest.mark.parametrize(
    ("index", "projects"),
    [
        (Index("i", "global", KeySchema("g", "S"), "ALL"), True),
        (Index("i", "global", KeySchema("g", "S"), "KEYS_ONLY"), False),
        (Index("i", "global", KeySchema("g", "S"), "INCLUDE", frozenset(["other"])), False),
        (Index("i", "global", KeySchema("g", "S"), "INCLUDE", frozenset(["revision"])), True),
        (Index("i", "global", KeySchema("revision", "N"), "KEYS_ONLY"), True),
        (Index("i", "global", KeySchema("g", "S", "revision", "N"), "KEYS_ONLY"), True),
    ],
)
def test_an_index_projects_what_its_projection_or_keys_hold(index: Index, projects: bool):
    """This decides whether a touch is charged to the index."""
    assert index.projects("revision", KeySchema("pk", "S")) is projects


def test_an_index_always_carries_the_tables_keys():
    index = Index("i", "global", KeySchema("g", "S"), "KEYS_ONLY")
    assert index.projects("sk", KeySchema("pk", "S", "sk", "N"))


def test_identity_tells_types_apart_and_ignores_other_attributes():
    schema = KeySchema("pk", "S", "sk", "N")
    item: dict[str, Any] = {"pk": {"S": "a"}, "sk": {"N": "1"}, "revision": {"N": "3"}}
    assert identity(schema.names, item) == identity(schema.names, schema.key_of(item))
    assert identity(("pk",), {"pk": {"S": "1"}}) != identity(("pk",), {"pk": {"N": "1"}})


def test_consumed_capacity_is_told_by_resource():
    """The INDEXES form: the table's own arm, and one for every index that was written."""
    entry = {
        "TableName": "t",
        "CapacityUnits": 9.0,
        "Table": {"CapacityUnits": 4.0},
        "GlobalSecondaryIndexes": {"g": {"CapacityUnits": 3.0}},
        "LocalSecondaryIndexes": {"l": {"CapacityUnits": 2.0}},
    }
    assert parse_consumed(entry) == Consumed(9.0, {TABLE: 4.0, "g": 3.0, "l": 2.0})
    assert parse_consumed({"CapacityUnits": 1.5}) == Consumed(1.5)


def test_the_summary_is_one_flat_object_with_the_documented_fields_in_order():
    summary = Summary(
        run_id="r",
        table="t",
        status="complete",
        counts=Counts(scanned=10, touched=10),
        throttled=1,
        retries=2,
        wcu=10.04,
        rcu=0.5,
        seconds=4.0,
        checkpoint="/c",
        failed_keys_file=None,
    )
    documented = (
        "run_id table status scanned touched already conflicts vanished expired failed throttled retries wcu rcu "
        "seconds items_per_second checkpoint failed_keys_file"
    )
    assert list(summary.to_json()) == documented.split()
    assert summary.to_json()["items_per_second"] == 2.5


def test_exit_codes_are_those_of_the_documentation():
    assert {code.name: code.value for code in ExitCode} == {
        "COMPLETE": 0,
        "BUG": 1,
        "USAGE": 2,
        "STOPPED": 3,
        "SOME_FAILED": 4,
        "UNPROVEN": 5,
        "REFUSED": 10,
        "CHECKPOINT_REFUSED": 11,
        "INTERRUPTED": 130,
    }
