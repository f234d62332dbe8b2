"""Paths and literal values of PartiQL: the parts of a statement that mean the same wherever they stand."""

from __future__ import annotations

import re
from typing import Any

from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.expressions.grammar import MAX_LIST_INDEX
from refire_async.sandbox.expressions.nodes import Path
from refire_async.sandbox.numbers import canonical_number
from refire_async.sandbox.partiql.lexer import Token, not_well_formed
from refire_async.sandbox.partiql.tokens import TokenReader
from refire_async.sandbox.values import MAX_NESTING, AttributeValue, validate_value

_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)$")
_OPENINGS = {"[": "]", "(": ")", "{": "}", "<<": ">>"}
_CONSTANTS: dict[str, AttributeValue] = {
    "TRUE": {"BOOL": True},
    "FALSE": {"BOOL": False},
    "NULL": {"NULL": True},
}


class LiteralParser(TokenReader):
    """Reads paths and literals."""

    # -- paths

    def path(self) -> Path:
        """``name``, followed by any number of ``.name``, ``[index]`` and ``['name']``."""
        elements: list[str | int] = [self.name()]
        while True:
            if self.take_symbol("."):
                elements.append(self._member_name())
            elif self.take_symbol("["):
                elements.append(self._subscript())
                self.expect_symbol("]")
            else:
                return Path(tuple(elements))

    def name(self) -> str:
        """An identifier, in double quotes or not."""
        if self.token.kind != "name":
            raise self.unexpected()
        return _not_empty(self.next().text)

    def _member_name(self) -> str:
        if self.at_symbol("*"):
            raise validation("Changing item's hierarchy while reading isn't supported")
        if self.token.kind != "name":
            raise not_well_formed("Invalid path dot component")
        return _not_empty(self.next().text)

    def _subscript(self) -> str | int:
        token = self.next()
        if token.kind == "string":
            return _not_empty(token.text)
        negative = token.kind == "symbol" and token.text == "-"
        if negative:
            token = self.next()
        if token.kind != "number" or not token.text.isdigit():
            raise self.error_at("Unexpected path component", token)
        digits = token.text.lstrip("0") or "0"
        if negative or len(digits) > 10 or int(digits) > MAX_LIST_INDEX:
            sign = "-" if negative else ""
            raise self.error_at(
                f"List index is not within the allowable range; index: [{sign}{digits}]", token
            )
        return int(digits)

    # -- literals

    def at_literal(self) -> bool:
        """Whether a literal value starts here, apart from one in parentheses."""
        token = self.token
        if token.kind in {"string", "number"} or self.at_keyword(*_CONSTANTS):
            return True
        return token.kind == "symbol" and token.text in {"[", "{", "<<", "+", "-"}

    def literal(self) -> AttributeValue:
        """A canonical value: string, number, boolean, null, list, map or set."""
        return validate_value(self._literal("root", 1))

    def _literal(self, key: str, level: int) -> AttributeValue:
        if level > MAX_NESTING:
            raise validation(
                "Nesting Levels have exceeded supported limits: "
                "Attributes in the item have nested levels beyond supported limit"
            )
        token = self.token
        value = self._scalar(token, key)
        if value is not None:
            return value
        if token.kind != "symbol" or token.text not in _OPENINGS:
            raise self._unsupported(token, key)
        self.next()
        if token.text == "{":
            return {"M": self._members(key, level)}
        if token.text == "<<":
            return self._bag(token)
        return {"L": self._elements(_OPENINGS[token.text], key, level)}

    def _scalar(self, token: Token, key: str) -> AttributeValue | None:
        value: AttributeValue | None = None
        if token.kind == "string":
            value = {"S": token.text}
        elif token.kind == "number":
            value = {"N": _number(token.text, key)}
        elif token.kind == "keyword":
            value = _CONSTANTS.get(token.text)
        elif token.kind == "symbol" and token.text in {"+", "-"}:
            self.next()
            value = self._signed_number(token, key)
        if value is not None:
            self.next()
        return value

    def _unsupported(self, token: Token, key: str) -> ServiceError:
        if token.kind == "end" or (token.kind == "symbol" and token.text != "?"):
            return self.unexpected()
        names = {"name": "VariableReference", "symbol": "Parameter"}
        return self.error_at(
            f"Unsupported data type: {names.get(token.kind, token.text)} under key {key}", token
        )

    def _signed_number(self, sign: Token, key: str) -> AttributeValue:
        token = self.token
        if token.kind != "number":
            raise validation(
                "Incorrect number of operands for operator or function; "
                f"operator or function: {sign.text}, number of operands: 1"
            )
        return {"N": _number(sign.text + token.text, key)}

    def _elements(self, closing: str, key: str, level: int) -> list[AttributeValue]:
        elements: list[AttributeValue] = []
        if self.take_symbol(closing):
            return elements
        while True:
            elements.append(self._literal(f"{key}[{len(elements)}]", level + 1))
            if self.take_symbol(closing):
                return elements
            self.expect_symbol(",")

    def _members(self, key: str, level: int) -> dict[str, AttributeValue]:
        members: dict[str, AttributeValue] = {}
        for name in self.member_names(key):
            members[name] = self._literal(f"{key}.{name}", level + 1)
        return members

    def member_names(self, key: str) -> Any:
        """The names of a map whose opening brace is consumed; the caller reads the value after each name."""
        seen: set[str] = set()
        if self.take_symbol("}"):
            return
        while True:
            token = self.next()
            if token.kind != "string":
                if token.kind == "name":
                    raise self.error_at(
                        f"Tuple keys must be of type String. Actual type: VariableReference under {key}",
                        token,
                    )
                raise not_well_formed("Unexpected token in tuple")
            if token.text in seen:
                raise self.error_at(f"Duplicate keys in tuple. Key: {token.text} under {key}", token)
            seen.add(token.text)
            self.expect_symbol(":")
            yield _not_empty(token.text)
            if self.take_symbol("}"):
                return
            self.expect_symbol(",")

    def _bag(self, opening: Token) -> AttributeValue:
        if self.at_symbol(">>"):
            raise self.error_at("Empty bags are not supported", opening)
        members = self.listed(self._bag_member)
        self.expect_symbol(">>")
        types = {type_ for type_, _ in members}
        if len(types) > 1:
            raise _bag_type_error()
        return {types.pop() + "S": [text for _, text in members]}

    def _bag_member(self) -> tuple[str, str]:
        token = self.token
        sign = ""
        if token.kind == "symbol" and token.text in {"+", "-"}:
            sign = self.next().text
        member = self.next()
        if member.kind == "number":
            return "N", _number(sign + member.text, "root")
        if member.kind == "string" and not sign:
            return "S", member.text
        raise _bag_type_error()


def _bag_type_error() -> ServiceError:
    return validation(
        "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags"
    )


def _not_empty(name: str) -> str:
    if not name:
        raise validation("Path component cannot be an empty string")
    return name


def _number(text: str, key: str) -> str:
    exponent = _EXPONENT.search(text)
    if exponent is not None and (len(exponent[1]) > 20 or not -(2**31) <= int(exponent[1]) < 2**31):
        raise not_well_formed()
    try:
        number = canonical_number(text)
    except ServiceError as error:
        raise validation(f"{error.message} under {key}") from None
    if number == "0" and text[0] == "-" and not text[1:].isdigit():
        raise validation(f"Negative zero decimal is not supported under key {key}")
    return number
