"""What a canary showed: the first items of a run, their events, and how the consumers took them."""

from dataclasses import dataclass

from refire_async.model.proof import Proof


@dataclass(frozen=True, slots=True)
class Consumer:
    """A function that the stream invokes. `errors` and `invocations` since the canary began, `age_s` the newest."""

    function: str
    invocations: float = 0.0
    errors: float = 0.0
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Consumers:
    """The consumers after a canary. `unknown` says why nothing, or not all, is known of them; `behind`: who lags."""

    known: tuple[Consumer, ...] = ()
    unknown: str | None = None
    behind: tuple[str, ...] = ()

    @property
    def failing(self) -> tuple[str, ...]:
        """Functions with errors."""
        return tuple(consumer.function for consumer in self.known if consumer.errors)


@dataclass(frozen=True, slots=True)
class Canary:
    """The report on a canary. `proof` is None where `unproven` says why there is none."""

    items: int
    proof: Proof | None
    unproven: str | None
    consumers: Consumers
    failed: int = 0
    """Items that could not be touched."""

    @property
    def clean(self) -> bool:
        """Whether items were touched, and nothing speaks against going on. What is not known of consumers does not."""
        shown = self.items > 0 and self.proof is not None and self.proof.counts.clean
        return shown and not (self.failed or self.consumers.failing or self.consumers.behind)
