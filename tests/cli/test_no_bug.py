"""No input of a user, a file, an environment, a stream or a server ends in "this is a bug"."""

import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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


def draw(seed: int, folder: Path) -> tuple[list[str], dict[str, str], str, bytes]:
    """Arguments, environment, redirection and the server's response of one run."""
    rng = random.Random(seed)
    name = rng.choice(sorted(OPTIONS))
    (folder / "file").write_bytes(rng.choice(FILES))
    words = (*WORDS, "file")
    arguments = [name]
    if name in ("run", "check", "plan"):
        arguments += ["--table", "orders"] * (rng.random() < 0.8)
    for option in rng.sample(OPTIONS[name], rng.randint(0, min(2, len(OPTIONS[name])))):
        arguments.append(f"{option}={rng.choice(words)}")
    arguments += [option for option in ("--json", "--dry-run") if rng.random() < 0.2]
    if name in ("run", "resume"):
        arguments += ["--give-up-after", "1s"]
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HOME": str(folder),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "LANG": rng.choice(("C.UTF-8", "C", "xx_YY.ISO-8859-1")),
    }
    for variable in rng.sample(sorted(VARIABLES), rng.randint(0, 3)):
        environment[variable] = rng.choice(VARIABLES[variable])
    return arguments, environment, rng.choice(STREAMS), rng.choice(ANSWERS)


def one(seed: int, folder: Path) -> None:
    """One run: a documented exit code, no traceback, no bug."""
    folder.mkdir()
    arguments, environment, redirection, answer = draw(seed, folder)
    with server(answer) as url:
        # All requests go to this server, whatever else is drawn.
        environment["REFIRE_ENDPOINT_URL"] = environment["AWS_ENDPOINT_URL"] = url
        line = f'"$@" {redirection}; exit ${{PIPESTATUS[0]}}'
        ended = subprocess.run(
            ["/bin/bash", "-c", line, "bash", sys.executable, "-m", "refire_async", *arguments],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
    context = (seed, arguments, environment, redirection, answer, ended)
    assert ended.returncode in CODES, context
    assert b"this is a bug" not in ended.stderr, context
    assert b"Traceback" not in ended.stderr, context


@pytest.mark.parametrize("seed", range(8))
def test_no_bug(seed: int, tmp_path: Path) -> None:
    """A few runs by seed in every suite."""
    one(seed, tmp_path / "run")


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_no_bug_in_many(tmp_path: Path) -> None:
    """A thousand runs by seed."""
    for seed in range(1_000):
        one(seed, tmp_path / str(seed))
