"""`--where`: the compiled expression has the meaning of the condition, and errors have a position."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.errors import UsageError
from refire_async.sandbox.expressions import Placeholders, compile_condition
from refire_async.sandbox.values import validate_item
from refire_async.sources.where import MAX_DEPTH, compile_where
from tests.sandbox.language_strategies import items
from tests.support.examples import examples

Value = dict[str, Any]


def holds(text: str, item: dict[str, Value]) -> bool:
    """The compiled expression, evaluated by the sandbox, an independent implementation."""
    where = compile_where(text)
    placeholders = Placeholders(dict(where.names) or None, dict(where.values) or None)
    condition = compile_condition(where.expression, placeholders, "FilterExpression")
    placeholders.check_all_used()
    return condition.matches(item)


# Conditions as pairs of a text and a function: the direct evaluation that the expression is held against.


@dataclass(frozen=True)
class Condition:
    text: str
    test: Any

    def __repr__(self) -> str:
        return self.text


def quoted(name: str, *, always: bool) -> str:
    return '"' + name.replace('"', '""') + '"' if always else name


@st.composite
def paths(draw: st.DrawFn) -> tuple[str, Any]:
    names = draw(st.lists(st.sampled_from(["a", "b", "c", "d"]) | st.integers(0, 2), min_size=1, max_size=3))
    names[0] = names[0] if isinstance(names[0], str) else "a"
    text = ""
    for name in names:
        part = f"[{name}]" if isinstance(name, int) else quoted(name, always=draw(st.booleans()))
        text += part if isinstance(name, int) or not text else f".{part}"

    def look(item: dict[str, Value]) -> Value | None:
        found: Value | None = {"M": item}
        for name in names:
            if found is None:
                return None
            if isinstance(name, int):
                inner = found.get("L", [])
                found = inner[name] if name < len(inner) else None
            else:
                found = found.get("M", {}).get(name)
        return found

    return text, look


texts = st.text(st.sampled_from("ab'é😀\" "), max_size=3)
literals = st.one_of(
    texts.map(lambda text: ("'" + text.replace("'", "''") + "'", {"S": text})),
    st.integers(-3, 9).map(lambda n: (str(n), {"N": str(n)})),
    st.sampled_from([("7.50", {"N": "7.5"}), ("+1e1", {"N": "10"}), (".5", {"N": "0.5"})]),
    st.sampled_from([("true", {"BOOL": True}), ("FALSE", {"BOOL": False}), ("null", {"NULL": True})]),
)
ordered = literals.filter(lambda literal: literal[1].keys() & {"S", "N"})


def order(value: Value) -> Any:
    kind, content = next(iter(value.items()))
    return Decimal(content) if kind == "N" else content.encode() if kind == "S" else None


def compared(sign: str, left: Value | None, right: Value | None) -> bool:
    if left is None or right is None:
        return sign in ("<>", "!=")
    same = left.keys() == right.keys() and (
        order(left) == order(right) if left.keys() & {"S", "N"} else left == right
    )
    if sign in ("=", "<>", "!="):
        return same == (sign == "=")
    if left.keys() != right.keys() or not left.keys() & {"S", "N"}:
        return False
    return {
        "<": order(left) < order(right),
        "<=": order(left) <= order(right),
        ">": order(left) > order(right),
        ">=": order(left) >= order(right),
    }[sign]


@st.composite
def comparisons(draw: st.DrawFn) -> Condition:
    (text, look), sign = draw(paths()), draw(st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">="]))
    literal, value = draw(ordered if sign[0] in "<>" and sign != "<>" else literals)
    if draw(st.booleans()):
        return Condition(f"{text} {sign} {literal}", lambda item: compared(sign, look(item), value))
    return Condition(f"{literal}{sign}{text}", lambda item: compared(sign, value, look(item)))


@st.composite
def ranges(draw: st.DrawFn) -> Condition:
    text, look = draw(paths())
    low, high = sorted(draw(st.tuples(st.integers(-3, 9), st.integers(-3, 9))))
    negated = draw(st.booleans())

    def test(item: dict[str, Value]) -> bool:
        number = (look(item) or {}).get("N")
        return (number is not None and low <= Decimal(number) <= high) != negated

    return Condition(f"{text} {'NOT ' if negated else ''}between {low} and {high}", test)


@st.composite
def members(draw: st.DrawFn) -> Condition:
    text, look = draw(paths())
    chosen = draw(st.lists(literals, min_size=1, max_size=4))
    negated = draw(st.booleans())

    def test(item: dict[str, Value]) -> bool:
        found = look(item)
        return any(found is not None and compared("=", found, value) for _, value in chosen) != negated

    return Condition(f"{text} {'not ' if negated else ''}IN ({', '.join(one for one, _ in chosen)})", test)


@st.composite
def presences(draw: st.DrawFn) -> Condition:
    text, look = draw(paths())
    form = draw(
        st.sampled_from(
            ["{} is missing", "attribute_not_exists({})", "{} IS NOT missing", "attribute_exists({})"]
        )
    )
    present = "NOT " in form or form.startswith("attribute_exists")
    return Condition(form.format(text), lambda item: (look(item) is not None) == present)


@st.composite
def functions(draw: st.DrawFn) -> Condition:
    (text, look), part = draw(paths()), draw(st.sampled_from(["a", "b", "ab", "é"]))

    def begins(item: dict[str, Value]) -> bool:
        return (look(item) or {}).get("S", "").startswith(part)

    def contains(item: dict[str, Value]) -> bool:
        found = look(item) or {}
        return part in found.get("S", "") or part in found.get("SS", ()) or {"S": part} in found.get("L", ())

    kind = draw(st.sampled_from(["S", "N", "L", "SS", "BOOL"]))
    return draw(
        st.sampled_from(
            [
                Condition(f"begins_with({text}, '{part}')", begins),
                Condition(f"Contains( {text} ,'{part}' )", contains),
                Condition(f"attribute_type({text}, '{kind}')", lambda item: kind in (look(item) or {})),
            ]
        )
    )


def combined(children: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    """Texts that need their parentheses, or have unnecessary ones."""

    def both(one: Condition, other: Condition) -> Condition:
        return Condition(f"({one}) and ({other})", lambda item: one.test(item) and other.test(item))

    def either(one: Condition, other: Condition) -> Condition:
        return Condition(f"(({one}) OR {other})", lambda item: one.test(item) or other.test(item))

    def neither(one: Condition) -> Condition:
        return Condition(f"not ({one})", lambda item: not one.test(item))

    return st.one_of(
        st.builds(both, children, children),
        st.builds(either, children, children),
        st.builds(neither, children),
    )


tests = comparisons() | ranges() | members() | presences() | functions()
conditions = st.recursive(tests, combined, max_leaves=5)


@examples(40, 2_000)
@given(conditions, items)
def test_conditions_select_the_right_items(condition: Condition, item: dict[str, Value]):
    """On random items and conditions: the service's filter agrees with a direct evaluation."""
    assert holds(condition.text, item) == condition.test(item)


