"""Check answers to botocore clients against the service's model. Answers that do not fit are rejected.

botocore trusts answers: a list in place of a map causes an AttributeError elsewhere, and a map in place of a text is
returned unchanged.
"""

import math
from datetime import datetime
from typing import Any

import orjson
from aiobotocore.parsers import AioResponseParserFactory
from botocore.parsers import ResponseParserError

_JSON = ("json", "rest-json")

_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (datetime,),
    "blob": (bytes, str),
}
"""The Python types that a botocore parser returns for a scalar shape."""


class StrictParserFactory(AioResponseParserFactory):  # type: ignore[misc] # untyped base
    """The session component `response_parser_factory` with parsers that raise only ResponseParserError."""

    def create_parser(self, protocol_name: str) -> Any:
        """A parser for answers in this protocol."""
        return _StrictParser(super().create_parser(protocol_name), is_json=protocol_name in _JSON)


class _StrictParser:
    def __init__(self, parser: Any, *, is_json: bool) -> None:
        self._parser = parser
        self._is_json = is_json

    async def parse(self, response: dict[str, Any], shape: Any) -> Any:
        """As botocore's parser. Raises ResponseParserError for an answer that does not fit `shape`."""
        try:
            parsed = await self._parser.parse(response, shape)
        except ResponseParserError:
            raise
        except Exception as error:  # the answer is the only input of the parser, so it is the cause
            raise ResponseParserError(f"misshapen answer ({type(error).__name__})") from error
        if not isinstance(parsed, dict):
            raise ResponseParserError("misshapen answer")
        if shape is None or response["status_code"] >= 300:
            return parsed
        if self._is_json and "payload" not in shape.serialization:
            _check_object(response["body"])
        if not _fits(parsed, shape, top=True):
            raise ResponseParserError("misshapen answer")
        return parsed


def _check_object(body: bytes) -> None:
    """Raise ResponseParserError if `body` is not a JSON object, which botocore treats as an answer without members."""
    try:
        is_object = isinstance(orjson.loads(body), dict) if body else True
    except orjson.JSONDecodeError as error:
        raise ResponseParserError("answer is not JSON") from error
    if not is_object:
        raise ResponseParserError("misshapen answer")


def _fits(value: Any, shape: Any, *, top: bool = False) -> bool:
    """Whether a parsed value fits the model; None stands for a missing member."""
    if value is None:
        return not top
    match shape.type_name:
        case "structure":
            if not isinstance(value, dict):
                return False
            streamed = shape.serialization.get("payload") if top else None
            members = shape.members
            return all(
                _fits(one, members[name])
                for name, one in value.items()
                if name in members and not (name == streamed and members[name].type_name == "blob")
            )
        case "list":
            return isinstance(value, list) and all(
                one is not None and _fits(one, shape.member) for one in value
            )
        case "map":
            return isinstance(value, dict) and all(_fits(one, shape.value) for one in value.values())
        case scalar:
            return _is_scalar(value, scalar)


def _is_scalar(value: Any, scalar: str) -> bool:
    if isinstance(value, bool):
        return scalar == "boolean"
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return False
    return isinstance(value, _SCALARS.get(scalar, object))
