"""The content of a fault file as records, and the parser of ``--faults FILE`` and ``PUT /_sandbox/faults``.

::

    {"seed": 7, "faults": [
      {"kind": "internal_error", "when": "after", "probability": 0.05, "operations": ["BatchExecuteStatement"]},
      {"kind": "throttle", "reason": "TableWriteKeyRangeThroughputExceeded", "scope": "member", "probability": 0.1},
      {"kind": "latency", "latency": "lognormal:20ms,0.5", "start": 10, "stop": 40},
      {"kind": "capacity", "table": "Orders", "write": 250, "start": 10, "stop": 40}
    ]}

``{}`` ends all faults. Times are seconds after the faults were installed.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

from refire_async.sandbox.capacity.reasons import Reason
from refire_async.sandbox.latency import Latency, parse_latency


class RequestKind(StrEnum):
    """Kinds of request faults; see ``RequestFault``."""

    INTERNAL_ERROR = "internal_error"
    UNAVAILABLE = "unavailable"
    RESET = "reset"
    TIMEOUT = "timeout"
    EXPIRED_TOKEN = "expired_token"  # noqa: S105  the name of a fault
    ACCESS_DENIED = "access_denied"
    THROTTLE = "throttle"
    TRANSACTION_CONFLICT = "transaction_conflict"
    TRUNCATE = "truncate"
    BAD_CRC = "bad_crc"
    SLOW_DRIP = "slow_drip"
    LATENCY = "latency"


@dataclasses.dataclass(frozen=True, slots=True)
class RequestFault:
    """A fault of single requests.

    ``kind``: *internal_error* (500), *reset* (connection reset) and *timeout* (never answered) strike, as
    ``when`` says, before the request is carried out or after it; *unavailable* (503), *expired_token*,
    *access_denied*, *throttle* and *transaction_conflict* before; *truncate*, *bad_crc* and *slow_drip* spoil the
    answer of a request that was carried out; *latency* delays it. ``scope`` "member" strikes single members of a
    batch operation (internal_error, throttle and transaction_conflict only). Where *throttle* or
    *transaction_conflict* strikes a transaction, it is cancelled, and its first action is to blame.

    ``probability`` for each request that fits, ``count`` strikes at most; ``operations`` and ``tables``: empty
    fits all; active from ``start`` to ``stop`` seconds.
    """

    kind: RequestKind
    when: Literal["before", "after"] = "before"
    scope: Literal["request", "member"] = "request"
    probability: float = 1.0
    count: int | None = None
    operations: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    start: float = 0.0
    stop: float = math.inf
    reason: Reason | None = None
    index: str | None = None
    latency: Latency | None = None
    keep_bytes: int | None = None
    bytes_per_second: float = 100.0


@dataclasses.dataclass(frozen=True, slots=True)
class TableDeleted:
    """The table is deleted at ``start`` seconds."""

    table: str
    start: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class CapacityChanged:
    """Provisioned throughput of a table or index between ``start`` and ``stop``; None leaves it as it is."""

    table: str
    index: str | None = None
    read: float | None = None
    write: float | None = None
    start: float = 0.0
    stop: float = math.inf


Fault = RequestFault | TableDeleted | CapacityChanged


@dataclasses.dataclass(frozen=True, slots=True)
class FaultSpec:
    """A whole fault file."""

    seed: int = 0
    requests: tuple[RequestFault, ...] = ()
    events: tuple[TableDeleted | CapacityChanged, ...] = ()


class FaultFileError(ValueError):
    """The file is wrong; ``mistakes`` holds one line for each mistake, the text all of them."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


def parse_faults(
    document: object, *, operations: Collection[str] | None = None, default_seed: int = 0
) -> FaultSpec:
    """Read a parsed JSON document; ``operations`` are the names that the sandbox knows (None: any).

    Raises ``FaultFileError`` with one line for each mistake, naming the place and what would be right.
    """
    if not isinstance(document, Mapping):
        raise FaultFileError([f"faults: {_shown(document)} is not a JSON object; {{}} ends all faults"])
    mistakes = [
        _unknown("the fault file", name, ("seed", "faults"))
        for name in document
        if name not in ("seed", "faults")
    ]
    seed = default_seed
    try:
        seed = _whole(0)(document.get("seed", default_seed))
    except ValueError as error:
        mistakes.append(f"seed: {error}")
    entries = document.get("faults", [])
    if not isinstance(entries, list):
        raise FaultFileError([*mistakes, f"'faults': {_shown(entries)} is not a list"])
    requests: list[RequestFault] = []
    events: list[TableDeleted | CapacityChanged] = []
    for at, entry in enumerate(entries):
        fault, wrong = _parse_entry(entry, operations)
        mistakes += [f"faults[{at}]{line}" for line in wrong]
        if isinstance(fault, RequestFault):
            requests.append(fault)
        elif fault is not None:
            events.append(fault)
    if mistakes:
        raise FaultFileError(mistakes)
    return FaultSpec(seed, tuple(requests), tuple(events))


