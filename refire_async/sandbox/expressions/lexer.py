"""Tokens of DynamoDB's expression language, and its way of saying where the syntax went wrong."""

from __future__ import annotations

import re
from typing import NamedTuple

from refire_async.sandbox.errors import ServiceError, validation

KEYWORDS = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"})

_TOKEN = re.compile(
    r"""
      (?P<name>[A-Za-z][A-Za-z0-9_]*)
    | (?P<name_substitute>\#[A-Za-z0-9_]+)
    | (?P<value_substitute>:[A-Za-z0-9_]+)
    | (?P<number>0|[1-9][0-9]*)
    | (?P<symbol><>|<=|>=|[=<>()\[\],.+\-])
    | (?P<space>[ \t\r\n\f]+)
    | (?P<stray>.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """One token: ``kind`` is "keyword", the name of a group above, or "end"; ``text`` is upper case for keywords."""

    kind: str
    text: str
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """All tokens of ``text``, closed by one of kind "end". Never fails: stray characters are tokens too."""
    tokens = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "stray"
        if kind == "space":
            continue
        word = match.group()
        if kind == "name" and word.upper() in KEYWORDS:
            tokens.append(Token("keyword", word.upper(), match.start(), match.end()))
        else:
            tokens.append(Token(kind, word, match.start(), match.end()))
    tokens.append(Token("end", "<EOF>", len(text), len(text)))
    return tokens


def syntax_error(parameter: str, text: str, tokens: list[Token], position: int) -> ServiceError:
    """The service's message for an unexpected token: the token, and the text from one before to one after it."""
    token = tokens[position]
    shown = token.text if token.kind == "end" else text[token.start : token.end]
    before = tokens[position - 1].start if position else token.start
    if position == 0 and token.kind == "end":
        before = 0
    after = tokens[position + 1].end if position + 1 < len(tokens) else token.end
    return validation(f'Invalid {parameter}: Syntax error; token: "{shown}", near: "{text[before:after]}"')
