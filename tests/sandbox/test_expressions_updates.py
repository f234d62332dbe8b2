"""Update expressions: what an item becomes, what is shown of it, and what is refused."""

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.expressions import Placeholders, Update, compile_update
from refire_async.sandbox.expressions.paths import clash
from refire_async.sandbox.values import item_size, validate_item
from tests.sandbox.language_strategies import error_type, items, paths, values, written_path

KEY = ("pk", "sk")
VALUES: dict[str, dict[str, Any]] = {
    ":x": {"S": "x"},
    ":1": {"N": "1"},
    ":2": {"N": "2"},
    ":true": {"BOOL": True},
    ":l": {"L": [{"S": "q"}]},
    ":el": {"L": []},
    ":ss": {"SS": ["a", "c"]},
    ":ab": {"SS": ["b", "a"]},
    ":ns": {"NS": ["2", "5"]},
    ":m": {"M": {"k": {"S": "v"}}},
}
ITEM = validate_item(
    {
        "pk": {"S": "a"},
        "s": {"S": "hello"},
        "n": {"N": "5"},
        "l": {"L": [{"S": "a"}, {"N": "1"}, {"M": {"x": {"S": "y"}}}]},
        "m": {"M": {"x": {"S": "y"}, "z": {"N": "3"}, "l": {"L": [{"S": "1"}, {"S": "2"}]}}},
        "ss": {"SS": ["a", "b"]},
        "ns": {"NS": ["1", "2"]},
    }
)
L0, L1, L2 = ITEM["l"]["L"]


def compiled(text: str, names: dict[str, str] | None = None) -> Update:
    """An update with as many of VALUES as it mentions."""
    used = {key: VALUES[key] for key in re.findall(r":\w+", text) if key in VALUES}
    placeholders = Placeholders(names, used or None)
    update = compile_update(text, placeholders, KEY)
    placeholders.check_all_used()
    return update


def changed(text: str) -> dict[str, Any]:
    """What the update makes of ITEM: the attributes that differ, None for those that are gone."""
    before = copy.deepcopy(ITEM)
    after = compiled(text).apply(ITEM)
    assert before == ITEM
    names = ITEM.keys() | after.keys()
    return {name: after.get(name) for name in names if ITEM.get(name) != after.get(name)}


def refusal(text: str, names: dict[str, str] | None = None) -> str:
    """The message of the ValidationException that an update causes, at the latest when it is applied."""
    with pytest.raises(ServiceError) as caught:
        compiled(text, names).apply(ITEM)
    assert caught.value.type == "ValidationException"
    return caught.value.message.removeprefix("Invalid UpdateExpression: ")


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("SET a = :x", {"a": {"S": "x"}}),
    ("set s = :1", {"s": {"N": "1"}}),
    ("SET a = :x, b = :1", {"a": {"S": "x"}, "b": {"N": "1"}}),
    ("SET a = s, s = :x", {"a": {"S": "hello"}, "s": {"S": "x"}}),
    ("SET s = :x, a = s", {"a": {"S": "hello"}, "s": {"S": "x"}}),
    ("SET a = m.x", {"a": {"S": "y"}}),
    ("SET a = l[1]", {"a": {"N": "1"}}),
    ("SET n = n + :1", {"n": {"N": "6"}}),
    ("SET n = n - :1", {"n": {"N": "4"}}),
    ("SET n = :1 - n", {"n": {"N": "-4"}}),
    ("SET a = n + m.z", {"a": {"N": "8"}}),
    ("SET n = (n) + (:1)", {"n": {"N": "6"}}),
    ("SET n = ((n) + :1)", {"n": {"N": "6"}}),
    ("SET n = (if_not_exists(q, :1) + :1)", {"n": {"N": "2"}}),
    ("SET a = if_not_exists(n, :1)", {"a": {"N": "5"}}),
    ("SET a = if_not_exists(q, s)", {"a": {"S": "hello"}}),
    ("SET a = if_not_exists(q, if_not_exists(q2, (:1)))", {"a": {"N": "1"}}),
    ("SET a = list_append(l, :l)", {"a": {"L": [L0, L1, L2, {"S": "q"}]}}),
    ("SET l = list_append(:l, l)", {"l": {"L": [{"S": "q"}, L0, L1, L2]}}),
    ("SET a = list_append(if_not_exists(q, :el), :l)", {"a": {"L": [{"S": "q"}]}}),
    ("SET m.x = :x", {"m": {"M": {**ITEM["m"]["M"], "x": {"S": "x"}}}}),
    ("SET m.w = :m", {"m": {"M": {**ITEM["m"]["M"], "w": VALUES[":m"]}}}),
    ("SET m.x = m", {"m": {"M": {**ITEM["m"]["M"], "x": ITEM["m"]}}}),
    ("SET l[0] = :x", {"l": {"L": [{"S": "x"}, L1, L2]}}),
    ("SET l[9] = :x", {"l": {"L": [L0, L1, L2, {"S": "x"}]}}),
    ("SET l[9] = :x, l[8] = :1", {"l": {"L": [L0, L1, L2, {"N": "1"}, {"S": "x"}]}}),
    ("SET l[2].w = :x", {"l": {"L": [L0, L1, {"M": {"x": {"S": "y"}, "w": {"S": "x"}}}]}}),
    ("SET l[2].x = l[0], l[0] = l[2].x", {"l": {"L": [{"S": "y"}, L1, {"M": {"x": {"S": "a"}}}]}}),
    ("REMOVE s, n", {"s": None, "n": None}),
    ("REMOVE q, m.q, l[7], l[2].q", {}),
    ("REMOVE l[0], l[1]", {"l": {"L": [L2]}}),
    ("REMOVE m.x", {"m": {"M": {"z": {"N": "3"}, "l": ITEM["m"]["M"]["l"]}}}),
    ("SET l[0] = :x REMOVE l[1]", {"l": {"L": [{"S": "x"}, L2]}}),
    ("REMOVE l[0] SET l[5] = :x", {"l": {"L": [L1, L2, {"S": "x"}]}}),
    ("ADD n :1, ns :ns", {"n": {"N": "6"}, "ns": {"NS": ["1", "2", "5"]}}),
    ("ADD q :1, r :ss", {"q": {"N": "1"}, "r": {"SS": ["a", "c"]}}),
    ("ADD ss :ss", {"ss": {"SS": ["a", "b", "c"]}}),
    (
        "ADD m.z :1, l[1] :1, l[9] :1",
        {
            "m": {"M": {**ITEM["m"]["M"], "z": {"N": "4"}}},
            "l": {"L": [L0, {"N": "2"}, L2, {"N": "1"}]},
        },
    ),
    ("DELETE ss :ss", {"ss": {"SS": ["b"]}}),
    ("DELETE ss :ab", {"ss": None}),
    ("DELETE q :ss, m.q :ss, l[9] :ss", {}),
    (
        "SET a = :x REMOVE n ADD q :1 DELETE ss :ss",
        {
            "a": {"S": "x"},
            "n": None,
            "q": {"N": "1"},
            "ss": {"SS": ["b"]},
        },
    ),
]


