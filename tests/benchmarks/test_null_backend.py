"""The null backend: right enough for every client, and an honest counter."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.framework.backends import Window, null_backend, window
from benchmarks.framework.null_backend import (
    Mark,
    NullBackend,
    NullTable,
    items_text,
    parse_table,
    scan_page,
    segment_range,
)
from benchmarks.framework.process import Child, choose_cores, cpu_seconds, memory, tree
from benchmarks.processes.report import table as processes_table
from benchmarks.processes.scenario import case


@given(st.sampled_from(["hash", "composite"]), st.integers(0, 250_000), st.integers(1, 1_000))
def test_prepared_text_is_the_items(shape: str, start: int, count: int) -> None:
    """Text that is cut from blocks is what the items are, also across blocks."""
    table = NullTable(shape, "present", 300_000)
    items = orjson.loads(b"[" + items_text(table, start, start + count) + b"]")
    assert items == [table.item(number) for number in range(start, start + count)]


@given(
    st.integers(1, 3_000), st.integers(1, 40), st.integers(1, 1_500), st.sampled_from(["present", "missing"])
)
def test_segments_and_pages_give_every_item_once(count: int, total: int, limit: int, marker: str) -> None:
    """Following LastEvaluatedKey through all segments meets each item exactly once, in pages within the limit."""
    table = NullTable("hash", marker, count)
    seen = []
    for segment in range(total):
        request = {"TableName": table.name, "Segment": segment, "TotalSegments": total, "Limit": limit}
        while True:
            body, units = scan_page(request)
            page = orjson.loads(body)
            assert units > 0
            assert page["Count"] == len(page["Items"]) <= limit
            seen += page["Items"]
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    assert seen == [table.item(number) for number in range(count)]


@given(st.integers(1, 10_000), st.integers(1, 100))
def test_segments_part_the_table(count: int, total: int) -> None:
    """No gap and no overlap."""
    parts = [segment_range(count, segment, total) for segment in range(total)]
    assert [number for part in parts for number in part] == list(range(count))


def body_of(answer: bytes) -> object:
    """The JSON of a rendered answer, whose length must be as it says."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    return orjson.loads(body)


@pytest.mark.parametrize("compact", [True, False])
def test_a_batch_is_answered_member_by_member_and_counted(*, compact: bool) -> None:
    """One member for each statement, in the spacing of either JSON writer; capacity as it was asked for."""
    statement = {"Statement": 'UPDATE "hash-present-100" SET "revision" = ? WHERE "pk" = ?', "Parameters": []}
    request = {"Statements": [statement] * 7, "ReturnConsumedCapacity": "INDEXES"}
    body = (
        orjson.dumps(request) if compact else orjson.dumps(request).replace(b":", b": ").replace(b",", b", ")
    )
    backend = NullBackend()
    answer = body_of(backend.answer(b"BatchExecuteStatement", body))
    assert answer == {
        "Responses": [{"TableName": "hash-present-100"}] * 7,
        "ConsumedCapacity": [
            {"TableName": "hash-present-100", "CapacityUnits": 7.0, "Table": {"CapacityUnits": 7.0}}
        ],
    }
    assert backend.written == 7


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("shape", ["hash", "composite"])
@pytest.mark.parametrize("marker", ["present", "missing"])
@pytest.mark.parametrize("consistent", [True, False])
def test_given_keys_are_all_there_and_charged_for(
    shape: str, marker: str, *, consistent: bool, compact: bool
) -> None:
    """Each item as Scan gives it, in the spacing of either JSON writer; half a unit less where that was asked for."""
    table = NullTable(shape, marker, 100)
    wanted = {"Keys": [table.key(number) for number in (5, 99, 0)], "ConsistentRead": consistent}
    request = {"RequestItems": {table.name: wanted}, "ReturnConsumedCapacity": "TOTAL"}
    backend = NullBackend()
    body = orjson.dumps(request) if compact else json.dumps(request).encode()
    answer = body_of(backend.answer(b"BatchGetItem", body))
    assert answer == {
        "Responses": {table.name: [table.item(number) for number in (5, 99, 0)]},
        "UnprocessedKeys": {},
        "ConsumedCapacity": [{"TableName": table.name, "CapacityUnits": 3.0 if consistent else 1.5}],
    }
    assert backend.report()["rcu"] == (3.0 if consistent else 1.5)


def test_a_single_update_is_counted() -> None:
    """UpdateItem is one item, and says nothing of capacity unless asked."""
    backend = NullBackend()
    assert body_of(backend.answer(b"UpdateItem", b'{"TableName": "hash-present-100", "Key": {}}')) == {}
    assert backend.written == 1


