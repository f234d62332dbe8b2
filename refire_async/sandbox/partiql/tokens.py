"""Walking over the tokens of one statement; every part of the parser builds on this."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.partiql.lexer import Token, location, not_well_formed, tokenize

T = TypeVar("T")


class TokenReader:
    """A position in a statement."""

    def __init__(self, statement: str) -> None:
        self._statement = statement
        self._tokens = tokenize(statement)
        self._position = 0

    @property
    def token(self) -> Token:
        """The token that comes next."""
        return self._tokens[self._position]

    @property
    def following(self) -> Token:
        """The token after the next one."""
        return self._tokens[min(self._position + 1, len(self._tokens) - 1)]

    def next(self) -> Token:
        """Consume the next token."""
        token = self._tokens[self._position]
        if token.kind != "end":
            self._position += 1
        return token

    def at_symbol(self, text: str) -> bool:
        """Whether this symbol comes next."""
        return self.token.kind == "symbol" and self.token.text == text

    def at_keyword(self, *words: str) -> bool:
        """Whether one of these keywords comes next."""
        return self.token.kind == "keyword" and self.token.text in words

    def take_symbol(self, text: str) -> bool:
        """Consume this symbol if it comes next."""
        found = self.at_symbol(text)
        if found:
            self._position += 1
        return found

    def take_keyword(self, word: str) -> bool:
        """Consume this keyword if it comes next."""
        found = self.at_keyword(word)
        if found:
            self._position += 1
        return found

    def expect_symbol(self, text: str) -> None:
        """Consume this symbol or raise."""
        if not self.take_symbol(text):
            raise self.unexpected()

    def expect_keyword(self, word: str) -> None:
        """Consume this keyword or raise."""
        if not self.take_keyword(word):
            raise self.unexpected()

    def listed(self, parse: Callable[[], T]) -> list[T]:
        """One or more of what ``parse`` reads, separated by commas."""
        found = [parse()]
        while self.take_symbol(","):
            found.append(parse())
        return found

    def unexpected(self) -> ServiceError:
        """The next token cannot stand here."""
        token = self.token
        if token.kind == "end":
            return not_well_formed("Unexpected end of statement")
        return not_well_formed(f"Unexpected token at {location(self._statement, token)}")

    def error_at(self, message: str, token: Token) -> ServiceError:
        """A ValidationException that ends with the place of a token."""
        return validation(f"{message} at {location(self._statement, token)}")
