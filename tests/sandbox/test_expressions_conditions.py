"""Condition and filter expressions: what holds, and what is refused with which words."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.expressions import Placeholders, compile_condition
from refire_async.sandbox.expressions.reserved import RESERVED_WORDS, is_reserved
from refire_async.sandbox.values import validate_item
from tests.sandbox.language_strategies import error_type, items, paths, values, written_path

VALUES: dict[str, dict[str, Any]] = {
    ":x": {"S": "x"},
    ":he": {"S": "he"},
    ":hello": {"S": "hello"},
    ":zz": {"S": "zz"},
    ":empty": {"S": ""},
    ":0": {"N": "0"},
    ":1": {"N": "1"},
    ":5": {"N": "5.0"},
    ":7": {"N": "7"},
    ":9": {"N": "9"},
    ":true": {"BOOL": True},
    ":null": {"NULL": True},
    ":list": {"L": []},
    ":words": {"L": [{"S": "x"}, {"S": "hello"}]},
    ":map": {"M": {}},
    ":ss": {"SS": ["b", "a"]},
    ":bin": {"B": "aGU="},
    ":typeS": {"S": "S"},
    ":typeSS": {"S": "SS"},
    ":string": {"S": "string"},
}
ITEM = validate_item(
    {
        "pk": {"S": "a"},
        "s": {"S": "hello"},
        "e": {"S": "héllo😀"},
        "n": {"N": "5"},
        "l": {"L": [{"S": "a"}, {"N": "1"}]},
        "m": {"M": {"x": {"S": "y"}, "z": {"N": "3"}}},
        "ss": {"SS": ["a", "b"]},
        "ns": {"NS": ["1", "2"]},
        "b": {"B": "aGVsbG8="},
        "bs": {"BS": ["aGU=", "YWI="]},
        "t": {"BOOL": True},
        "nu": {"NULL": True},
    }
)


def compiled(text: str, names: dict[str, str] | None = None) -> Any:
    """A condition with as many of VALUES as it mentions."""
    used = {key: VALUES[key] for key in re.findall(r":\w+", text) if key in VALUES}
    placeholders = Placeholders(names, used or None)
    condition = compile_condition(text, placeholders)
    placeholders.check_all_used()
    return condition


def refusal(text: str, names: dict[str, str] | None = None) -> str:
    """The message of the ValidationException that a condition causes, without what all have in common."""
    with pytest.raises(ServiceError) as caught:
        compiled(text, names)
    assert caught.value.type == "ValidationException"
    return caught.value.message.removeprefix("Invalid ConditionExpression: ")


HOLD = [
    "s = :hello",
    "n = :5",
    ":5 = n",
    "s <> :x",
    "t = :true",
    "nu = :null",
    "ss = :ss",
    ":x = :x",
    "n > :1",
    ":1 < n",
    "n >= :5",
    "n <= :5",
    "s > :he",
    "b > :bin",
    "n BETWEEN :1 AND :9",
    "n between :5 and n2 OR s = :hello",
    "s IN (:x, :hello)",
    "n IN (s, :5)",
    ":1 IN (l[1])",
    "attribute_exists(s)",
    "attribute_exists(nu)",
    "attribute_exists(m.x)",
    "attribute_exists(l[1])",
    "attribute_not_exists(m.q)",
    "attribute_not_exists(l[2])",
    "attribute_not_exists(s.x)",
    "attribute_not_exists(q.r[3].s)",
    "attribute_type(s, :typeS)",
    "attribute_type(ss, :typeSS)",
    "begins_with(s, :he)",
    "begins_with(b, :bin)",
    "begins_with(s, :empty)",
    "contains(s, :he)",
    "contains(b, :bin)",
    "contains(bs, :bin)",
    "contains(ns, :1)",
    "contains(l, :1)",
    "contains(ss, l[0])",
    "contains(:words, s)",
    "size(s) = :5",
    "size(e) = :7",  # UTF-16 code units: the emoji counts two
    "size(b) = :5",
    "size(ss) > :1",
    "size(l) > :1",
    "size(m) > :1",
    "size(:list) = :0",
    "size(q) <> :0",
    "q <> :x",  # a missing value is unequal to anything
    "q <> q2",
    "NOT q = :x",
    "NOT q < q2",
    "NOT NOT s = :hello",
    "NOT s = :x AND n = :5",
    "s = :x OR n = :5 AND t = :true",
    "(s = :x OR n = :5) AND t = :true",
    "NOT (s = :x OR n = :1)",
    "(s) = (:hello)",
    "((s) = :hello) and t = :true",
    "l[0] < :zz\n\tAND\r\nn=:5",
    "m . x <> l [ 0 ]",
    "attribute_exists (s)",
]
FAIL = [
    "s = :5",
    "s = n",
    "n = n2",
    "q = q2",
    "s < n",
    "s > :5",
    "t <> :true",
    "l[0] = :he",
    "m.x.y = :x",
    "l.x = :x",
    "m[0] = :x",
    "q IN (q2)",
    "q BETWEEN q1 AND q2",
    "s BETWEEN :he AND n",
    "m BETWEEN :he AND :x",
    "attribute_type(q, :typeS)",
    "attribute_type(n, :typeS)",
    "begins_with(n, :he)",
    "begins_with(s, n)",
    "begins_with(b, s)",
    "begins_with(q, :empty)",
    "contains(s, :5)",
    "contains(n, :5)",
    "contains(m, :x)",
    "contains(ns, :x)",
    "contains(ss, :ss)",
    "contains(q, :x)",
    "size(n) > :0",
    "size(nu) > :0",
    "size(q) > :0",
    "size(s) < :zz",
    "NOT attribute_exists(s) AND n = :5",
    "NOT attribute_exists(q) AND n = :1",
    "s = :hello AND NOT n = :5",
]


@pytest.mark.parametrize("text", HOLD)
def test_a_condition_that_holds(text: str) -> None:
    """True for the example item."""
    assert compiled(text).matches(ITEM) is True


@pytest.mark.parametrize("text", FAIL)
def test_a_condition_that_does_not_hold(text: str) -> None:
    """False for the example item, and its negation true."""
    assert compiled(text).matches(ITEM) is False
    assert compiled(f"NOT ({text})").matches(ITEM) is True


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("attribute_not_exists(pk)", True),
        ("attribute_exists(pk)", False),
        ("s <> :x", True),
        ("s = :x", False),
    ],
)
def test_an_item_that_does_not_exist_has_no_attributes(text: str, holds: bool) -> None:
    """PutItem with attribute_not_exists(pk) is how clients create."""
    assert compiled(text).matches(None) is holds


def test_substitutes_stand_for_any_name() -> None:
    """Dots, brackets and reserved words are ordinary characters in a substituted name."""
    item = validate_item({"a.b[0]": {"M": {"select": {"S": "x"}}}})
    assert compiled("#odd.#word = :x", {"#odd": "a.b[0]", "#word": "select"}).matches(item)


def test_a_condition_knows_the_attributes_it_looks_at() -> None:
    """Query refuses filters on key attributes."""
    condition = compiled("#p.y = :x AND size(l[0]) > :1 OR NOT attribute_exists(s.t)", {"#p": "pk"})
    assert condition.attributes == {"pk", "l", "s"}


SYNTAX = [
    (" ", "<EOF>", " "),
    ("s", "<EOF>", "s"),
    ("s =", "<EOF>", "="),
    ("= s", "=", "= s"),
    ("s == :x", "=", "== :x"),
    ("s != :x", "!", "s !="),
    ("s in (:x,)", ")", ",)"),
    ("s IN :x", ":x", "IN :x"),
    ("s = :x and", "<EOF>", "and"),
    ("attribute_exists()", ")", "()"),
    ("l[-1] = :x", "-", "[-1"),
    ("l[a] = :x", "a", "[a]"),
    ("l[01] = :x", "1", "01]"),
    ("1s = :x", "1", "1s"),
    ("_s = :x", "_", "_s"),
    ("s-t = :x", "-", "s-t"),
    ("# = :x", "#", "# ="),
    (": = :x", ":", ": ="),
    ('s = "x"', '"', '= "x'),
    ("s = 1", "1", "= 1"),
    ("s = :x;", ";", ":x;"),
    ("s = :x s", "s", ":x s"),
    ("é = :x", "é", "é ="),
    ("(s = :x) = :true", "=", ") = :true"),
    ("between = :x", "between", "between ="),
    ("m.in = :x", "in", ".in ="),
    ("AND s = :x", "AND", "AND s"),
    ("()", ")", "()"),
    ("(s = :x", "<EOF>", ":x"),
    ("s = :x)", ")", ":x)"),
    ("attribute_exists(s) attribute_exists(n)", "attribute_exists", ") attribute_exists("),
    ("s = :xAND n = :1", "n", ":xAND n ="),
    ("NOT", "<EOF>", "NOT"),
    ("(s)", "<EOF>", ")"),
    ("s AND n = :1", "AND", "s AND n"),
]


@pytest.mark.parametrize(("text", "token", "near"), SYNTAX)
def test_syntax_errors_name_the_token_and_its_surroundings(text: str, token: str, near: str) -> None:
    """As the service does: the unexpected token, and the text from one before to one after it."""
    assert refusal(text) == f'Syntax error; token: "{token}", near: "{near}"'


OPERAND_TYPE = "Incorrect operand type for operator or function; operator or function: {}, operand type: {}"
OPERANDS = (
    "Incorrect number of operands for operator or function; operator or function: {}, number of operands: {}"
)
DISTINCT = (
    "The first operand must be distinct from the remaining operands for this operator or function; "
    "operator: {}, first operand: {}"
)
PLACE = "The function is not allowed to be used this way in an expression; function: {}"
REFUSED = [
    ("", "The expression can not be empty;"),
    ("x" * 4097, "Expression size has exceeded the maximum allowed size;"),
    ("((s = :x))", "The expression has redundant parentheses;"),
    ("NOT ((s = :x))", "The expression has redundant parentheses;"),
    ("s = ((:x))", "The expression has redundant parentheses;"),
    ("((s)) = :x", "The expression has redundant parentheses;"),
    ("abort = :x", "Attribute name is a reserved keyword; reserved keyword: abort"),
    ("m.Status = :x", "Attribute name is a reserved keyword; reserved keyword: Status"),
    ("foo(s)", "Invalid function name; function: foo"),
    ("CONTAINS(s, :x)", "Invalid function name; function: CONTAINS"),
    (
        "s = if_not_exists(s, :x)",
        "The function is not allowed in a condition expression; function: if_not_exists",
    ),
    ("size(s)", PLACE.format("size")),
    ("attribute_exists(s) = :true", PLACE.format("attribute_exists")),
    ("contains(attribute_exists(s), :x)", PLACE.format("attribute_exists")),
    ("s = :nope", "An expression attribute value used in expression is not defined; attribute value: :nope"),
    ("#s = :x", "An expression attribute name used in the document path is not defined; attribute name: #s"),
    (
        "m.#s = :x",
        "An expression attribute name used in the document path is not defined; attribute name: #s",
    ),
    ("s < :true", OPERAND_TYPE.format("<", "BOOL")),
    (":list >= s", OPERAND_TYPE.format(">=", "L")),
    ("s BETWEEN :ss AND :x", OPERAND_TYPE.format("BETWEEN", "SS")),
    (":null BETWEEN :x AND :x", OPERAND_TYPE.format("BETWEEN", "NULL")),
    ("begins_with(s, :1)", OPERAND_TYPE.format("begins_with", "N")),
    ("begins_with(size(s), :x)", OPERAND_TYPE.format("begins_with", "N")),
    ("size(:1) = :1", OPERAND_TYPE.format("size", "N")),
    ("size(size(s)) = :1", OPERAND_TYPE.format("size", "N")),
    ("attribute_type(s, :1)", OPERAND_TYPE.format("attribute_type", "N")),
    (
        "attribute_type(s, :string)",
        "Invalid attribute type name found; type: string, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}",
    ),
    (
        "attribute_exists(:x)",
        "Operator or function requires a document path; operator or function: attribute_exists",
    ),
    (
        "attribute_not_exists(size(s))",
        "Operator or function requires a document path; operator or function: attribute_not_exists",
    ),
    ("attribute_exists(s, n)", OPERANDS.format("attribute_exists", 2)),
    ("begins_with(s)", OPERANDS.format("begins_with", 1)),
    ("contains(s, :x, :x)", OPERANDS.format("contains", 3)),
    ("s = s", DISTINCT.format("=", "[s]")),
    ("m.x > m.x", DISTINCT.format(">", "[m, x]")),
    ("contains(l[0], l[0])", DISTINCT.format("contains", "[l, [0]]")),
    ("s BETWEEN :x AND s", DISTINCT.format("BETWEEN", "[s]")),
    ("s IN (:x, s)", DISTINCT.format("IN", "[s]")),
    (
        "n BETWEEN :9 AND :1",
        (
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
            "lower bound operand: AttributeValue: {N:9}, upper bound operand: AttributeValue: {N:1}"
        ),
    ),
    (
        "n BETWEEN :x AND :1",
        (
            "The BETWEEN operator requires same data type for lower and upper bounds; "
            "lower bound operand: AttributeValue: {S:x}, upper bound operand: AttributeValue: {N:1}"
        ),
    ),
    ("l[2147483648] = :x", "List index is not within the allowable range; index: [2147483648]"),
    (".".join("a" * 33) + " = :x", "The document path has too many nesting levels; nesting levels: 33"),
    (
        f"s IN ({', '.join([':x'] * 101)})",
        "The IN operator is provided with too many operands; number of operands: 101",
    ),
    (" OR ".join(["s = :x"] * 151), "The expression contains too many operators; operator count: 301"),
    ("NOT " * 300 + "s = :x", "The expression contains too many operators; operator count: 301"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_refused_conditions_have_the_services_message(text: str, message: str) -> None:
    """Everything but syntax that makes a condition invalid, before any item is looked at."""
    assert refusal(text) == message


def test_the_first_of_several_complaints_is_made() -> None:
    """Syntax before the rest; the rest from left to right, undefined values and operand types alike."""
    assert refusal("foo(s) AND abort").startswith("Syntax error")
    assert refusal("s < :true AND t = :nope") == OPERAND_TYPE.format("<", "BOOL")
    assert refusal("t = :nope AND s < :true").endswith("attribute value: :nope")


def test_limits_allow_what_they_allow() -> None:
    """300 operators, 100 IN operands, 32 path elements and 4,096 bytes are fine."""
    assert not compiled(" OR ".join(["s = :x"] * 150)).matches(ITEM)
    assert compiled(f"s IN ({', '.join([':hello'] * 100)})").matches(ITEM)
    assert not compiled(".".join("a" * 32) + " = :x").matches(ITEM)
    assert not compiled("s = :x".ljust(4096)).matches(ITEM)


def test_errors_name_the_parameter() -> None:
    """A filter is a condition by another name."""
    with pytest.raises(ServiceError, match=r"^Invalid FilterExpression: The expression can not be empty;"):
        compile_condition("", Placeholders(), "FilterExpression")


def test_all_573_reserved_words_are_refused_in_any_case() -> None:
    """The Developer Guide's list, complete."""
    assert len(RESERVED_WORDS) == 573
    for word in RESERVED_WORDS:
        assert is_reserved(word.lower())
        with pytest.raises(ServiceError, match=r"reserved keyword|Syntax error"):
            compile_condition(f"{word.lower()} = :x", Placeholders(None, {":x": {"S": "x"}}))