@pytest.mark.parametrize(("text", "difference"), CHANGES)
def test_what_an_update_changes(text: str, difference: dict[str, Any]) -> None:
    """The difference to the item as it was, and nothing else."""
    assert changed(text) == difference


OPERAND_TYPE = "Incorrect operand type for operator or function; operator or function: {}, operand type: {}"
MISSING = "The provided expression refers to an attribute that does not exist in the item"
STORED_TYPE = "An operand in the update expression has an incorrect data type"
BAD_PATH = "The document path provided in the update expression is invalid for update"
CLASH = "Two document paths {} with each other; must remove or rewrite one of these paths; path one: {}, path two: {}"
PLACE = "The function is not allowed to be used this way in an expression; function: {}"
KEY_ATTRIBUTE = (
    "One or more parameter values were invalid: Cannot update attribute {}. This attribute is part of the key"
)
REFUSED = [
    ("", "The expression can not be empty;"),
    ("SET a = :x,", 'Syntax error; token: "<EOF>", near: ","'),
    ("SET a = :x b = :1", 'Syntax error; token: "b", near: ":x b ="'),
    ("SET a :x", 'Syntax error; token: ":x", near: "a :x"'),
    ("SET :x = :x", 'Syntax error; token: ":x", near: "SET :x ="'),
    ("SET n = n + :1 + :1", 'Syntax error; token: "+", near: ":1 + :1"'),
    ("SET a = (n + :1) + :1", 'Syntax error; token: "+", near: ") + :1"'),
    ("SET a = if_not_exists(q, n + :1)", 'Syntax error; token: "+", near: "n + :1"'),
    ("SET a = -:1", 'Syntax error; token: "-", near: "= -:1"'),
    ("INVALID SYNTAX HERE", 'Syntax error; token: "INVALID", near: "INVALID SYNTAX"'),
    ("ADD n n", 'Syntax error; token: "n", near: "n n"'),
    ("REMOVE (n)", 'Syntax error; token: "(", near: "REMOVE (n"'),
    ("SET a = :x SET b = :1", 'The "SET" section can only be used once in an update expression;'),
    ("SET a = ((:x))", "The expression has redundant parentheses;"),
    ("SET a = ((n + :1))", "The expression has redundant parentheses;"),
    ("SET abort = :x", "Attribute name is a reserved keyword; reserved keyword: abort"),
    ("SET a = foo(s)", "Invalid function name; function: foo"),
    ("SET a = size(s)", "The function is not allowed in an update expression; function: size"),
    ("SET a = list_append(list_append(l, :l), :l)", PLACE.format("list_append")),
    ("SET a = if_not_exists(q, list_append(l, :l))", PLACE.format("list_append")),
    ("SET a = list_append(l, :l) + :1", PLACE.format("list_append")),
    (
        "SET a = if_not_exists(:1, :1)",
        "Operator or function requires a document path; operator or function: if_not_exists",
    ),
    (
        "SET a = if_not_exists(q)",
        (
            "Incorrect number of operands for operator or function; operator or function: if_not_exists, "
            "number of operands: 1"
        ),
    ),
    (
        "SET a = :nope",
        "An expression attribute value used in expression is not defined; attribute value: :nope",
    ),
    ("SET n = n + :x", OPERAND_TYPE.format("+", "S")),
    ("SET n = :true - n", OPERAND_TYPE.format("-", "BOOL")),
    ("SET a = list_append(l, :x)", OPERAND_TYPE.format("list_append", "S")),
    (
        "ADD ss :x",
        (
            "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, "
            "typeSet: ALLOWED_FOR_ADD_OPERAND"
        ),
    ),
    (
        "DELETE n :1",
        (
            "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, "
            "typeSet: ALLOWED_FOR_DELETE_OPERAND"
        ),
    ),
    ("SET a = :x, a = :1", CLASH.format("overlap", "[a]", "[a]")),
    ("SET a = :x REMOVE a", CLASH.format("overlap", "[a]", "[a]")),
    ("SET m = :m, m.x = :x", CLASH.format("overlap", "[m]", "[m, x]")),
    ("SET m.x = :x, m = :m", CLASH.format("overlap", "[m, x]", "[m]")),
    ("SET m.x = :x, m[0] = :1", CLASH.format("conflict", "[m, x]", "[m, [0]]")),
    ("SET pk = :x", KEY_ATTRIBUTE.format("pk")),
    ("REMOVE sk", KEY_ATTRIBUTE.format("sk")),
    ("SET pk.x = :x", KEY_ATTRIBUTE.format("pk")),
    ("SET a = q", MISSING),
    ("SET a = m.q", MISSING),
    ("SET a = l[9]", MISSING),
    ("SET n = q + :1", MISSING),
    ("SET a = if_not_exists(q, q2)", MISSING),
    ("SET a = list_append(q, :l)", MISSING),
    ("SET n = n + s", STORED_TYPE),
    ("SET a = list_append(s, :l)", STORED_TYPE),
    ("SET n = if_not_exists(q, :x) + :1", STORED_TYPE),
    ("ADD s :1", STORED_TYPE),
    ("ADD ss :ns", STORED_TYPE),
    ("DELETE n :ss", STORED_TYPE),
    ("SET q.w = :x", BAD_PATH),
    ("SET s.w = :x", BAD_PATH),
    ("SET s[0] = :x", BAD_PATH),
    ("SET l.x = :x", BAD_PATH),
    ("SET m[0] = :x", BAD_PATH),
    ("SET l[0].x = :x", BAD_PATH),
    ("SET l[9].x = :x", BAD_PATH),
    ("REMOVE q.x", BAD_PATH),
    ("ADD q.q :1", BAD_PATH),
    ("DELETE q.q :ss", BAD_PATH),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_refused_updates_have_the_services_message(text: str, message: str) -> None:
    """Whether the expression is wrong in itself or does not fit the item."""
    assert refusal(text) == message


def test_a_key_behind_a_substitute_is_still_a_key() -> None:
    """Names count after substitution."""
    assert refusal("SET #p = :x", {"#p": "pk"}) == KEY_ATTRIBUTE.format("pk")


def test_nothing_may_be_nested_too_deeply_by_an_update() -> None:
    """A value of 31 levels fits an attribute but not a place inside a map."""
    deep: dict[str, Any] = {"S": "leaf"}
    for _ in range(31):
        deep = {"M": {"n": deep}}
    placeholders = Placeholders(None, {":deep": deep})
    assert compile_update("SET a = :deep", placeholders, KEY).apply(ITEM)["a"] == deep
    with pytest.raises(ServiceError, match="Nesting Levels have exceeded supported limits"):
        compile_update("SET m.a = :deep", placeholders, KEY).apply(ITEM)


SHOWN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("SET a = :x, s = :x", {"s": {"S": "hello"}}, {"a": {"S": "x"}, "s": {"S": "x"}}),
    ("SET m.x = :x", {"m": {"M": {"x": {"S": "y"}}}}, {"m": {"M": {"x": {"S": "x"}}}}),
    ("SET m.w = :x", {}, {"m": {"M": {"w": {"S": "x"}}}}),
    (
        "SET m.x = :x, m.l[1] = :1",
        {"m": {"M": {"x": {"S": "y"}, "l": {"L": [{"S": "2"}]}}}},
        {"m": {"M": {"x": {"S": "x"}, "l": {"L": [{"N": "1"}]}}}},
    ),
    ("SET l[2] = :x, l[0] = :1", {"l": {"L": [L0, L2]}}, {"l": {"L": [{"N": "1"}, {"S": "x"}]}}),
    ("SET l[9] = :x", {}, {}),
    ("REMOVE s", {"s": {"S": "hello"}}, {}),
    ("REMOVE q", {}, {}),
    ("REMOVE s SET n = :1", {"s": {"S": "hello"}, "n": {"N": "5"}}, {"n": {"N": "1"}}),
    ("DELETE ss :ss", {"ss": {"SS": ["a", "b"]}}, {"ss": {"SS": ["b"]}}),
    ("DELETE ss :ab", {"ss": {"SS": ["a", "b"]}}, {}),
]


