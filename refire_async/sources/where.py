"""`--where "status = 'OPEN' and total > 100"`: translates a condition into a filter expression. Pure.

    condition  = or of and of [not] test | ( condition )
    test       = operand (= | <> | != | < | <= | > | >=) operand
               | operand [not] between operand and operand | operand [not] in (operand, …)
               | path is [not] missing
               | begins_with(path, operand) | contains(path, operand) | attribute_type(path, 'S')
               | attribute_exists(path) | attribute_not_exists(path)
    operand    = path | size(path) | 'text' | 12.5 | true | false | null
    path       = name, "any name", a.b, a[0]; '' is a quote in a text, "" is one in a name

Keywords are case-insensitive. Types are never converted: a number is not equal to a text of its digits, and a
comparison with an attribute of another type is false, as in DynamoDB.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from refire_async.errors import UsageError
from refire_async.model.keys import AttributeValue
from refire_async.sources.canonical import canonical_number

MAX_BYTES = 4_096
MAX_MEMBERS = 100
"""Limits of an expression and of IN (DynamoDB Developer Guide: Quotas; Condition and filter expressions)."""

MAX_DEPTH = 50

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*')
    | (?P<name>"(?:[^"]|"")+")
    | (?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_]))
    | (?P<word>[^\W0-9][\w-]*)
    | (?P<sign><=|>=|<>|!=|[=<>(),.\[\]])
    | (?P<end>$)
    )""",
    re.VERBOSE,
)
_WORDS = frozenset(("and", "or", "not", "between", "in", "is", "missing", "null", "true", "false"))
_COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_ORDERED = frozenset(("<", "<=", ">", ">="))
_TYPES = frozenset(("S", "N", "B", "SS", "NS", "BS", "BOOL", "NULL", "L", "M"))


@dataclass(frozen=True, slots=True)
class Where:
    """A filter expression with its placeholders, equivalent to `--filter`, `--names` and `--values`.

    `words` are names without quotes in the place of a value: they count as attributes, but may be meant as texts.
    """

    expression: str
    names: tuple[tuple[str, str], ...]
    values: tuple[tuple[str, AttributeValue], ...]
    words: tuple[str, ...] = ()


def compile_where(text: str, option: str = "--where") -> Where:
    """Translate `text`. Raises UsageError with the position of the error; it names `option`."""
    parser = _Parser(text, option)
    expression = parser.parse()
    if len(expression.encode()) > MAX_BYTES:
        raise UsageError(f"{option} makes an expression of more than {MAX_BYTES:,} bytes", "make it shorter")
    words = tuple(dict.fromkeys(parser.words))
    return Where(expression, tuple(parser.names.items()), tuple(parser.values.items()), words)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class _Operand:
    """`expression` with placeholders. `value` of a literal; `path` or `size` of an attribute.

    `word` is set if the path is a single word without quotes.
    """

    expression: str
    kind: str
    at: int
    value: AttributeValue | None = None
    word: str = ""


_OR, _AND, _NOT, _TEST = range(4)
"""Precedence of the operators of a condition, from lowest to highest."""


@dataclass(frozen=True, slots=True)
class _Condition:
    """A part of the expression. It has parentheses only if necessary: DynamoDB refuses redundant ones."""

    text: str
    precedence: int

    def within(self, precedence: int) -> str:
        """The text as an operand of an operator with `precedence`."""
        return self.text if self.precedence >= precedence else f"({self.text})"


def _negated(condition: _Condition) -> _Condition:
    return _Condition(f"NOT {condition.within(_TEST)}", _NOT)


def _tokens(text: str, refuse: Callable[[str, int], UsageError]) -> list[_Token]:
    found, at = [], 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            what = {"'": "a text that does not end", '"': "a name that does not end"}
            raise refuse(what.get(text[at], f"{text[at]!r} is not understood"), at)
        kind = match.lastgroup or ""
        found.append(_Token(kind, match[kind], match.start(kind)))
        if kind == "end":
            return found
        at = match.end()