ITEM = validate_item(
    {
        "status": {"S": "OPEN"},
        "total": {"N": "150"},
        "my attr": {"S": "it's"},
        "in": {"BOOL": True},
        "order-date": {"S": "2026-11-20"},
        "address": {"M": {"city": {"S": "Köln"}, "codes": {"L": [{"N": "1"}, {"N": "2"}]}}},
        "tags": {"SS": ["a", "b"]},
        "größe": {"N": "5"},
        "nothing": {"NULL": True},
    }
)


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("status = 'OPEN' and total > 100", True),
        ("status='CLOSED' OR total>1e2", True),
        ("not status = 'OPEN'", False),
        ("status = 'OPEN' or status = 'x' and total < 0", True),
        ("(status = 'OPEN' or status = 'x') and total < 0", False),
        ("""  "my attr" = 'it''s' """, True),
        ('"in" = true', True),
        ("order-date between '2026-11-01' and '2026-11-30'", True),
        ("address.city = 'Köln' and address.codes[1] >= 2", True),
        ("size(tags) = 2 and size(address.codes) < 3", True),
        ("contains(tags, 'a') and not contains(tags, 'c')", True),
        ("größe in (1, 3, 5)", True),
        ("nothing = null and none is missing and nothing is not missing", True),
        ("total = '150'", False),
        ("((((status = 'OPEN'))))", True),
        ("not (not (status = 'OPEN'))", True),
        ("total <> 150 or status != 'OPEN'", False),
    ],
)
def test_common_conditions(text: str, selected: bool):
    assert holds(text, ITEM) is selected


def test_repeated_names_and_values_share_a_placeholder():
    """An expression has room for 4 KB."""
    where = compile_where("a = 'x' or a = 'y' or b = 'x' or b.a = 'x'")
    assert where.expression == "#w0 = :w0 OR #w0 = :w1 OR #w1 = :w0 OR #w1.#w0 = :w0"
    assert where.names == (("#w0", "a"), ("#w1", "b"))
    assert where.values == ((":w0", {"S": "x"}), (":w1", {"S": "y"}))


