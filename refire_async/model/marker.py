"""The marker: the attribute that a touch changes, and its new value.

`revision` counts up: a missing attribute becomes 1, the number n becomes n + 1.
`stamp` names the run: the attribute becomes the run's id, whatever its value was.
"""

from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from functools import lru_cache
from typing import Literal, TypeAlias

from refire_async.model.keys import AttributeValue

MarkerKind: TypeAlias = Literal["revision", "stamp"]

DEFAULT_ATTRIBUTE: dict[MarkerKind, str] = {"revision": "revision", "stamp": "refire_run_id"}

FIRST_REVISION: AttributeValue = {"N": "1"}

# Numbers have at most 38 significant digits (DynamoDB Developer Guide: Naming rules and data types).
_EXACT = Context(prec=38, Emax=125, Emin=-130, traps=[Inexact, InvalidOperation, Overflow])
_ONE = Decimal(1)


class UntouchableError(ValueError):
    """The item's marker has a value that cannot be counted up; the message is the reason."""


@lru_cache(maxsize=1024)  # most items of a table share few distinct revisions
def next_number(text: str) -> str:
    """`text` plus 1, in the form that DynamoDB returns. Raises UntouchableError if that loses digits."""
    if len(text) < 38 and text.isdecimal():
        return str(int(text) + 1)
    try:
        return format(_EXACT.add(Decimal(text), _ONE), "f")
    except (Inexact, InvalidOperation, Overflow):
        raise UntouchableError(f"marker {text} plus 1 does not fit into DynamoDB's 38 digits") from None


@dataclass(frozen=True, slots=True)
class Marker:
    """The attribute that marks touched items, its kind, and the run that writes it."""

    kind: MarkerKind
    attribute: str
    run_id: str

    def next(self, old: AttributeValue | None) -> AttributeValue:
        """The value that a touch writes over `old` (`None`: the attribute is missing).

        Raises UntouchableError if `old` cannot be counted up.
        """
        if self.kind == "stamp":
            return {"S": self.run_id}
        if old is None:
            return FIRST_REVISION
        number = old.get("N")
        if number is None:
            kind = next(iter(old), "nothing")
            raise UntouchableError(f"marker is of type {kind}, not a number")
        return {"N": next_number(number)}

    def fired(self, present: AttributeValue | None) -> bool:
        """Whether the present value alone shows that this run has touched the item; only a stamp does."""
        return self.kind == "stamp" and present is not None and present.get("S") == self.run_id
