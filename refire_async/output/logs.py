"""Logs of a run on standard error: lines for people on a terminal, JSON lines elsewhere.

One line per event that an operator acts on. Frequent events (throttling, retries, failed items) are added up and
logged at most every 10 s per reason (log_throttle.py). Key values and item data are never logged: they can be
personal data.
"""

import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TextIO, TypeAlias

import orjson
import structlog

from refire_async.events import (
    AdviceBack,
    AdviceMissing,
    BudgetChanged,
    CanaryFlown,
    ConsumerSeen,
    ItemFailed,
    KeysRead,
    Noticed,
    PageRead,
    Paused,
    ProcessReplaced,
    RateChanged,
    Recovered,
    Resumed,
    Retried,
    RunEnded,
    RunStarted,
    SegmentFinished,
    Stopping,
    Throttled,
    VerifyStarted,
    Waiting,
)
from refire_async.output.log_throttle import LogThrottle
from refire_async.output.sampled import ProgressLog
from refire_async.output.snapshot import Snapshot, consumer_fields, rounded
from refire_async.output.text import is_utf8, visible, visible_json

Logger: TypeAlias = structlog.typing.FilteringBoundLogger
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]


class _Stream:
    """Writes lines to the current `sys.stderr` (a live display replaces it).

    Lines that cannot be written are dropped; `lost` is called with the error.
    """

    def __init__(self, stream: TextIO | None, lost: Callable[[OSError], None] | None = None) -> None:
        self._stream = stream
        self._lost = lost

    def msg(self, line: str) -> None:
        stream = self._stream or sys.stderr
        try:
            stream.write(line + "\n")
            stream.flush()
        except OSError as error:
            if self._lost is not None:
                self._lost(error)
        except ValueError:  # it is closed
            return

    debug = info = warning = error = critical = exception = log = msg


