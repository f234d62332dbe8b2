"""Grammar of condition, filter, key-condition and projection expressions, and what updates share with them.

Parsing depends on the text alone, so trees are cached by it. Everything that the service finds before it looks at a
request's names and values is raised here: syntax, reserved words, unknown or misplaced functions, redundant
parentheses, size and operator limits (Developer Guide: Condition and filter expressions; Update expressions; Quotas).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.expressions.boolean import parse_boolean
from refire_async.sandbox.expressions.lexer import Token, syntax_error, tokenize
from refire_async.sandbox.expressions.nodes import (
    Between,
    Call,
    Comparison,
    Condition,
    Membership,
    Operand,
    Path,
    Substitute,
)
from refire_async.sandbox.expressions.reserved import is_reserved

MAX_EXPRESSION_BYTES = 4096
MAX_OPERATORS = 300
MAX_IN_OPERANDS = 100
MAX_LIST_INDEX = 2**31 - 1
# Calls within calls are read recursively; nothing that makes sense nests deeper than documents do.
MAX_OPEN_CALLS = 32
CACHED_EXPRESSIONS = 1024

COMPARATORS = frozenset({"=", "<>", "<", "<=", ">", ">="})
CONDITION_FUNCTIONS = frozenset(
    {"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"}
)
OPERAND_FUNCTIONS = frozenset({"size"})
UPDATE_FUNCTIONS = frozenset({"if_not_exists", "list_append"})


@lru_cache(maxsize=CACHED_EXPRESSIONS)
def parse_condition(text: str, parameter: str) -> Condition:
    """Tree of a condition; ``parameter`` is the request member that errors name, such as FilterExpression."""
    parser = ExpressionParser(text, parameter)
    condition = parse_boolean(parser)
    parser.finish()
    return condition


@lru_cache(maxsize=CACHED_EXPRESSIONS)
def parse_projection(text: str) -> tuple[Path, ...]:
    """Paths of a projection expression."""
    parser = ExpressionParser(text, "ProjectionExpression")
    paths = parser.listed(parser.path)
    parser.finish()
    return tuple(paths)


class ExpressionParser:
    """One pass over the tokens, recursive only in the arguments of functions."""

    def __init__(
        self,
        text: str,
        parameter: str,
        functions: frozenset[str] = CONDITION_FUNCTIONS | OPERAND_FUNCTIONS,
    ) -> None:
        self._text = text
        self._parameter = parameter
        self._functions = functions
        if not text:
            raise self._error("The expression can not be empty;")
        if len(text.encode("utf-8", "surrogatepass")) > MAX_EXPRESSION_BYTES:
            raise self._error("Expression size has exceeded the maximum allowed size;")
        self._tokens = tokenize(text)
        self._position = 0
        self._operators = 0
        self._open_calls = 0
        # The first complaint that is not about syntax; syntax errors anywhere in the text go first.
        self._complaint: ServiceError | None = None
        self.redundant_parentheses = False

    # -- tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._position]

    def _take(self, kind: str, text: str) -> bool:
        token = self._token
        if token.kind == kind and token.text == text:
            self._position += 1
            return True
        return False

    def _expect(self, kind: str, text: str) -> None:
        if not self._take(kind, text):
            raise self.unexpected()

    def _error(self, message: str) -> ServiceError:
        return validation(f"Invalid {self._parameter}: {message}")

    def _complain(self, message: str) -> None:
        if self._complaint is None:
            self._complaint = self._error(message)

    def _count_operator(self) -> None:
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise self._error(
                f"The expression contains too many operators; operator count: {self._operators}"
            )

    def unexpected(self) -> ServiceError:
        return syntax_error(self._parameter, self._text, self._tokens, self._position)

    def finish(self) -> None:
        """The text must be used up; then raise what is wrong with it apart from syntax."""
        if self._token.kind != "end":
            raise self.unexpected()
        if self.redundant_parentheses:
            raise self._error("The expression has redundant parentheses;")
        if self._complaint is not None:
            raise self._complaint

    # -- boolean level

    def take_not(self) -> bool:
        found = self._take("keyword", "NOT")
        if found:
            self._count_operator()
        return found

    def take_open(self) -> bool:
        return self._take("symbol", "(")

    def take_close(self) -> bool:
        return self._take("symbol", ")")

    def take_joiner(self) -> str | None:
        for joiner in ("AND", "OR"):
            if self._take("keyword", joiner):
                self._count_operator()
                return joiner
        return None

    def predicate(self) -> tuple[Any, bool]:
        return self.predicate_of(self.operand())

    def predicate_of(self, operand: Operand) -> tuple[Any, bool]:
        token = self._token
        if token.kind == "symbol" and token.text in COMPARATORS:
            self._position += 1
            self._count_operator()
            return Comparison(token.text, self._plain(operand), self._plain(self.operand())), True
        if self._take("keyword", "BETWEEN"):
            self._count_operator()
            low = self._plain(self.operand())
            self._expect("keyword", "AND")
            return Between(self._plain(operand), low, self._plain(self.operand())), True
        if self._take("keyword", "IN"):
            self._count_operator()
            self._expect("symbol", "(")
            options = [self._plain(option) for option in self.listed(self.operand)]
            self._expect("symbol", ")")
            if len(options) > MAX_IN_OPERANDS:
                self._complain(
                    f"The IN operator is provided with too many operands; number of operands: {len(options)}"
                )
            return Membership(self._plain(operand), tuple(options)), True
        if isinstance(operand, Call):
            if operand.function in OPERAND_FUNCTIONS:
                self._misused(operand)
            return operand, True
        return operand, False

    def _plain(self, operand: Operand) -> Operand:
        if isinstance(operand, Call) and operand.function in CONDITION_FUNCTIONS:
            self._misused(operand)
        return operand

    def _misused(self, call: Call) -> None:
        self._complain(
            f"The function is not allowed to be used this way in an expression; function: {call.function}"
        )

    # -- operands

    def listed(self, parse: Any) -> list[Any]:
        """One or more of what ``parse`` reads, separated by commas."""
        found = [parse()]
        while self._take("symbol", ","):
            found.append(parse())
        return found

    def operand(self) -> Operand:
        """A path, value or function, in any number of parentheses (more than one pair is redundant)."""
        opened = self._opened()
        if opened > 1:
            self.redundant_parentheses = True
        operand = self._atom()
        for _ in range(opened):
            self._expect("symbol", ")")
        return operand

    def _opened(self) -> int:
        opened = 0
        while self.take_open():
            opened += 1
        return opened

    def _atom(self) -> Operand:
        token = self._token
        if token.kind == "value_substitute":
            self._position += 1
            return Substitute(token.text)
        if token.kind == "name":
            following = self._tokens[self._position + 1]
            if following.kind == "symbol" and following.text == "(":
                return self._call()
        return self.path()

    def _call(self) -> Call:
        function = self._token.text
        self._position += 2
        self._count_operator()
        self._check_function(function)
        self._open_calls += 1
        if self._open_calls > MAX_OPEN_CALLS:
            raise self.unexpected()
        arguments = self.listed(lambda: self._argument(function))
        self._expect("symbol", ")")
        self._open_calls -= 1
        return Call(function, tuple(arguments))

    def _argument(self, function: str) -> Operand:
        argument = self._plain(self.operand())
        if function in UPDATE_FUNCTIONS:
            self.refuse_list_append(argument)
        return argument

    def _check_function(self, function: str) -> None:
        if function in self._functions:
            return
        if function in CONDITION_FUNCTIONS | OPERAND_FUNCTIONS:
            self._complain(f"The function is not allowed in an update expression; function: {function}")
        elif function in UPDATE_FUNCTIONS:
            self._complain(f"The function is not allowed in a condition expression; function: {function}")
        else:
            self._complain(f"Invalid function name; function: {function}")

    def path(self) -> Path:
        """A document path; reserved words are refused, substitutes for names stay as they are."""
        elements: list[str | int] = [self._name()]
        while True:
            if self._take("symbol", "."):
                elements.append(self._name())
            elif self._take("symbol", "["):
                elements.append(self._index())
                self._expect("symbol", "]")
            else:
                return Path(tuple(elements))

    def _name(self) -> str:
        token = self._token
        if token.kind not in {"name", "name_substitute"}:
            raise self.unexpected()
        if token.kind == "name" and is_reserved(token.text):
            self._complain(f"Attribute name is a reserved keyword; reserved keyword: {token.text}")
        self._position += 1
        return token.text

    def _index(self) -> int:
        token = self._token
        if token.kind != "number":
            raise self.unexpected()
        self._position += 1
        index = int(token.text)
        if index > MAX_LIST_INDEX:
            self._complain(f"List index is not within the allowable range; index: [{token.text}]")
        return index

    def refuse_list_append(self, operand: Operand) -> None:
        """Complain about list_append as an operand of another operation."""
        # A list is no operand of arithmetic, and list_append does not nest.
        if isinstance(operand, Call) and operand.function == "list_append":
            self._misused(operand)
