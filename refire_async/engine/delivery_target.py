"""Which target a delivery goes to, by which rules, and what is to be known about it before it begins."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

import anyio

from refire_async.aws.cloudwatch import get_metric_data, lambda_query
from refire_async.aws.event_source_mappings import Mapping, ask_mappings
from refire_async.aws.function_names import FunctionName, parse_function
from refire_async.aws.functions import Function, ask_function, ask_reserved_concurrency
from refire_async.aws.other_services import UnansweredError
from refire_async.aws.pipes import Pipe, ask_pipes
from refire_async.aws.session import Session
from refire_async.aws.temporary_mapping import is_temporary
from refire_async.delivery.rules import DeliveryRules, describe_rules, rules_of, with_options
from refire_async.delivery.target import Target
from refire_async.delivery.targets.opening import DEFAULT_CONCURRENCY, OpenTarget, open_target
from refire_async.engine.delivery_control import DeliveryControl, check_metrics, follow_iterator_age
from refire_async.errors import RefireError, RefusedError, UsageError
from refire_async.model.finding import Finding
from refire_async.preflight.findings import MAPPING_READS, NOT_ASKED
from refire_async.settings import DeliverySettings

T = TypeVar("T")

_DAY_S = 86_400

DEFAULT_RETRIES = 2
"""Without a mapping. Lambda's own default is no limit, which a person who waits cannot mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTarget:
    """What receives the events. `reader` is the mapping or Pipe whose settings apply, None without one.

    `batch_s` is how long the function has taken for an event lately, in seconds; None if that is not known.
    `name` is the function's without a qualifier, `timeout_s` and `memory_mb` its own; all are those of a function only.
    """

    function: str
    version: str
    rules: DeliveryRules
    mapping: str
    concurrency: int
    open: OpenTarget
    is_local: bool
    batch_s: float | None = None
    reader: Mapping | Pipe | None = None
    follow: Callable[[DeliveryControl], Coroutine[Any, Any, None]] | None = None
    findings: tuple[Finding, ...] = ()
    name: str = ""
    timeout_s: float = 0.0
    memory_mb: int | None = None

    @property
    def is_live(self) -> bool:
        """Whether the function receives the stream's records from a reader of its own, as far as is known."""
        return not self.is_local and (self.reader.enabled if self.reader is not None else bool(self.findings))


