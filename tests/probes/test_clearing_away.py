"""What the program makes: nothing without consent, and nothing stays, also after a kill."""

import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.probes.resources import PREFIX
from tests.probes.support import command, probes, settings, tables
from tests.support.backends import Backend, on_one_backend
from tests.support.tables import Table

pytestmark = on_one_backend


def own(backend: Backend) -> set[str]:
    """The tables under the prefix."""
    return {name for name in tables(backend) if name.startswith(PREFIX)}


@pytest.fixture
def started(backend: Backend) -> Callable[[], subprocess.Popen[bytes]]:
    """Starts the program and returns once it has made a table."""

    def start() -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            command(backend.url, "--yes"),
            **settings(backend),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while not own(backend):
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return child

    return start


@pytest.mark.parametrize("arguments", [(), ("--only", "writes"), ("--clean",)])
def test_nothing_is_made_without_yes(backend: Backend, arguments: tuple[str, ...]) -> None:
    """There is no terminal that could confirm it. What it would make, cost and need is printed all the same."""
    before = tables(backend)
    done = probes(backend, *arguments)
    assert tables(backend) == before
    if "--clean" in arguments:
        assert (done.returncode, "nothing" in done.stdout) == (0, True)
        return
    assert done.returncode == 2
    assert "give --yes" in done.stderr
    assert "Cost: at most $" in done.stdout
    assert "dynamodb:CreateTable" in done.stdout


def test_a_kill_leaves_what_clean_takes_away(
    backend: Backend, started: Callable[[], subprocess.Popen[bytes]], make_table: Callable[..., Table]
) -> None:
    """`--clean` asks first. A table of somebody else under the prefix stays."""
    child = started()
    child.send_signal(signal.SIGKILL)
    child.wait()
    left = own(backend)
    assert left
    foreign = make_table(name=f"{PREFIX}of-somebody-else").name
    assert probes(backend, "--clean").returncode == 2
    assert own(backend) >= {*left, foreign}  # a request of the killed process may have been under way
    done = probes(backend, "--clean", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert own(backend) == {foreign}


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_takes_everything_away(
    backend: Backend, started: Callable[[], subprocess.Popen[bytes]], stop: signal.Signals
) -> None:
    """Exit code 3."""
    child = started()
    child.send_signal(stop)
    assert child.wait(60) == 3
    assert not own(backend)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--only", "nothing"), 2, "there is no area or fact nothing; areas: writes, values"),
        (("--max-dollars", "0.000001"), 2, "more than --max-dollars"),
        (("--profile", "p"), 2, "give --endpoint-url or --profile, not both"),
        (("--only", "queues"), 3, "0 agree, 0 differ, 6 not tried"),
        (("--only", "values.empty-key"), 0, "1 agree, 0 differ, 0 not tried"),
    ],
)
def test_exit_codes(backend: Backend, arguments: tuple[str, ...], code: int, said: str) -> None:
    """Usage is 2, nothing tried 3, all agree 0."""
    done = probes(backend, "--yes", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert not own(backend)
