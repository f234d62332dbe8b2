"""The result of a canary: the first items of a run, their events, and the consumers' metrics."""

from dataclasses import dataclass

from refire_async.model.proof import Proof


@dataclass(frozen=True, slots=True)
class Consumer:
    """A function that the stream invokes.

    `errors` and `invocations` are since the canary began, `age_s` is the latest.
    """

    function: str
    invocations: float = 0.0
    errors: float = 0.0
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Consumers:
    """The consumers after a canary. `unknown` says why data is missing; `behind` are the functions that lag."""

    known: tuple[Consumer, ...] = ()
    unknown: str | None = None
    behind: tuple[str, ...] = ()

    @property
    def failing(self) -> tuple[str, ...]:
        """Functions with errors."""
        return tuple(consumer.function for consumer in self.known if consumer.errors)


@dataclass(frozen=True, slots=True)
class Canary:
    """The report on a canary. If `proof` is None, `unproven` says why."""

    items: int
    proof: Proof | None
    unproven: str | None
    consumers: Consumers
    failed: int = 0
    """Items that could not be touched."""

    @property
    def clean(self) -> bool:
        """Whether items were touched and no problem was found. Unknown consumers are no problem."""
        shown = self.items > 0 and self.proof is not None and self.proof.counts.clean
        return shown and not (self.failed or self.consumers.failing or self.consumers.behind)