async def find_target(session: Session, settings: DeliverySettings, stream_arn: str | None) -> FoundTarget:
    """The target of a delivery. `stream_arn` is where the records come from, None if there is no stream.

    Raises:
        UsageError: no function is named, or the name is none.
        RefusedError: the function cannot be described or invoked, or its mapping has a tumbling window.
    """
    if settings.to is not None:
        if settings.max_iterator_age_s is not None:
            raise UsageError(
                "--max-iterator-age needs --function", "leave it out: a file has no consumer to wait for"
            )
        rules = with_options(DeliveryRules(retries=DEFAULT_RETRIES), settings)
        return FoundTarget(
            function=settings.to,
            version="",
            rules=rules,
            mapping=describe_rules(rules),
            concurrency=DEFAULT_CONCURRENCY,
            open=partial(_open, settings, session),
            is_local=True,
        )
    if settings.function is None:
        raise UsageError("no target given", "name a function with --function, or a file with --to")
    name = parse_function(settings.function)
    asked, unanswered = await _ask(session, settings, name, stream_arn)
    function, reader = asked.function, asked.reader
    if settings.how == "direct":
        _refuse_windows(reader)
    elif isinstance(reader, Pipe):
        raise RefusedError(
            f"pipe {reader.name} hands {name} another form of event than a mapping does", "use --how direct"
        )
    rules = with_options(
        DeliveryRules(retries=DEFAULT_RETRIES) if reader is None else _rules(reader, settings), settings
    )
    return FoundTarget(
        function=str(name),
        version=function.version,
        rules=rules,
        mapping=f"{describe_rules(rules)} ({_origin(reader)})",
        concurrency=asked.concurrency,
        open=partial(
            _open, settings, session, name, function.timeout_s, wants_array=isinstance(reader, Pipe)
        ),
        is_local=False,
        batch_s=asked.batch_s,
        reader=reader,
        follow=asked.follow,
        findings=tuple(NOT_ASKED.found(why) for why in unanswered),
        name=name.name,
        timeout_s=float(function.timeout_s),
        memory_mb=function.memory_mb,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What AWS says about a function and its reader, as `FoundTarget` has it."""

    function: Function
    reader: Mapping | Pipe | None
    concurrency: int
    batch_s: float | None
    follow: Callable[[DeliveryControl], Coroutine[Any, Any, None]] | None


async def _ask(
    session: Session, settings: DeliverySettings, name: FunctionName, stream_arn: str | None
) -> tuple[_Asked, list[str]]:
    """Everything about the function, asked at once, and why some of it is unknown.

    Raises RefusedError: of several reasons always the same one, whichever comes first.
    """
    no_reader: list[str] = []
    no_reserved: list[str] = []
    function = _Question(lambda: ask_function(session.services, name))
    reader = _Question(lambda: _reader(session, name, stream_arn, no_reader))
    concurrency = _Question(lambda: _concurrency(session, name, no_reserved))
    batch_s = _Question(lambda: _batch_seconds(session, name))
    follow = _Question(lambda: _follow(session, settings, name))
    async with anyio.create_task_group() as tasks:
        for question in (function, reader, concurrency, batch_s, follow):
            tasks.start_soon(question.ask)
    asked = _Asked(
        function=function.answer(),
        reader=reader.answer(),
        concurrency=concurrency.answer(),
        batch_s=batch_s.answer(),
        follow=follow.answer(),
    )
    return asked, no_reader + no_reserved


class _Question(Generic[T]):
    """A call whose result or RefireError is kept until it is wanted."""

    def __init__(self, call: Callable[[], Awaitable[T]]) -> None:
        self._call = call
        self._answers: list[T] = []
        self._error: RefireError | None = None

    async def ask(self) -> None:
        try:
            self._answers.append(await self._call())
        except RefireError as error:
            self._error = error

    def answer(self) -> T:
        """The result, once asked. Raises RefireError."""
        if self._error is not None:
            raise self._error
        return self._answers[0]


def _open(
    settings: DeliverySettings,
    session: Session,
    name: FunctionName | None = None,
    timeout_s: float = 900.0,
    *,
    wants_array: bool = False,
    concurrency: int,
    resumed: bool,
) -> AbstractAsyncContextManager[Target]:
    """Opens the target for one attempt."""
    return open_target(
        settings,
        session,
        function=name,
        timeout_s=timeout_s,
        concurrency=concurrency,
        wants_array=wants_array,
        resumed=resumed,
    )


async def _batch_seconds(session: Session, name: FunctionName) -> float | None:
    """The function's average duration over the last day, in seconds. Advice only."""
    now = session.clock.now()
    query = lambda_query("duration", "Duration", name.name, "Average", period_s=_DAY_S)
    try:
        found = await get_metric_data(session.services, [query], since=now - _DAY_S, until=now)
    except UnansweredError:
        return None
    # In milliseconds (Lambda Developer Guide: Types of metrics for Lambda functions).
    return max(found["duration"].values(), default=0.0) / 1_000 or None


async def _follow(
    session: Session, settings: DeliverySettings, name: FunctionName
) -> Callable[[DeliveryControl], Coroutine[Any, Any, None]] | None:
    """What pauses the delivery while the function is behind; None without --max-iterator-age. Raises RefusedError."""
    limit_s = settings.max_iterator_age_s
    if limit_s is None:
        return None
    await check_metrics(session.services, name.name, session.clock.now())
    return partial(
        follow_iterator_age,
        services=session.services,
        function=name.name,
        limit_s=limit_s,
        now=session.clock.now,
    )


def _rules(reader: Mapping | Pipe, settings: DeliverySettings) -> DeliveryRules:
    """The reader's rules; filters that cannot be read do not matter where the user gives others."""
    if reader.filters is None and settings.filters is not None:
        reader = replace(reader, filters=())
    return rules_of(reader)


def _origin(reader: Mapping | Pipe | None) -> str:
    match reader:
        case None:
            return "defaults and options: the function has no mapping of this stream"
        case Pipe():
            return f"from the pipe {reader.name}, and options"
        case _:
            return f"from the event source mapping of {reader.function}, and options"


async def _reader(
    session: Session, name: FunctionName, stream_arn: str | None, unanswered: list[str]
) -> Mapping | Pipe | None:
    """The mapping or Pipe that brings the stream's records to the function; `unanswered` says what is unknown."""
    if stream_arn is None:
        return None
    try:
        mappings = await ask_mappings(session.services, stream_arn)
    except UnansweredError as error:
        mappings = ()
        unanswered.append(f"the settings of the function's event source mapping are unknown: {error}")
    found: Mapping | Pipe | None = _choose(mappings, name)
    if found is None:
        try:
            pipes = await ask_pipes(session.services, stream_arn)
        except UnansweredError:
            pipes = ()  # few use Pipes, and a missing permission for them is no matter without one
        found = next((pipe for pipe in pipes if (pipe.function or "").partition(":")[0] == name.name), None)
    return found


def _choose(mappings: Sequence[Mapping], name: FunctionName) -> Mapping | None:
    """The function's mapping: with the same qualifier if there is one, else an enabled one, else any."""
    own = [mapping for mapping in mappings if mapping.name == name.name and not is_temporary(mapping)]
    ranked = sorted(own, key=lambda one: (one.qualifier != name.qualifier, not one.enabled))
    return ranked[0] if ranked else None


def _refuse_windows(reader: Mapping | Pipe | None) -> None:
    if isinstance(reader, Mapping) and reader.tumbling_s:
        raise RefusedError(
            f"the event source mapping of {reader.function} has a tumbling window, whose state only Lambda keeps",
            "deliver with --how mapping",
        )


async def _concurrency(session: Session, name: FunctionName, unanswered: list[str]) -> int:
    """Half of the function's reserved concurrency, since its own mapping needs some; at most the default."""
    try:
        reserved = await ask_reserved_concurrency(session.services, name)
    except UnansweredError as error:
        unanswered.append(f"the function's reserved concurrency is unknown: {error}")
        return DEFAULT_CONCURRENCY
    if reserved is None:
        return DEFAULT_CONCURRENCY
    if reserved == 0:
        raise RefusedError(
            f"function {name} has a reserved concurrency of 0, so that nothing can invoke it",
            "raise its reserved concurrency first",
        )
    return max(1, min(DEFAULT_CONCURRENCY, reserved // 2))


def mapping_reads(target: FoundTarget) -> list[Finding]:
    """A finding if the function's own mapping reads the same shards at the same time."""
    if not target.is_live or target.reader is None:
        return []
    reader = target.reader.name if isinstance(target.reader, Pipe) else target.reader.function
    return [
        MAPPING_READS.found(
            f"{reader} is enabled and reads the same shards, each of which allows two readers at a time"
        )
    ]
