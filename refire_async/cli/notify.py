"""`--notify`: sends the summary of a run to a web hook or to an SNS topic when the run ends.

A notification that cannot be sent is one line on standard error and does not change the exit code. URLs of web hooks
are often secret, so no message shows more of one than its host.
"""

import ssl
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import anyio
import orjson
from anyio.streams.tls import TLSStream

from refire_async.aws.other_services import UnansweredError
from refire_async.aws.session import open_session
from refire_async.cli.streams import say_error
from refire_async.engine.event_loop import run_loop
from refire_async.errors import RefireError
from refire_async.model.delivery import DeliveryResult
from refire_async.model.run import Result
from refire_async.output.text import count, one_line
from refire_async.settings import Connection

TOTAL_S = 10.0
"""Maximum time of a notification in seconds, with name resolution, connection and response."""

TEST_S = 5.0
"""The same for the test of the connection before a run."""

_SUBJECT = 100
"""Maximum number of characters of an SNS subject, which must be ASCII (SNS API: Publish)."""


@dataclass(frozen=True, slots=True)
class NotifyTarget:
    """Where to send notifications: an `https://` URL (or `http://` on this machine), or the ARN of an SNS topic."""

    url: str | None = None
    topic: str | None = None

    def __str__(self) -> str:
        return f"topic {self.topic}" if self.url is None else str(urlsplit(self.url).hostname)


def parse_target(text: str | None) -> NotifyTarget | None:
    """The target that `--notify` names, if there is one."""
    if text is None:
        return None
    return NotifyTarget(topic=text) if text.startswith("arn:") else NotifyTarget(url=text)


async def warn_if_unreachable(target: NotifyTarget, connection: Connection) -> None:
    """Warn before the work begins if the notification cannot be sent."""
    why = await try_connection(target, connection)
    if why is not None:
        say_error(f"the notification to {target} cannot be sent now: {why}; the run continues")


def notify(target: NotifyTarget, connection: Connection, notification: dict[str, Any]) -> None:
    """Send the notification, or say in one line why it was not sent."""
    why = run_loop(partial(send, target, connection, notification))
    if why is not None:
        say_error(f"the notification to {target} was not sent: {why}")


def message(result: Result) -> dict[str, Any]:
    """The notification: the summary's fields, `exit_code`, `reason` (null for a complete run), and `text` in one line.

    Chat services show `text`.
    """
    summary = result.summary
    text = f"run {summary.run_id} of {summary.table} is {summary.status}: {count(summary.counts.touched)} touched"
    return _message(result, f"{text}{_unless_zero(summary.counts.failed, 'failed')}")


def delivery_message(result: DeliveryResult) -> dict[str, Any]:
    """The notification of a replay or redrive, as `message`. It names no key."""
    summary = result.summary
    counts = summary.counts
    text = f"{result.command} {summary.run_id} to {summary.function} is {summary.status}"
    failed, lost = _unless_zero(counts.failed, "failed"), _unless_zero(counts.lost, "lost")
    return _message(result, f"{text}: {count(counts.delivered)} records delivered{failed}{lost}")


def _message(result: Result | DeliveryResult, text: str) -> dict[str, Any]:
    why = f" ({result.reason})" if result.reason else ""
    return {
        "text": one_line(f"refire: {text}{why}"),
        **result.summary.to_json(),
        "exit_code": int(result.exit_code),
        "reason": result.reason,
    }


def _unless_zero(number: int, what: str) -> str:
    return f", {count(number)} {what}" if number else ""


async def try_connection(target: NotifyTarget, connection: Connection) -> str | None:
    """Connect to the destination without sending. Returns None, or the reason of a failure in one line."""
    if target.url is None:
        return await _publish(target, connection, None)
    parts = urlsplit(target.url)
    host, secure = str(parts.hostname), parts.scheme == "https"
    if _proxy(target.url) is not None:
        return None  # the proxy makes the connection
    try:
        with anyio.fail_after(TEST_S):
            port = parts.port or (443 if secure else 80)
            stream = await anyio.connect_tcp(host, port)
            if secure:
                context = ssl.create_default_context()
                await TLSStream.wrap(stream, hostname=host, ssl_context=context)
            await anyio.aclose_forcefully(stream)
    except (OSError, TimeoutError, ExceptionGroup) as error:
        return _why(error, TEST_S)
    return None


async def send(target: NotifyTarget, connection: Connection, notification: dict[str, Any]) -> str | None:
    """Send a notification within `TOTAL_S`; follow no redirect. Returns None, or the reason of a failure."""
    body = orjson.dumps(notification)
    if target.url is None:
        return await _publish(target, connection, notification)
    try:
        with anyio.fail_after(TOTAL_S):
            timeout = aiohttp.ClientTimeout(total=TOTAL_S)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(
                    target.url,
                    data=body,
                    headers={"Content-Type": "application/json", "User-Agent": "refire"},
                    allow_redirects=False,
                    proxy=_proxy(target.url),
                ) as answer,
            ):
                if 200 <= answer.status < 300:
                    return None
                return f"it answered {answer.status}" + (", a redirect" if 300 <= answer.status < 400 else "")
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        return _why(error, TOTAL_S)


async def _publish(
    target: NotifyTarget, connection: Connection, notification: dict[str, Any] | None
) -> str | None:
    """Publish `notification` to the topic in its region; None: only open the client. Returns as `send`."""
    topic = str(target.topic)
    try:
        with anyio.fail_after(TOTAL_S):
            async with (
                open_session(replace(connection, region=topic.split(":")[3]), 1) as session,
                session.services.open("sns", TOTAL_S) as client,
            ):
                if notification is not None:
                    subject = notification["text"].encode("ascii", "replace").decode()[:_SUBJECT]
                    body = orjson.dumps(notification).decode()
                    await client.publish(TopicArn=topic, Subject=subject, Message=body)
    except (UnansweredError, RefireError) as error:
        return str(error)
    except TimeoutError as error:
        return _why(error, TOTAL_S)
    return None


def _proxy(url: str) -> str | None:
    """The proxy for a URL in the environment, if any."""
    parts = urlsplit(url)
    return None if proxy_bypass(str(parts.hostname)) else getproxies().get(parts.scheme)


def _why(error: BaseException, within_s: float) -> str:
    """The reason of a failure, without any text that could contain the URL."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ssl.SSLCertVerificationError | aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, TimeoutError):
        return f"no answer within {within_s:g} s"
    inner = getattr(error, "os_error", None) or error
    return getattr(inner, "strerror", None) or type(error).__name__
