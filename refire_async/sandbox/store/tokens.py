"""ClientRequestToken: a transaction that is asked for again within ten minutes is not carried out again.

Source: API Reference, TransactWriteItems and ExecuteTransaction, ClientRequestToken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refire_async.sandbox.errors import ServiceError

TOKEN_LIFE_S = 600


@dataclass(frozen=True, slots=True)
class Completed:
    """A transaction that was carried out. ``sizes`` are those that asking again is charged for, by table."""

    request: bytes
    sizes: tuple[tuple[str, int], ...]
    responses: Any
    answered: float
    """Monotonic time of its answer: until then it is under way."""


class Tokens:
    """Transactions by operation and token."""

    __slots__ = ("_completed",)

    def __init__(self) -> None:
        self._completed: dict[tuple[str, str], Completed] = {}

    def find(self, operation: str, token: str, request: bytes, now: float) -> Completed | None:
        """The transaction that this one repeats, None if it is new.

        Raises IdempotentParameterMismatchException if another one had the token, TransactionInProgressException if
        it is not answered yet.
        """
        found = self._completed.get((operation, token))
        if found is None or now > found.answered + TOKEN_LIFE_S:
            return None
        if found.request != request:
            raise ServiceError(
                "IdempotentParameterMismatchException",
                "The request was rejected because it repeats a client token with other parameters",
            )
        if now < found.answered:
            raise ServiceError(
                "TransactionInProgressException",
                "The transaction with the given request token is already in progress",
            )
        return found

    def keep(self, operation: str, token: str, completed: Completed, now: float) -> None:
        """Remember a transaction; those that are too old are forgotten."""
        self._completed = {
            place: one for place, one in self._completed.items() if now <= one.answered + TOKEN_LIFE_S
        }
        self._completed[operation, token] = completed