@pytest.mark.parametrize(("text", "old", "new"), SHOWN)
def test_what_updated_old_and_updated_new_show(text: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Just the parts that the update names, as they were and as they are; removed parts only as they were."""
    update = compiled(text)
    assert update.changed_old(ITEM) == old
    assert update.changed_new(update.apply(ITEM)) == new
    assert update.changed_old(None) == {}


def test_an_update_knows_the_attributes_it_changes() -> None:
    """The index code depends on it."""
    assert compiled("SET m.x = s, a = :1 REMOVE l[0] ADD q :1").attributes == {"m", "a", "l", "q"}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("SET b = :x", 3 + 19),
        ("SET b = :x, m.c = :x", 3 + 2 * 19),
        ("SET n = n + :1", 3 + 19 + 50),
        ("ADD n :1", 3 + 19),
        ("SET b = :x REMOVE r", 3 + 19 + 2),
        ("DELETE ss :ss", 3 + 2),
    ],
)
def test_bytes_that_update_item_charges_for_the_update_itself(text: str, size: int) -> None:
    """A fixed amount for the update and for each action, whatever it writes."""
    assert compiled(text).request_bytes == size


@given(items, paths, values)
def test_set_puts_the_value_where_the_path_leads_and_nowhere_else(
    item: dict[str, Any], path: Any, value: dict[str, Any]
) -> None:
    """Reading back finds the value, other attributes are shared, and the item itself is untouched."""
    before = copy.deepcopy(item)
    update = compile_update(f"SET {written_path(path)} = :v", Placeholders(None, {":v": value}), KEY)
    try:
        after = update.apply(item)
    except ServiceError:
        assert item == before
        assert len(path) > 1
        return
    assert item == before
    assert all(after[name] is item[name] for name in item if name != path[0])
    if all(isinstance(element, str) for element in path):
        expected: Any = {"M": after}
        for element in path:
            expected = expected["M"][element]
        assert expected == value
    assert item_size(after) >= item_size({name: v for name, v in item.items() if name != path[0]})


@given(items, st.lists(paths, min_size=2, max_size=4))
def test_paths_clash_or_their_removals_commute(item: dict[str, Any], several: list[Any]) -> None:
    """Paths that may stand in one expression are independent: their order makes no difference."""
    written = [written_path(path) for path in several]
    forward, backward = "REMOVE " + ", ".join(written), "REMOVE " + ", ".join(reversed(written))
    if clash(several) is not None:
        with pytest.raises(ServiceError, match="Two document paths"):
            compile_update(forward, Placeholders(), KEY)
        return
    outcomes = [
        error_type(lambda text=text: compile_update(text, Placeholders(), KEY).apply(item))
        for text in (forward, backward)
    ]
    assert outcomes[0] == outcomes[1]
    if outcomes[0] is None:
        one, two = (compile_update(text, Placeholders(), KEY).apply(item) for text in (forward, backward))
        assert one == two


@given(st.text(st.sampled_from("SETREMOVADL asl()[]=:#.,0+-"), max_size=30) | st.text(max_size=20))
def test_any_text_is_compiled_or_refused(text: str) -> None:
    """No text, however odd, makes the compiler fail in another way."""
    placeholders = Placeholders(None, {":a": {"SS": ["x"]}})
    outcome = error_type(lambda: compile_update(text, placeholders, KEY).apply(ITEM))
    assert outcome in {None, "ValidationException"}


@pytest.mark.parametrize(
    "text", ["SET a = " + "(" * 4000, "SET a = " + "if_not_exists(a, " * 220, "REMOVE a" + "[0]" * 1300]
)
def test_deeply_nested_text_is_refused_not_crashed_on(text: str) -> None:
    """Hostile nesting ends in a ValidationException, never in an exhausted stack."""
    with pytest.raises(ServiceError):
        compile_update(text, Placeholders(), KEY)
