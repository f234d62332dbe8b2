"""The recording of a run, through the command line: across a kill and its resume, with the verification."""

from collections.abc import Callable

from refire_async.checkpoint.recording import read_recording
from tests.support.backends import on_one_backend
from tests.support.cli import Cli
from tests.support.proxy import Call, Hold, Proxy
from tests.support.rows import composite_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]


@on_one_backend
def test_a_killed_run_is_recorded_to_its_last_seconds(
    proxied_cli: Cli, proxy: Proxy, make_table: MakeTable
) -> None:
    """Items of the killed attempt are recorded; the resume adds its own, and so does a verification."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(500))
    checkpoint = proxied_cli.home / "a.refire"

    def tenth(call: Call) -> bool:
        return call.operation == "BatchExecuteStatement" and call.number >= 10

    with Hold(tenth) as hold:
        proxy.instead = hold
        child = proxied_cli.start(
            "run", "--table", table.name, "--checkpoint", str(checkpoint), "--workers", "1"
        )
        child.wait_until(lambda: hold.reached)
        seen = len(read_recording(checkpoint).points)
        # A save follows every second point: the third point from now on began after the hold.
        child.wait_until(lambda: len(read_recording(checkpoint).points) >= seen + 3)
        child.kill()
    killed = read_recording(checkpoint)
    assert [note.kind for note in killed.notes] == ["clock", "start"]
    assert killed.notes[1].data["settings"] == {"workers": 1}
    assert 0 < sum(point.items for point in killed.points) <= 250

    assert proxied_cli.run("resume", "--checkpoint", str(checkpoint)).code == 0
    assert proxied_cli.run("verify", "--checkpoint", str(checkpoint)).code == 0

    recorded = read_recording(checkpoint)
    assert [note.kind for note in recorded.notes] == ["clock", "start", "start", "end", "proof"]
    assert recorded.notes[3].data["scanned"] == 500
    assert recorded.notes[4].data["tally"]["expected"] == 500
    assert 475 <= sum(point.items for point in recorded.points) <= 525
    assert all(point.budget > 0 for point in recorded.points)
