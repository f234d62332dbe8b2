"""`--notify`: the summary reaches a web hook or a topic, in bounded time, and never changes the exit code."""

import contextlib
import socket
from collections.abc import Callable

import anyio
import orjson
import pytest

from refire_async.cli import notify
from refire_async.cli.notify import NotifyTarget
from refire_async.errors import ExitCode
from refire_async.model.run import Result
from refire_async.settings import Connection
from tests.cli.conftest import Ended, FakeEngine
from tests.output.samples import summary
from tests.support.moto import Moto, moto  # noqa: F401 - a fixture
from tests.support.web_hook import Hook

RUN = ("run", "--table", "orders")
SECRET = "T0P/s3cret-path"


def test_summary_is_sent(refire: Callable[..., Ended], fake_engine: FakeEngine, hook: Hook) -> None:
    """Once, after the end, with the summary's fields, the exit code and a line of text."""

    async def course(_emit: object, _stop: object) -> Result:
        await anyio.lowlevel.checkpoint()
        assert hook.got == [], "the try before the run sends nothing"
        return Result(summary("stopped", scanned=9, touched=9, failed=2), ExitCode.STOPPED, "a\nreason")

    fake_engine.course = course
    ended = refire(*RUN, "--json", "--notify", f"{hook.url}/{SECRET}")
    assert (ended.code, "notice" in ended.err) == (3, False)
    ((path, kind, sent),) = hook.got
    assert (path, kind) == (f"/{SECRET}", "application/json")
    printed = orjson.loads(ended.out.splitlines()[-1])
    assert {name: sent[name] for name in printed} == printed
    assert (sent["exit_code"], sent["reason"]) == (3, "a\nreason")
    assert sent["text"] == "refire: run run-1 of orders is stopped: 9 touched, 2 failed (a reason)"


@pytest.mark.parametrize(
    ("status", "said"),
    [(500, "it answered 500"), (307, "it answered 307, a redirect"), (None, "no answer within")],
)
def test_refused(  # noqa: PLR0917 - fixtures
    refire: Callable[..., Ended],
    fake_engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    hook: Hook,
    status: int | None,
    said: str,
) -> None:
    """One line that shows only the host; exit code and result do not change. No redirect is followed."""
    monkeypatch.setattr(notify, "TOTAL_S", 0.5)
    hook.status = status
    ended = refire(*RUN, "--json", "--notify", f"{hook.url}/{SECRET}")
    assert ended.code == 0
    assert len(hook.got) == 1
    (line,) = ended.err.splitlines()
    assert line.startswith("refire: the notification to 127.0.0.1 was not sent: ")
    assert said in line
    assert SECRET not in ended.err + ended.out


def test_a_failure_is_reported_before_the_first_write(
    refire: Callable[..., Ended], fake_engine: FakeEngine
) -> None:
    """An unreachable hook is a warning before the run, which continues."""
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/{SECRET}"
        ended = refire(*RUN, "--notify", url)
    assert ended.code == 0
    first, last = ended.err.splitlines()
    assert first.endswith("; the run continues")
    assert "cannot be sent now" in first
    assert "was not sent" in last
    assert SECRET not in ended.err
    assert len(fake_engine.seen) == 1


def test_dry_run_sends_no_notification(
    refire: Callable[..., Ended], fake_engine: FakeEngine, hook: Hook
) -> None:
    """A dry run does nothing that matters."""
    assert refire(*RUN, "--dry-run", "--notify", hook.url).code == 0
    assert hook.got == []


@pytest.mark.parametrize(
    "value",
    [
        "http://example.org/hook",
        "https://user:hunter2@example.org/",
        "ftp://example.org/",
        "https://",
        "https://exa mple.org",
        "sns:ops",
        "sns:arn:aws:sns:eu-west-1:123456789012:ops.fifo",
        "arn:aws:sqs:eu-west-1:123456789012:ops",
        "https://example.org:0/",
        "https://example.org:99999999/",
    ],
)
def test_invalid_address(refire: Callable[..., Ended], fake_engine: FakeEngine, value: str) -> None:
    """Refused before anything starts, and not shown, because it may contain a secret."""
    ended = refire(*RUN, "--notify", value)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert "hunter2" not in ended.err
    assert fake_engine.seen == []


@pytest.fixture
def at_moto(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> Moto:  # noqa: F811
    """The environment of a program whose SNS is moto's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "SCENARIO")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", moto.url)
    return moto


async def test_topic(at_moto: Moto) -> None:
    """A message of JSON and a subject reach the topic, in the topic's region; the test before the run sends nothing."""
    from moto.sns.models import sns_backends

    client = at_moto.client("sns")
    try:
        arn = client.create_topic(Name="ops")["TopicArn"]
    finally:
        client.close()
    target, connection = (
        NotifyTarget(topic=arn),
        Connection(region="eu-central-1", endpoint_url="http://127.0.0.1:1"),
    )
    region, account = arn.split(":")[3:5]
    sent = sns_backends[account][region].topics[arn].sent_notifications
    assert await notify.try_connection(target, connection) is None
    assert sent == []
    what = notify.message(Result(summary(), ExitCode.COMPLETE))
    assert await notify.send(target, connection, what) is None
    (published,) = sent
    assert orjson.loads(published[1]) == what
    assert published[2].startswith("refire: run run-1")


async def test_missing_topic(at_moto: Moto) -> None:
    """The line has the service's error code."""
    target = NotifyTarget(topic="arn:aws:sns:us-east-1:123456789012:gone")
    connection = Connection(endpoint_url="http://127.0.0.1:1")
    assert await notify.send(target, connection, {"text": "x"}) == "sns refused to answer: NotFound"


async def test_topic_beside_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS receives no notification about a run on an emulator."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "SCENARIO")
    target = NotifyTarget(topic="arn:aws:sns:us-east-1:123456789012:ops")
    connection = Connection(endpoint_url="http://127.0.0.1:1")
    said = await notify.send(target, connection, {"text": "x"})
    assert said is not None
    assert "emulator" in said