def test_marks_note_the_clients_clock() -> None:
    """The clock that is noted is that of the process that is watched, and grows with what it does."""
    backend = NullBackend()
    update = b'{"TableName": "hash-present-100", "Key": {}}'
    backend.watch(os.getpid(), [2, 4])
    backend.answer(b"UpdateItem", update)
    backend.answer(b"UpdateItem", update)
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    backend.answer(b"UpdateItem", update)
    backend.answer(b"UpdateItem", update)
    first, last = (Mark(**mark) for mark in backend.report()["marks"])
    found = window(first, last)
    assert (first.items, last.items, found.items) == (2, 4, 2)
    assert 0.05 <= found.client_cpu_s < 5
    assert found.client_us == pytest.approx(found.client_cpu_s / 2 * 1e6)


def test_a_window_in_which_a_process_ends_tells_no_cpu_per_item() -> None:
    """What a process took that has ended is in one of the two sums only; the window says so."""
    backend = NullBackend()
    update = b'{"TableName": "hash-present-100", "Key": {}}'
    with Child(["cat"], stdin=subprocess.PIPE) as child:
        backend.watch(os.getpid(), [1, 2, 3])
        backend.answer(b"UpdateItem", update)
        backend.answer(b"UpdateItem", update)
        assert child.process.stdin is not None
        child.process.stdin.close()
        child.wait(30)
        backend.answer(b"UpdateItem", update)
    before, still, after = (Mark(**mark) for mark in backend.report()["marks"])
    assert window(before, still).processes == len(before.processes) >= 2
    assert window(still, after).processes is None


def test_cpu_of_processes_is_told_of_steady_windows_only() -> None:
    """A window in which a process ended, or that is hardly longer than a start, gives a dash and no number."""
    alone = Window(items=100_000, client_cpu_s=1.0, server_cpu_s=0.1, wall_s=1.0, processes=1)
    both = Window(items=200_000, client_cpu_s=2.5, server_cpu_s=0.2, wall_s=1.0, processes=2)
    found = case(2, {"1": [alone], "2": [both]}, "2")
    assert found["speedup_with_cores"]["median"] == pytest.approx(2 * 10 / 12.5)
    for unsteady in (replace(both, client_cpu_s=-0.1, processes=None), replace(both, client_cpu_s=0.4)):
        found = case(2, {"1": [alone], "2": [unsteady]}, "2")
        assert found["speedup"]["median"] == 2
        cells = processes_table({}, {"cores": 2, "cases": [found]}).rows[0]
        assert [cells[4], cells[5]] == ["-", "-"]
        assert "speedup_with_cores" not in case(2, {"1": [replace(alone, processes=None)], "2": [both]}, "2")
        found = case(2, {"1": [alone, alone], "2": [unsteady, both]}, "2")
        assert found["speedup_with_cores"]["values"] == [pytest.approx(2 * 10 / 12.5)]


def test_the_clock_of_another_process() -> None:
    """It is the same clock that a process has of itself, and a process that is gone has none."""
    before = time.process_time()
    assert before <= cpu_seconds(os.getpid()) <= time.process_time()
    with pytest.raises(ProcessLookupError):
        cpu_seconds(2**22 - 1)


def test_a_null_backend_in_a_process_of_its_own() -> None:
    """It answers, and it is gone when its block ends."""
    with null_backend(pinned=False) as backend:
        backend.watch(os.getpid(), [1])
        with pytest.raises(Exception, match="ended before"):
            backend.window()
    with pytest.raises(OSError, match="refused"):
        backend.watch(os.getpid(), [1])


def test_table_names() -> None:
    """A name is what is in the table, and nothing else is a name."""
    assert parse_table("composite-missing-5") == NullTable("composite", "missing", 5)
    with pytest.raises(ValueError, match="must be named"):
        parse_table("orders")


def test_cores() -> None:
    """Client and server never share a core where there are two."""
    assert choose_cores(frozenset({3})).client is None
    chosen = choose_cores(frozenset({0, 1, 5}))
    assert (chosen.client, chosen.server) == (frozenset({5}), frozenset({1}))


def test_a_process_and_its_descendants() -> None:
    """Descendants are found, so that the CPU time of all processes of a program counts, and no others."""
    inner = "import sys; sys.stdin.read()"
    outer = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {inner!r}]); print(); sys.stdin.read()"
    command = [sys.executable, "-u", "-c", outer]
    with Child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.process.stdout is not None
        child.process.stdout.readline()
        members = tree(child.pid)
        assert members[0] == child.pid
        assert len(members) == 2
        assert sum(map(memory, members)) > memory(child.pid) > 1 << 20
        assert os.getpid() not in members
        assert child.process.stdin is not None
        child.process.stdin.close()
        assert child.wait(30).code == 0
