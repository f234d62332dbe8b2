"""No input of a user, a file, an environment, a stream or a server ends in "this is a bug"."""

import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from refire_async.sandbox.config import SandboxConfig
from refire_async.sandbox.process import SandboxProcess
from tests.support.backends import REGION, connected

CODES = {0, 2, 3, 4, 5, 10, 11, 130}
"""Every documented exit code except that of a bug."""

PLACES = (
    "/dev/full",
    "/dev/null",
    "/proc/version",
    "/",
    "/nowhere/x",
    "none",
    "x" * 230,
    "a\nb",
    "\udcff",
    "",
)
WORDS = (
    *PLACES,
    "orders",
    "0",
    "-1",
    "nan",
    "50%",
    "1e999",
    "'",
    "{",
    '{"a":1}',
    "\x1b[2J",
    "\u202e",
    "s3://b/k",
    "sns:x",
)
OPTIONS = {
    "run": (
        "--table",
        "--keys-file",
        "--checkpoint",
        "--log-file",
        "--where",
        "--key-value",
        "--sample",
        "--notify",
        "--export",
    ),
    "check": ("--table", "--index", "--where", "--profile", "--region"),
    "plan": ("--table", "--items", "--item-size", "--plot", "--prices"),
    "resume": ("--checkpoint", "--max-wcu"),
    "status": ("--checkpoint", "--table"),
    "verify": ("--checkpoint",),
    "report": ("--checkpoint", "--out"),
    "iam-policy": ("--table", "--account", "--index"),
    "forget": ("--checkpoint",),
    "rate": ("--checkpoint",),
    "config": ("--config",),
    "doctor": ("--checkpoint", "--log", "--out", "--region"),
    "replay": ("--to", "--since", "--export", "--keys-file", "--checkpoint", "--function"),
    "redrive": ("--to", "--function"),
}
VARIABLES = {
    "AWS_PROFILE": WORDS,
    "AWS_REGION": ("", "nowhere", "eu-west-1", "\x1b"),
    "AWS_CA_BUNDLE": PLACES,
    "AWS_WEB_IDENTITY_TOKEN_FILE": PLACES,
    "AWS_ROLE_ARN": ("arn:aws:iam::123456789012:role/x", "x"),
    "HTTP_PROXY": ("http://127.0.0.1:1", "socks5://x", "::", "nonsense"),
    "HOME": PLACES,
    "XDG_STATE_HOME": PLACES,
    "TMPDIR": PLACES,
    "REFIRE_MAX_WCU": WORDS,
    "REFIRE_CONFIG": PLACES,
    "PYTHONIOENCODING": ("ascii", "latin-1", "utf-16"),
    "TERM": ("dumb", "", "xterm"),
    "TZ": ("Nowhere/Nothing", ""),
}
FILES = (
    b"",
    b"\xff\xfe",
    b"{",
    b"pk\n1\n",
    b"SQLite format 3\x00" + b"\x00" * 90,
    b'{"pk": "a"}\n',
    b"[run]\nx = 1\n",
)
TYPED = (b"", b"y\n", b"n\n", b"\x04", b"\x03", b"yes\ny\ny\n", b"\x1b[A\xff\n", b"y\n\x03")
"""At a terminal: nothing, answers, the end of input, Ctrl-C, other keys."""

OWN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes standard input the terminal that Ctrl-C comes from, and becomes another program."""

STREAMS = ("", "> /dev/full", "2> /dev/full", ">&-", "2>&-", "<&-", "| true")
ANSWERS = (
    b"",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"Table":{}}',
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
    b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 400 X\r\nContent-Length: 15\r\n\r\n<html>\x1b[31m</h>",
    b"SSH-2.0-OpenSSH\r\n",
)


@contextmanager
def server(answer: bytes) -> Iterator[str]:
    """The URL of a server that gives every connection one response and closes it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    connection.sendall(answer)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@dataclass(frozen=True)
class Draw:
    """One run: arguments, environment, redirection, the answer of a server, what is typed.

    `answer` is None where a sandbox with data stands in its place; `typed` is None where there is no terminal.
    """

    arguments: list[str]
    environment: dict[str, str]
    redirection: str
    answer: bytes | None
    typed: bytes | None


