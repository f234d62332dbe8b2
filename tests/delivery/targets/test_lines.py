"""Events as lines: whole, in order, into files for this user only, and one clear line where they do not fit."""

import contextlib
import io
import json
import os
import resource
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.delivery.target import Fate, InvocationError
from refire_async.delivery.targets.lines import open_lines, records_of
from refire_async.errors import ExitCode, RefireError, UsageError

RECORDS = [
    '{"eventID":"1","dynamodb":{"ApproximateCreationDateTime":1764556800.0,"Keys":{"k":{"S":"é]},"}}}}',
    '{"eventID":"2","big":123456789012345678901234567890,"e":1e3}',
]
EVENT = ('{"Records":[' + ",".join(RECORDS) + "]}").encode()
ARRAY = ("[" + ",".join(RECORDS) + "]").encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(records=st.lists(st.dictionaries(st.text(), json_values, max_size=4), max_size=5), array=st.booleans())
def test_records_are_cut_out_as_they_are(records: list[dict[str, object]], array: bool) -> None:
    """Byte for byte."""
    bodies = [json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") for record in records]
    event = b"[" + b",".join(bodies) + b"]"
    assert list(records_of(event if array else b'{"Records":' + event + b"}")) == bodies


async def test_a_record_per_line(tmp_path: Path) -> None:
    """Numbers keep their form; the file is for this user only."""
    path = tmp_path / "events.jsonl"
    async with open_lines(str(path)) as lines:
        assert lines.name == str(path)
        for event in (EVENT, ARRAY):
            answer = await lines.invoke(event)
            assert (answer.payload, answer.function_error) == (b"", None)
    assert path.read_text().splitlines() == RECORDS * 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_an_event_per_line(tmp_path: Path) -> None:
    """As a handler gets them."""
    path = tmp_path / "events.jsonl"
    async with open_lines(str(path), whole_events=True) as lines:
        await lines.invoke(EVENT)
        await lines.invoke(EVENT)
    assert path.read_bytes() == (EVENT + b"\n") * 2


async def test_events_do_not_mix(tmp_path: Path) -> None:
    """However many are delivered at a time."""
    path = tmp_path / "events.jsonl"
    events = [b'{"Records":[%s]}' % b",".join(b"[%d]" % number for _ in range(20)) for number in range(50)]
    async with open_lines(str(path)) as lines, anyio.create_task_group() as tasks:
        for event in events:
            tasks.start_soon(lines.invoke, event)
    found = path.read_text().splitlines()
    blocks = [found[at : at + 20] for at in range(0, len(found), 20)]
    assert all(len(set(block)) == 1 for block in blocks)
    assert len(blocks) == 50


async def test_resumed_file_is_continued(tmp_path: Path) -> None:
    """A line that broke off is taken away: its event was not settled."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"[1]\n[2]\n" + b"x" * 3_000_000)
    async with open_lines(str(path), resumed=True) as lines:
        await lines.invoke(b'{"Records":[[3]]}')
    assert path.read_bytes() == b"[1]\n[2]\n[3]\n"
    path.write_bytes(b"half")
    async with open_lines(str(path), resumed=True):
        pass
    assert path.read_bytes() == b""


async def refused(to: Path) -> RefireError:
    with pytest.raises(RefireError) as caught:
        async with open_lines(str(to)):
            pytest.fail("opened")
    assert "\n" not in str(caught.value)
    assert caught.value.action
    return caught.value


async def test_files_that_are_not_taken(tmp_path: Path) -> None:
    """What is there stays as it is."""
    full, link, target = tmp_path / "full", tmp_path / "link", tmp_path / "target"
    full.write_text("mine")
    link.symlink_to(target)
    others = tmp_path / "others"
    others.touch()
    others.chmod(0o666)
    assert isinstance(await refused(full), UsageError)
    assert "link" in (await refused(link)).message
    assert "other users" in (await refused(others)).message
    assert isinstance(await refused(tmp_path), UsageError)
    assert isinstance(await refused(tmp_path / "missing" / "file"), UsageError)
    assert full.read_text() == "mine"
    assert not target.exists()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    await refused(fifo)  # nothing reads from it: no waiting


async def test_empty_file_is_taken(tmp_path: Path) -> None:
    """As `mktemp` makes one; its mode becomes 0600."""
    path = tmp_path / "empty"
    path.touch(mode=0o644)
    async with open_lines(str(path)) as lines:
        await lines.invoke(EVENT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_device_takes_everything() -> None:
    """`/dev/null` is no file and no pipe."""
    async with open_lines("/dev/null") as lines:
        await lines.invoke(EVENT)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may have more than 4 KiB: the disk is full, as far as it can see."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.usefixtures("small_files")
async def test_full_disk_is_one_line(tmp_path: Path) -> None:
    """The delivery stops and can be resumed; what was written before is there."""
    path = tmp_path / "events.jsonl"
    async with open_lines(str(path), whole_events=True) as lines:
        await lines.invoke(b"[1]")
        with pytest.raises(InvocationError) as caught:
            await lines.invoke(b"[" + b"1" * 5000 + b"]")
    error = caught.value
    assert (error.fate, error.exit_code) == (Fate.STOP, ExitCode.STOPPED)
    assert str(path) in error.message
    assert "\n" not in str(error)
    assert path.read_bytes().startswith(b"[1]\n")


@contextlib.contextmanager
def piped_output() -> Iterator[io.FileIO]:
    """Standard output is a pipe; gives the end that reads. (pytest puts its own in the place of a fixture's.)"""
    read, write = os.pipe()
    with (
        os.fdopen(write, "w") as file,
        contextlib.redirect_stdout(file),
        os.fdopen(read, "rb", buffering=0) as reader,
    ):
        yield reader


async def test_standard_output_waits_for_its_reader() -> None:
    """More than a pipe holds: the rest waits without holding the loop, and can be cancelled."""
    event = b'{"Records":[["%s"]]}' % (b"x" * 300_000)
    received = bytearray()
    with piped_output() as reader:
        async with open_lines("-") as lines:
            with anyio.move_on_after(0.2) as scope:
                await lines.invoke(event)
            assert scope.cancelled_caught
            os.set_blocking(reader.fileno(), False)
            while piece := reader.read(65536):
                received += piece
            assert 0 < len(received) < 300_000

        async def read() -> None:
            while len(received) < 300_000:
                await anyio.wait_readable(reader)
                received.extend(reader.read(65536))

        received.clear()
        async with open_lines("-") as lines, anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await lines.invoke(event)
    assert bytes(received) == b'["%s"]\n' % (b"x" * 300_000)


async def test_closed_standard_output_is_one_line() -> None:
    """`refire replay --to - | head -1` ends so."""
    with piped_output() as reader:
        reader.close()
        async with open_lines("-") as lines:
            with pytest.raises(InvocationError) as caught:
                await lines.invoke(EVENT)
    assert caught.value.exit_code is ExitCode.STOPPED
    assert "its reader has ended" in caught.value.message


async def test_captured_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that runs us may have put an object in its place."""
    async with open_lines("-") as lines:
        await lines.invoke(EVENT)
    assert capsys.readouterr().out.splitlines() == RECORDS