@given(items, paths, paths, values, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]))
def test_comparisons_are_consistent(
    item: dict[str, Any], one: Any, two: Any, value: dict[str, Any], operator: str
) -> None:
    """A comparison and its mirror image agree, and so do = with <> and < with >=."""
    mirrored = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}[operator]
    left, right = written_path(one), written_path(two)
    if one == two:
        return
    direct = compile_condition(f"{left} {operator} {right}", Placeholders()).matches(item)
    assert direct == compile_condition(f"{right} {mirrored} {left}", Placeholders()).matches(item)
    equal = Placeholders(None, {":v": value})
    assert compile_condition(f"{left} = :v", equal).matches(item) != compile_condition(
        f"{left} <> :v", equal
    ).matches(item)


@given(items, paths, values)
def test_contains_and_in_agree_with_equality(item: dict[str, Any], path: Any, value: dict[str, Any]) -> None:
    """``x IN (:v)`` is ``x = :v``, and a list that contains :v has an element equal to it."""
    placeholders = Placeholders(None, {":v": value, ":l": {"L": [value]}})
    text = written_path(path)
    assert compile_condition(f"{text} IN (:v)", placeholders).matches(item) == compile_condition(
        f"{text} = :v", placeholders
    ).matches(item)
    assert compile_condition(f"contains(:l, {text})", placeholders).matches(item) == compile_condition(
        f"{text} = :v", placeholders
    ).matches(item)