@pytest.mark.parametrize(
    ("text", "position", "what"),
    [
        ("", 1, "it ends where the name of an attribute should follow"),
        ("status", 7, "it ends where a comparison"),
        ("status =", 9, "it ends where the name of an attribute"),
        ("status == 'x'", 9, "'=' where the name of an attribute"),
        ("status = OPEN and", 18, "it ends where"),
        ("status = 'OPEN' total > 5", 17, "'total' where 'and', 'or' or the end"),
        ("status = 'OPEN", 10, "a text that does not end"),
        ('"status = 5', 1, "a name that does not end"),
        ("(a = 1", 7, "it ends where ')'"),
        ("a = 1)", 6, "')' where 'and', 'or' or the end"),
        ("a = 1 & b = 2", 7, "'&' is not understood"),
        ("a = :v", 5, "':' is not understood"),
        ("a is null", 6, "'is null' has two meanings"),
        ("a is not null", 10, "'is null' has two meanings"),
        ("a is 5", 6, "'5' where 'missing'"),
        ("5 is missing", 1, "only an attribute can be missing"),
        ("5 = 6", 1, "two values and no attribute"),
        ("a = a", 1, "an attribute is compared with itself"),
        ("a in ()", 7, "')' where the name of an attribute"),
        ("a in (1, 2", 11, "it ends where ')'"),
        ("5 in (a)", 1, "name an attribute before 'in'"),
        ("a between 5 and 1", 11, "the lower one first"),
        ("a between 5 and 'x'", 11, "of one type"),
        ("a between 5", 12, "it ends where 'and' and the upper end"),
        ("5 between a and b", 1, "name an attribute before 'between'"),
        ("a > true", 5, "only texts and numbers can be ordered"),
        ("size(a) = 'x'", 1, "size is a number"),
        ("size(5) = 1", 6, "'5' where the name of an attribute"),
        ("begins_with(a, 5)", 16, "begins_with needs a text"),
        ("begins_with('a', 'b')", 13, "begins_with needs an attribute first"),
        ("attribute_type(a, 'X')", 19, "attribute_type needs a type"),
        ("in = 5", 1, 'written "in"'),
        ("a[x] = 1", 3, "'x' where the number of an element"),
        ("a[-1] = 1", 3, "'-1' where the number of an element"),
        ("a. = 1", 4, "'=' where the name of an attribute"),
        ("a = 1e999", 5, "a number that DynamoDB cannot hold"),
        ("a = 12abc", 5, "is not understood"),
        ("(" * 60 + "a = 1" + ")" * 60, MAX_DEPTH + 1, "too many parentheses"),
        ("a in (" + ", ".join(map(str, range(101))) + ")", 1, "more than 100 values"),
    ],
)
def test_errors_have_a_position(text: str, position: int, what: str):
    """In one line that begins with the option, for any text."""
    with pytest.raises(UsageError) as caught:
        compile_where(text)
    said = str(caught.value)
    assert said.startswith(f"--where is not understood at position {position}")
    assert what in said
    assert "\n" not in said


@given(st.text(st.sampled_from("ab'\"()<>=.,[]- 01\n") | st.characters(), max_size=30))
def test_any_text_is_compiled_or_refused(text: str):
    """Refused in one line."""
    try:
        said = compile_where(text).expression
    except UsageError as error:
        said = str(error)
    assert len(said.splitlines()) == 1
    assert len(said) < 300


def test_an_expression_beyond_the_services_limit_is_refused():
    with pytest.raises(UsageError, match="more than 4,096 bytes"):
        compile_where(" or ".join(f"a{n} = {n}" for n in range(500)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("status = OPEN", ("OPEN",)),
        ("status in ('NEW', OPEN, CLOSED) and status <> OPEN", ("OPEN", "CLOSED")),
        ("begins_with(name, A)", ("A",)),
        ("day between monday and friday", ("monday", "friday")),
        ("status = 'OPEN' and total > 5", ()),
        ('status = "OPEN" and a = b.c and size(x) > y', ()),
        ("'OPEN' = status", ()),
    ],
)
def test_words_where_a_value_is_expected(text: str, words: tuple[str, ...]):
    """They count as attribute names, and the command line warns; in double quotes they are intended as such."""
    assert compile_where(text).words == words