def make_logger(
    level: LogLevel,
    *,
    human: bool,
    colors: bool = False,
    stream: TextIO | None = None,
    lost: Callable[[OSError], None] | None = None,
) -> Logger:
    """A logger that neither uses nor changes the global configuration of structlog.

    `lost` is called with the error of every line that cannot be written.
    """
    renderer: Any
    if human:
        renderer = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, pad_level=False)
    else:
        ascii_only = not is_utf8(stream or sys.stderr)
        renderer = structlog.processors.JSONRenderer(serializer=partial(_json_line, ascii_only=ascii_only))
    logger: Logger = structlog.wrap_logger(
        _Stream(stream, lost),
        processors=[
            _visible,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
    )
    return logger


def _visible(_logger: object, _method: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A structlog processor: escapes control characters, so that no name or message can control the terminal."""
    for name, value in fields.items():
        if isinstance(value, str) and not value.isprintable():
            fields[name] = visible(value)
    return fields


def _json_line(value: Any, *, ascii_only: bool, **_options: Any) -> str:
    return visible_json(orjson.dumps(value, default=str).decode(), ascii_only=ascii_only)


class LibraryLog(logging.Handler):
    """Logs warnings of libraries. Lower levels are left out, because they contain requests.

    Messages of exceptions are left out too: that of a credential process contains its standard error.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record's text, with its logger as `library`."""
        line = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            line = f"{line}: {type(record.exc_info[1]).__name__}"
        self._logger.log(
            max(record.levelno, logging.WARNING), "library.warning", library=record.name, text=line
        )


class EventLog(ProgressLog[Snapshot]):
    """Subscriber that logs what an operator wants to read later.

    `brief` is for a terminal: it leaves out what the panel and the summary show.
    """

    def __init__(
        self, logger: Logger, clock: Callable[[], float] = time.monotonic, *, brief: bool = False
    ) -> None:
        self._logger = logger
        self._brief = brief
        self._throttle = LogThrottle(clock, self._log_repeated)
        self._budget_why = ""
        handlers: dict[type, Callable[[Any], None]] = {
            KeysRead: self._keys_read,
            RunStarted: self._run_started,
            Noticed: self._noticed,
            Throttled: self._throttled,
            Retried: self._retried,
            ItemFailed: self._item_failed,
            RateChanged: self._rate_changed,
            BudgetChanged: self._budget_changed,
            Paused: self._paused,
            Resumed: self._resumed,
            Waiting: self._waiting,
            Recovered: self._recovered,
            ConsumerSeen: self._consumer_seen,
            AdviceMissing: self._advice_missing,
            AdviceBack: self._advice_back,
            ProcessReplaced: self._process_replaced,
            Stopping: self._stopping,
            RunEnded: self._run_ended,
            VerifyStarted: self._verify_started,
            CanaryFlown: self._canary_flown,
        }
        if logger.is_enabled_for(logging.DEBUG):
            handlers |= {PageRead: self._page_read, SegmentFinished: self._segment_finished}
        self.handlers = handlers

    def flush(self) -> None:
        """Log pending counts."""
        self._throttle.flush()

    def progress(self, now: Snapshot) -> None:
        """Log the progress of a run, one line."""
        self._logger.info(
            "run.progress",
            items=now.done,
            share=None if now.share is None else round(now.share, 4),
            items_per_second=rounded(now.items_rate),
            wcu_per_second=rounded(now.wcu_rate),
            max_wcu=now.max_wcu,
            remaining_s=rounded(now.remaining_s, 0),
            throttled=now.throttled_total,
            retries=now.retries,
            failed=now.failed,
            segments=f"{now.segments_finished}/{now.segments_total}",
            state=now.state,
        )

    def snapshot(self, now: Snapshot) -> None:
        """Log the full state of a run (on SIGUSR1)."""
        self._logger.info("run.snapshot", **now.to_json())

    def _log_repeated(self, name: str, items: int, fields: dict[str, Any]) -> None:
        self._logger.warning(name, items=items, **fields)

    def _run_started(self, event: RunStarted) -> None:
        spec = event.spec
        name = "run.resumed" if event.resumed else "run.started"
        if self._brief:
            self._logger.info(name, table=spec.table, run_id=spec.run_id, budget=event.budget)
            return
        self._logger = self._logger.bind(run_id=spec.run_id)
        self._logger.info(
            name,
            table=spec.table,
            selection=spec.selection.kind,
            **({"index": spec.selection.index} if spec.selection.index else {}),
            marker=spec.marker.attribute,
            segments=spec.total_segments,
            expected_items=event.expected_items,
            settled_before=event.settled_before.settled,
            max_wcu=event.max_wcu,
            max_rcu=event.max_rcu,
            bound_by=event.bound_by,
            budget=event.budget,
            checkpoint=event.checkpoint,
        )

    def _keys_read(self, event: KeysRead) -> None:
        if event.items is not None:
            self._logger.info(
                "keys.read",
                items=event.items,
                duplicates=event.taken - event.items,
                bad_lines=event.left_out,
            )
        elif self._throttle.due("keys"):
            self._logger.info("keys.reading", keys=event.taken)

    def _noticed(self, event: Noticed) -> None:
        found = event.finding
        log = self._logger.info if found.level == "info" else self._logger.warning
        log(f"check.{found.id}", meaning=found.message, action=found.action)

    def _throttled(self, event: Throttled) -> None:
        name = "read.throttled" if "Read" in event.reason else "write.throttled"
        self._throttle.add(name, event.items, event.reason, resource=event.resource)

    def _retried(self, event: Retried) -> None:
        self._throttle.add("request.retried", event.items, event.reason)

    def _item_failed(self, event: ItemFailed) -> None:
        self._throttle.add("item.failed", event.items, event.code)

    def _rate_changed(self, event: RateChanged) -> None:
        if self._throttle.due("rate"):
            self._logger.info(
                "rate.changed", wcu=round(event.wcu, 1), ceiling=round(event.ceiling, 1), reason=event.reason
            )

    def _budget_changed(self, event: BudgetChanged) -> None:
        if not self._throttle.due("budget") and event.why == self._budget_why:
            return
        self._budget_why = event.why
        self._logger.info(
            "budget.changed", max_wcu=round(event.wcu, 1), max_rcu=round(event.rcu, 1), why=event.why
        )

    def _paused(self, event: Paused) -> None:
        self._logger.info("run.paused", why=event.why)

    def _resumed(self, event: Resumed) -> None:
        self._logger.info("run.unpaused", why=event.why)

    def _waiting(self, event: Waiting) -> None:
        if self._throttle.due("wait"):
            self._logger.warning("run.waiting", reason=event.reason, since_s=round(event.since_s, 1))

    def _recovered(self, event: Recovered) -> None:
        self._logger.info("run.recovered", after_s=round(event.after_s, 1))

    def _consumer_seen(self, event: ConsumerSeen) -> None:
        if not self._brief:
            self._logger.info("consumer.seen", **consumer_fields(event))

    def _advice_missing(self, event: AdviceMissing) -> None:
        self._logger.warning("advice.missing", topic=event.topic, why=event.why, hint=event.instead)

    def _advice_back(self, event: AdviceBack) -> None:
        self._logger.info("advice.back", topic=event.topic)

    def _process_replaced(self, event: ProcessReplaced) -> None:
        self._logger.warning(
            "process.replaced", index=event.index, hint="a new process continues its segments"
        )

    def _verify_started(self, event: VerifyStarted) -> None:
        self._logger.info("verify.started", run_id=event.run_id)

    def _canary_flown(self, event: CanaryFlown) -> None:
        canary = event.canary
        counts = canary.proof.counts if canary.proof is not None else None
        self._logger.log(
            logging.INFO if canary.clean else logging.WARNING,
            "canary.flown",
            items=canary.items,
            clean=canary.clean,
            failed=canary.failed,
            once=counts.once if counts else None,
            missing=counts.missing if counts else None,
            doubled=counts.doubled if counts else None,
            unproven=canary.unproven,
            failing=canary.consumers.failing,
            behind=canary.consumers.behind,
            unknown=canary.consumers.unknown,
        )

    def _stopping(self, event: Stopping) -> None:
        self._logger.warning("run.stopping", reason=event.reason)

    def _run_ended(self, event: RunEnded) -> None:
        self.flush()
        if self._brief:
            return
        fields = event.summary.to_json()
        fields.pop("run_id")
        self._logger.info("run.ended", **fields)

    def _page_read(self, event: PageRead) -> None:
        self._logger.debug("page.read", segment=event.segment, items=event.items, rcu=event.rcu)

    def _segment_finished(self, event: SegmentFinished) -> None:
        self._logger.debug(
            "segment.finished", segment=event.segment, finished=event.finished, total=event.total
        )
