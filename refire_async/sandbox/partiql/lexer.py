"""Tokens of PartiQL statements."""

from __future__ import annotations

import re
from typing import NamedTuple

from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.partiql.keywords import KEYWORDS

_TOKEN = re.compile(
    r"""
      (?P<space>\s+ | --[^\n]* | /\*.*?\*/)
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_$]))
    | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<string>'(?:[^']|'')*')
    | (?P<symbol><<|>>|<>|!=|<=|>=|\|\||/(?!\*)|[=<>()\[\]{},.:;?*+\-%])
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """One token. ``kind`` is "keyword", "name", "string", "number", "symbol" or "end".

    ``text`` is upper case for keywords and without quotes for names and strings; ``quoted`` tells a name in double
    quotes. ``start`` and ``end`` are offsets in the statement.
    """

    kind: str
    text: str
    start: int
    end: int
    quoted: bool = False


def tokenize(statement: str) -> list[Token]:
    """All tokens, closed by one of kind "end". Raises ValidationException for text that is not PartiQL at all."""
    tokens = []
    position = 0
    while position < len(statement):
        match = _TOKEN.match(statement, position)
        if match is None:
            raise not_well_formed()
        kind, text, position = match.lastgroup, match.group(), match.end()
        if kind == "space":
            continue
        if kind == "word":
            kind = "keyword" if text.upper() in KEYWORDS else "name"
            tokens.append(Token(kind, text.upper() if kind == "keyword" else text, match.start(), position))
        elif kind == "quoted":
            tokens.append(Token("name", text[1:-1].replace('""', '"'), match.start(), position, quoted=True))
        elif kind == "string":
            tokens.append(Token("string", text[1:-1].replace("''", "'"), match.start(), position))
        else:
            tokens.append(Token(kind or "", text, match.start(), position))
    tokens.append(Token("end", "", len(statement), len(statement)))
    return tokens


def not_well_formed(detail: str = "") -> ServiceError:
    """The statement cannot be read; literals and comments that break off get no detail."""
    return validation(f"Statement wasn't well formed, can't be processed: {detail}")


def location(statement: str, token: Token) -> str:
    """Where a token stands, as messages have it: line, column (both from 1) and length."""
    line = statement.count("\n", 0, token.start) + 1
    column = token.start - (statement.rfind("\n", 0, token.start) + 1) + 1
    return f"{line}:{column}:{token.end - token.start}"
