"""What a diagnosis may show: numbers, times, and words of closed lists. Anything else is left out.

A text that comes from a file, a service or a user can hold a key or a credential, wherever it stands. So no text is
searched for what looks secret: only words that this program and its libraries define are let through.
"""

import builtins
import math
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import cache
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions
import botocore.session

from refire_async import errors
from refire_async.aws.errors import KNOWN_NAMES
from refire_async.aws.transport_errors import FAILURES

_MODELS = ("dynamodb", "dynamodbstreams", "lambda", "cloudwatch", "application-autoscaling", "pipes")
_REFUSALS = (
    *("CredentialsUnavailable", "CredentialsConfiguration", "LoginExpired", "MalformedCredentials"),
    *("MfaRequired", "NoCredentials", "PartialCredentials"),
)
"""Codes of credentials that are not available (refire_async/aws/providers.py)."""

_LARGEST = 1e15
_SUFFIXES = ("", "Exception", "Error")
_OTHER = "other"


@cache
def known_codes() -> frozenset[str]:
    """Codes of services, of lost answers, of refused credentials, and names of exceptions."""
    names = {*KNOWN_NAMES, *FAILURES, *_REFUSALS, "Timeout"}
    names |= {f"{name}{suffix}" for name in KNOWN_NAMES for suffix in _SUFFIXES}
    names |= {
        f"{kind}{way}{what}"
        for kind in ("Table", "Index")
        for way in ("Read", "Write")
        for what in (
            "ProvisionedThroughputExceeded",
            "KeyRangeThroughputExceeded",
            "AccountLimitExceeded",
            "MaxOnDemandThroughputExceeded",
        )
    }
    session = botocore.session.Session()
    for service in _MODELS:
        for shape in session.get_service_model(service).error_shapes:
            names |= {shape.name, shape.name.removesuffix("Exception")}
    for module in (builtins, botocore.exceptions, errors):
        names |= set(_exceptions_in(module))
    return frozenset(names)


@cache
def _known_regions() -> frozenset[str]:
    session = botocore.session.Session()
    partitions = session.get_available_partitions()
    return frozenset(
        region for name in partitions for region in session.get_available_regions("dynamodb", name)
    )


def _exceptions_in(module: ModuleType) -> Iterator[str]:
    for name, value in vars(module).items():
        if isinstance(value, type) and issubclass(value, BaseException):
            yield name


def code(value: object) -> str:
    """An error code as it is if it is known, else `other`."""
    text = str(value)
    known = text in known_codes() or re.fullmatch(r"HTTP [1-5]\d\d", text)
    return text if known else _OTHER


def word(value: object, words: Collection[str]) -> str:
    """One of the words, else `other`."""
    return value if isinstance(value, str) and value in words else _OTHER


def region(value: str | None) -> str | None:
    """A region of AWS, else `other`."""
    return None if value is None else word(value, _known_regions())


def number(value: object) -> int | float | bool | None:
    """A finite number or a truth value of moderate size; None for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and math.isfinite(value) and abs(value) < _LARGEST:
        return value
    return None


def numbers(values: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The numbers among the named values."""
    return {name: found for name in names if name in values and (found := number(values[name])) is not None}


def moment(value: object) -> str | None:
    """A time (ISO 8601, or seconds since the epoch) in UTC to the millisecond; None for anything else."""
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            at = datetime.fromtimestamp(value, UTC)
        else:
            return None
        return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


def endpoint(url: str | None) -> str | None:
    """Scheme, host and port of a URL: no user name, password, path or query. `other` if it has no host."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return _OTHER
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[a-z0-9.:-]{1,253}", host):
        return _OTHER
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}"