def draw(seed: int, folder: Path) -> Draw:
    """What a seed stands for; the run is in this folder."""
    rng = random.Random(seed)
    name = rng.choice(sorted(OPTIONS))
    (folder / "file").write_bytes(rng.choice(FILES))
    words = (*WORDS, "file")
    arguments = [name]
    if name in ("run", "check", "plan", "replay"):
        arguments += ["--table", "orders"] * (rng.random() < 0.8)
    if name in ("resume", "status", "verify", "report", "forget", "rate", "redrive"):
        arguments += [rng.choice(("latest", "run-1", "../x", *words))] * (rng.random() < 0.5)
    for option in rng.sample(OPTIONS[name], rng.randint(0, min(2, len(OPTIONS[name])))):
        arguments.append(f"{option}={rng.choice(words)}")
    arguments += [option for option in ("--json", "--dry-run", "--yes") if rng.random() < 0.2]
    if name in ("run", "resume"):
        arguments += ["--give-up-after", "1s"]
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HOME": str(folder),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "LANG": rng.choice(("C.UTF-8", "C", "xx_YY.ISO-8859-1")),
    }
    for variable in rng.sample(sorted(VARIABLES), rng.randint(0, 3)):
        environment[variable] = rng.choice(VARIABLES[variable])
    typed = rng.choice(TYPED) if rng.random() < 0.25 else None
    redirection = "" if typed is not None else rng.choice(STREAMS)
    answer = None if rng.random() < 0.4 else rng.choice(ANSWERS)
    return Draw(arguments, environment, redirection, answer, typed)


def one(seed: int, folder: Path, with_data: str) -> None:
    """One run: a documented exit code, no traceback, no bug. `with_data` is the URL of a sandbox."""
    folder.mkdir()
    drawn = draw(seed, folder)
    command = [sys.executable, "-m", "refire_async", *drawn.arguments]
    with server(drawn.answer) if drawn.answer is not None else nullcontext(with_data) as url:
        # Nothing goes anywhere but to this server, whatever else is drawn.
        environment = drawn.environment | {"REFIRE_ENDPOINT_URL": url, "AWS_ENDPOINT_URL": url}
        if drawn.typed is not None:
            code, written = on_a_terminal(command, environment, folder, drawn.typed)
        else:
            line = f'"$@" {drawn.redirection}; exit ${{PIPESTATUS[0]}}'
            ended = subprocess.run(
                ["/bin/bash", "-c", line, "bash", *command],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=120,
                check=False,
            )
            code, written = ended.returncode, ended.stderr
    assert code in CODES, (seed, drawn, code, written)
    assert b"this is a bug" not in written, (seed, drawn, written)
    assert b"Traceback" not in written, (seed, drawn, written)


def on_a_terminal(
    command: list[str], environment: dict[str, str], folder: Path, typed: bytes
) -> tuple[int, bytes]:
    """The exit code of a command at a terminal at which this is typed at once, and all that it writes there."""
    ours, theirs = os.openpty()
    program = [sys.executable, "-c", OWN_TERMINAL, *command]
    written = b""
    with subprocess.Popen(
        program,
        env=environment,
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as running:
        os.close(theirs)
        timer = threading.Timer(120, running.kill)
        timer.start()
        try:
            os.write(ours, typed)
            while piece := os.read(ours, 65536):
                written += piece
        except OSError:  # EIO: the other side is closed
            pass
        finally:
            running.wait()
            timer.cancel()
            timer.join()
            os.close(ours)
    return running.returncode, written


@pytest.fixture(scope="module")
def with_data() -> Iterator[str]:
    """The URL of a sandbox whose table `orders` has items and a stream."""
    with SandboxProcess(SandboxConfig()) as sandbox, connected("sandbox", sandbox.url) as backend:
        backend.dynamodb.create_table(
            TableName="orders",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        for number in range(40):
            backend.dynamodb.put_item(TableName="orders", Item={"pk": {"S": str(number)}})
        yield sandbox.url


@pytest.mark.parametrize("seed", range(8))
def test_no_bug(seed: int, tmp_path: Path, with_data: str) -> None:
    """A few runs by seed in every suite."""
    one(seed, tmp_path / "run", with_data)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("hundred", range(10))
def test_no_bug_in_many(hundred: int, tmp_path: Path, with_data: str) -> None:
    """A thousand runs by seed, some against a table with items, some at a terminal."""
    for seed in range(100 * hundred, 100 * hundred + 100):
        one(seed, tmp_path / str(seed), with_data)