class _Parser:
    """A recursive descent parser that returns parts of the expression."""

    def __init__(self, text: str, option: str) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, AttributeValue] = {}
        self.words: list[str] = []
        self._text = text
        self._option = option
        self._depth = 0
        self._next = 0
        self._tokens = _tokens(text, self._refusal)

    def parse(self) -> str:
        """The whole text."""
        condition = self._any()
        if self._token.kind != "end":
            raise self._unexpected("'and', 'or' or the end")
        return condition.text

    def _any(self) -> _Condition:
        parts = [self._all()]
        while self._take_word("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else _Condition(" OR ".join(part.text for part in parts), _OR)

    def _all(self) -> _Condition:
        parts = [self._one()]
        while self._take_word("and"):
            parts.append(self._one())
        return (
            parts[0]
            if len(parts) == 1
            else _Condition(" AND ".join(part.within(_AND) for part in parts), _AND)
        )

    def _one(self) -> _Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._refusal("too many parentheses", self._token.at)
        try:
            if self._take_word("not"):
                return _negated(self._one())
            if self._take_sign("("):
                inside = self._any()
                self._expect(")")
                return inside
            return self._test()
        finally:
            self._depth -= 1

    def _test(self) -> _Condition:
        function = self._function()
        if function is not None:
            return _Condition(function, _TEST)
        left = self._operand()
        token = self._token
        if token.text in _COMPARISONS and token.kind == "sign":
            self._next += 1
            return _Condition(self._comparison(left, _COMPARISONS[token.text]), _TEST)
        if self._take_word("is"):
            return _Condition(self._missing(left), _TEST)
        negated = self._take_word("not")
        if self._take_word("between"):
            test = _Condition(self._between(left), _TEST)
        elif self._take_word("in"):
            test = _Condition(self._in(left), _TEST)
        else:
            raise self._unexpected("a comparison such as = 'x', between, in or is missing")
        return _negated(test) if negated else test

    def _comparison(self, left: _Operand, sign: str) -> str:
        right = self._operand()
        self._check_pair(left, right)
        for operand in (left, right):
            if sign in _ORDERED:
                self._check_ordered(operand)
        return f"{left.expression} {sign} {right.expression}"

    def _missing(self, left: _Operand) -> str:
        present = self._take_word("not")
        at = self._token.at
        if self._take_word("null"):
            raise self._refusal(
                "'is null' has two meanings: write 'is missing', or '= null' for the type NULL", at
            )
        if not self._take_word("missing"):
            raise self._unexpected("'missing'")
        if left.kind != "path":
            raise self._refusal("only an attribute can be missing", left.at)
        return f"attribute_{'' if present else 'not_'}exists({left.expression})"

    def _between(self, left: _Operand) -> str:
        if left.value is not None:
            raise self._refusal("name an attribute before 'between'", left.at)
        low = self._operand()
        if not self._take_word("and"):
            raise self._unexpected("'and' and the upper end")
        high = self._operand()
        for end in (low, high):
            self._check_pair(left, end)
            self._check_ordered(end)
        if low.value is not None and high.value is not None and not _in_order(low.value, high.value):
            raise self._refusal("the ends of 'between' must be of one type, the lower one first", low.at)
        return f"{left.expression} BETWEEN {low.expression} AND {high.expression}"

    def _in(self, left: _Operand) -> str:
        if left.value is not None:
            raise self._refusal("name an attribute before 'in'", left.at)
        self._expect("(")
        members = [self._operand()]
        while self._take_sign(","):
            members.append(self._operand())
        self._expect(")")
        for member in members:
            self._check_pair(left, member)
        if len(members) > MAX_MEMBERS:
            raise self._refusal(f"more than {MAX_MEMBERS} values in one list", left.at)
        return f"{left.expression} IN ({', '.join(member.expression for member in members)})"

    def _function(self) -> str | None:
        token = self._token
        name = token.text.lower()
        if token.kind != "word" or self._tokens[self._next + 1].text != "(":
            return None
        if name not in (
            "begins_with",
            "contains",
            "attribute_type",
            "attribute_exists",
            "attribute_not_exists",
        ):
            return None
        self._next += 2
        path = self._operand()
        if path.kind != "path":
            raise self._refusal(f"{name} needs an attribute first", path.at)
        if name in ("attribute_exists", "attribute_not_exists"):
            self._expect(")")
            return f"{name}({path.expression})"
        self._expect(",")
        second = self._operand()
        self._expect(")")
        self._check_pair(path, second)
        text = None if second.value is None else second.value.get("S")
        if name == "attribute_type" and text not in _TYPES:
            raise self._refusal("attribute_type needs a type such as 'S' or 'N'", second.at)
        if name == "begins_with" and second.value is not None and text is None:
            raise self._refusal("begins_with needs a text", second.at)
        return f"{name}({path.expression}, {second.expression})"

    def _operand(self) -> _Operand:
        token = self._token
        word = token.text.lower()
        if token.kind == "text":
            return self._literal({"S": token.text[1:-1].replace("''", "'")})
        if token.kind == "number":
            try:
                return self._literal({"N": canonical_number(token.text)})
            except ValueError:
                raise self._refusal("a number that DynamoDB cannot hold", token.at) from None
        if token.kind == "word" and word in ("true", "false"):
            return self._literal({"BOOL": word == "true"})
        if token.kind == "word" and word == "null":
            return self._literal({"NULL": True})
        if token.kind == "word" and word == "size" and self._tokens[self._next + 1].text == "(":
            self._next += 2
            path = self._path()
            self._expect(")")
            return _Operand(f"size({path})", "size", token.at)
        first = self._next
        path = self._path()
        word = token.text if token.kind == "word" and self._next == first + 1 else ""
        return _Operand(path, "path", token.at, word=word)

    def _literal(self, value: AttributeValue) -> _Operand:
        token = self._token
        self._next += 1
        placeholder = next((known for known, other in self.values.items() if other == value), None)
        if placeholder is None:
            placeholder = f":w{len(self.values)}"
            self.values[placeholder] = value
        return _Operand(placeholder, "literal", token.at, value)

    def _path(self) -> str:
        path = self._name()
        while True:
            if self._take_sign("."):
                path += "." + self._name()
            elif self._take_sign("["):
                token = self._token
                if not (token.kind == "number" and token.text.isascii() and token.text.isdecimal()):
                    raise self._unexpected("the number of an element")
                self._next += 1
                self._expect("]")
                path += f"[{int(token.text)}]"
            else:
                return path

    def _name(self) -> str:
        token = self._token
        if token.kind == "name":
            name = token.text[1:-1].replace('""', '"')
        elif token.kind == "word" and token.text.lower() not in _WORDS:
            name = token.text
        else:
            raise self._unexpected("the name of an attribute")
        self._next += 1
        placeholder = next((known for known, other in self.names.items() if other == name), None)
        if placeholder is None:
            placeholder = f"#w{len(self.names)}"
            self.names[placeholder] = name
        return placeholder

    def _check_pair(self, left: _Operand, right: _Operand) -> None:
        """Refuse pairs that DynamoDB refuses, or that cannot be intended."""
        if left.value is not None and right.value is not None:
            raise self._refusal("two values and no attribute", left.at)
        if left.expression == right.expression:
            raise self._refusal("an attribute is compared with itself", left.at)
        if left.kind == "path" and right.word:
            self.words.append(right.word)
        for one, other in ((left, right), (right, left)):
            if one.kind == "size" and other.value is not None and "N" not in other.value:
                raise self._refusal("size is a number", one.at)

    def _check_ordered(self, operand: _Operand) -> None:
        if operand.value is not None and not operand.value.keys() & {"S", "N"}:
            raise self._refusal("only texts and numbers can be ordered", operand.at)

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take_word(self, word: str) -> bool:
        taken = self._token.kind == "word" and self._token.text.lower() == word
        self._next += taken
        return taken

    def _take_sign(self, sign: str) -> bool:
        taken = self._token.kind == "sign" and self._token.text == sign
        self._next += taken
        return taken

    def _expect(self, sign: str) -> None:
        if not self._take_sign(sign):
            raise self._unexpected(f"'{sign}'")

    def _unexpected(self, wanted: str) -> UsageError:
        token = self._token
        if token.kind == "end":
            return self._refusal(f"it ends where {wanted} should follow", token.at)
        hint = ""
        if token.kind == "word" and token.text.lower() in _WORDS and wanted == "the name of an attribute":
            hint = f' (an attribute of that name is written "{token.text}")'
        return self._refusal(f"{token.text[:20]!r} where {wanted} should be{hint}", token.at)

    def _refusal(self, what: str, at: int) -> UsageError:
        said = " ".join(self._text[at : at + 20].split())
        near = f", near {said!r}" if said else ""
        return UsageError(
            f"{self._option} is not understood at position {at + 1}{near}: {what}",
            """for example "status = 'OPEN' and total > 100\"""",
        )


def _in_order(low: AttributeValue, high: AttributeValue) -> bool:
    if "N" in low and "N" in high:
        return Decimal(low["N"]) <= Decimal(high["N"])
    return "S" in low and "S" in high and low["S"].encode() <= high["S"].encode()