@given(st.text(st.sampled_from("asl()[]=<>:#.,0 ANDORTBEWI"), max_size=30) | st.text(max_size=20))
def test_any_text_is_compiled_or_refused(text: str) -> None:
    """No text, however odd, makes the compiler fail in another way."""
    placeholders = Placeholders(None, {":a": {"S": "x"}})
    outcome = error_type(lambda: compile_condition(text, placeholders).matches({}))
    assert outcome in {None, "ValidationException"}


@pytest.mark.parametrize(
    "text",
    ["(" * 4096, "(" * 2000 + "s = :x" + ")" * 2000, "s = " + "(" * 4000, "size(" * 600, "NOT (" * 700],
)
def test_deeply_nested_text_is_refused_not_crashed_on(text: str) -> None:
    """Hostile nesting ends in a ValidationException, never in an exhausted stack."""
    with pytest.raises(ServiceError):
        compile_condition(text, Placeholders(None, {":x": {"S": "x"}}))


def test_deep_nesting_that_is_allowed_works() -> None:
    """As deep as 300 operators can go."""
    alternating = "".join(f"(s = :x {joiner} " for joiner in ["AND", "OR"] * 70)
    assert compiled(alternating + "s = :hello" + ")" * 140).matches(ITEM) is False
    assert compiled("NOT (" * 298 + "s = :hello" + ")" * 298).matches(ITEM) is True
