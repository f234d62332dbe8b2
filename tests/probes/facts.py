"""Facts and probes: what is assumed, from where, what rests on it, and how it is tried."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tests.probes.cost import Cost

if TYPE_CHECKING:
    from tests.probes.lab import Lab

Outcome = Literal["agrees", "differs", "not tried"]
ServerName = Literal["sandbox", "dynamodb-local", "ministack", "aws", "other"]
ServiceName = Literal["dynamodb", "dynamodbstreams", "lambda", "sqs", "s3"]

PROMISES = (
    "Coverage",
    "Once",
    "No harm",
    "Budget",
    "Resume",
    "Durable before the first write",
    "Honest end",
    "Every record",
    "Order",
    "Repeats",
    "Honest end of a delivery",
)
"""The promises of docs/correctness.md, those of a run before those of a delivery."""

OTHER_USES = ("Verification", "Check", "Plan", "Checkpoint table", "Sandbox")
"""What else may rest on a fact."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a probe saw, as text without names that change from run to run, and whether it agrees."""

    agrees: bool
    text: str


class NotTriedError(Exception):
    """A fact that cannot be tried on this server; the text is the reason."""


class DiffersError(Exception):
    """The server refused or did something that the probe does not expect at all; the text is what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What is assumed about AWS.

    `code` lists the files that rest on it, `rests` the promises (`PROMISES`) and other uses (`OTHER_USES`). `believed`
    says, for a server that differs, why the assumption stands all the same. `untried` is why there is no probe, and
    None where there is one.
    """

    id: str
    assumed: str
    source: str
    code: tuple[str, ...]
    rests: tuple[str, ...]
    believed: Mapping[str, str] = field(default_factory=dict)
    untried: str | None = None

    @property
    def area(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(Fact):
    """A fact with the function that tries it. `how` says in words what the function does.

    `tables` are the kinds of tables that it uses (`tables.KINDS`), `services` the AWS services beside DynamoDB and its
    streams. `slow` ones take minutes on AWS and run only if their area is named with --only.
    """

    how: str
    run: Callable[["Lab"], Seen]
    tables: tuple[str, ...] = ()
    services: tuple[ServiceName, ...] = ()
    cost: Cost = field(default_factory=Cost)
    slow: bool = False


class Area:
    """Collects the facts of one area. Calling it decorates the function that tries a fact."""

    def __init__(
        self,
        name: str,
        title: str,
        *,
        tables: tuple[str, ...] = (),
        services: tuple[ServiceName, ...] = (),
    ) -> None:
        """`tables` and `services` are those of a probe that names none."""
        self.name, self.title = name, title
        self._tables, self._services = tables, services
        self.facts: list[Fact] = []

    def __call__(
        self, name: str, /, *, assumed: str, source: str, code: str, rests: str, how: str, **more: Any
    ) -> Callable[[Callable[["Lab"], Seen]], Callable[["Lab"], Seen]]:
        """A probe with the id `AREA.name`. `code` and `rests` separate their members by `, `."""

        def register(run: Callable[["Lab"], Seen]) -> Callable[["Lab"], Seen]:
            more.setdefault("tables", self._tables)
            more.setdefault("services", self._services)
            self.facts.append(
                Probe(
                    id=f"{self.name}.{name}",
                    assumed=assumed,
                    source=source,
                    code=_files(code),
                    rests=tuple(rests.split(", ")),
                    how=how,
                    run=run,
                    **more,
                )
            )
            return run

        return register

    def untried(
        self, name: str, /, *, assumed: str, source: str, code: str, rests: str, reason: str, **more: Any
    ) -> None:
        """A fact without a probe, and why there is none."""
        self.facts.append(
            Fact(
                id=f"{self.name}.{name}",
                assumed=assumed,
                source=source,
                code=_files(code),
                rests=tuple(rests.split(", ")),
                untried=reason,
                **more,
            )
        )

    @property
    def probes(self) -> Iterator[Probe]:
        """The facts that can be tried."""
        return (fact for fact in self.facts if isinstance(fact, Probe))


def _files(code: str) -> tuple[str, ...]:
    return tuple(f"refire_async/{name}" for name in code.split(", "))


def equal(assumed: Any, seen: Any) -> Seen:
    """Agrees if both are the same as text; the text is what was seen."""
    return Seen(_text(assumed) == _text(seen), _text(seen))


def seen_if(agrees: Any, text: str) -> Seen:
    """Agrees if the first argument is true."""
    return Seen(bool(agrees), text)


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case float():
            return f"{value:g}"
        case list() | tuple():
            return ", ".join(map(_text, value)) or "nothing"
        case dict():
            return ", ".join(f"{key} {_text(one)}" for key, one in value.items()) or "nothing"
        case _:
            return str(value)