def _parse_entry(entry: object, operations: Collection[str] | None) -> tuple[Fault | None, list[str]]:
    """(record or None, mistakes with their place within the entry)."""
    if not isinstance(entry, Mapping):
        return None, [f": {_shown(entry)} is not a JSON object"]
    if "kind" not in entry:
        return None, [f": 'kind' is missing, one of {', '.join(_MEMBERS)}"]
    kind = entry["kind"]
    if not isinstance(kind, str) or kind not in _MEMBERS:
        return None, [f".kind: {_unknown('the list of kinds', kind, tuple(_MEMBERS))}"]
    values, wrong = _read_values(kind, entry)
    wrong = wrong or _check_together(kind, values, operations)
    if wrong:
        return None, wrong
    record = _RECORDS.get(kind)
    return record(**values) if record else RequestFault(RequestKind(kind), **values), []


def _read_values(kind: str, entry: Mapping[str, object]) -> tuple[dict[str, Any], list[str]]:
    wrong = [f": a {kind} fault needs {name!r}" for name in _REQUIRED.get(kind, ()) if name not in entry]
    values: dict[str, Any] = {}
    for name, value in entry.items():
        if name == "kind":
            continue
        if name not in _MEMBERS[kind]:
            wrong.append(f": {_unknown(f'a {kind} fault', name, tuple(sorted(_MEMBERS[kind])))}")
            continue
        try:
            values[name] = _READERS[name](value)
        except ValueError as error:
            wrong.append(f".{name}: {error}")
    return values, wrong


def _check_together(kind: str, values: Mapping[str, Any], operations: Collection[str] | None) -> list[str]:
    """Contradictions between values that are valid by themselves."""
    wrong = []
    if values.get("stop", math.inf) <= values.get("start", 0.0):
        wrong.append(f".stop: {values['stop']:g} is not after start")
    if operations is not None:
        wrong += [
            f".operations: {_unknown('the sandbox', name, tuple(sorted(operations)))}"
            for name in sorted(values.get("operations", frozenset()) - set(operations))
        ]
    reason: Reason | None = values.get("reason")
    if reason is not None and reason.of_index and "index" not in values:
        wrong.append(f": {reason.value} needs 'index', the name of the index")
    if reason is not None and not reason.of_index and "index" in values:
        wrong.append(f".index: {reason.value} speaks of the table, not of an index")
    if kind == "capacity" and not {"read", "write"} & values.keys():
        wrong.append(": a capacity fault needs 'read', 'write' or both")
    return wrong


Reader = Callable[[object], Any]


def _number(low: float, high: float, *, above: bool = False) -> Reader:
    def read(value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and (low < value <= high or (value == low and not above)):
            return float(value)
        raise ValueError(
            f"{_shown(value)} is not a number {'above' if above else 'from'} {low:g} up to {high:g}"
        )

    return read


def _whole(low: int) -> Reader:
    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value >= low:
            return value
        raise ValueError(f"{_shown(value)} is not a whole number of at least {low}")

    return read


def _choice(*choices: str) -> Reader:
    def read(value: object) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise ValueError(f"{_shown(value)} is not one of {', '.join(choices)}")

    return read


def _name(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError(f"{_shown(value)} is not a name")


def _names(value: object) -> frozenset[str]:
    if isinstance(value, list) and value:
        return frozenset(_name(name) for name in value)
    raise ValueError(f"{_shown(value)} is not a list of names")


def _reason(value: object) -> Reason:
    try:
        return Reason(value)  # type: ignore[arg-type]  # anything but a reason's text raises
    except ValueError:
        raise ValueError(_unknown("the list of reasons", value, tuple(Reason))) from None


def _latency(value: object) -> Latency:
    if isinstance(value, str):
        return parse_latency(value)
    raise ValueError(f'{_shown(value)} is not a text like "5ms"')


_LONG = 1e9  # seconds, units: beyond anything that a sandbox will see
_READERS: dict[str, Reader] = {
    "when": _choice("before", "after"),
    "scope": _choice("request", "member"),
    "probability": _number(0, 1),
    "count": _whole(1),
    "operations": _names,
    "tables": _names,
    "start": _number(0, _LONG),
    "stop": _number(0, _LONG, above=True),
    "reason": _reason,
    "index": _name,
    "table": _name,
    "latency": _latency,
    "keep_bytes": _whole(0),
    "bytes_per_second": _number(0, _LONG, above=True),
    "read": _number(1, _LONG),
    "write": _number(1, _LONG),
}
_FILTERS = frozenset({"probability", "count", "operations", "tables", "start", "stop"})
_MEMBERS: dict[str, frozenset[str]] = {
    "internal_error": _FILTERS | {"when", "scope"},
    "unavailable": _FILTERS,
    "reset": _FILTERS | {"when"},
    "timeout": _FILTERS | {"when"},
    "expired_token": _FILTERS,
    "access_denied": _FILTERS,
    "throttle": _FILTERS | {"scope", "reason", "index"},
    "transaction_conflict": _FILTERS | {"scope"},
    "truncate": _FILTERS | {"keep_bytes"},
    "bad_crc": _FILTERS,
    "slow_drip": _FILTERS | {"bytes_per_second"},
    "latency": _FILTERS | {"latency"},
    "table_deleted": frozenset({"table", "start"}),
    "capacity": frozenset({"table", "index", "read", "write", "start", "stop"}),
}
_RECORDS: dict[str, Callable[..., Fault]] = {"table_deleted": TableDeleted, "capacity": CapacityChanged}
_REQUIRED: dict[str, tuple[str, ...]] = {
    "throttle": ("reason",),
    "latency": ("latency",),
    "table_deleted": ("table",),
    "capacity": ("table",),
}


def _unknown(owner: str, name: object, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    return f"{owner} has no {_shown(name)}; {hint}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
