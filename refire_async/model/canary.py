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

    @property
    def clean(self) -> bool:
        """Whether nothing speaks against going on. What is not known of consumers does not."""
        proved = self.proof is not None and self.proof.tally.clean
        return proved and not self.consumers.failing and not self.consumers.behind
