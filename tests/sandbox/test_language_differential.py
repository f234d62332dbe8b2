"""The sandbox's languages against DynamoDB Local: generated expressions and statements, the same outcome.

An outcome is what a condition decides, what an item becomes, what is returned, or the type and message of the error.
By default each test draws the same few examples every time; under `-m soak` it draws many new ones.

Known differences. The sandbox follows the service where its behaviour is documented or was measured:

- `SIZE` and `CONVERT` are reserved words by the Developer Guide; Local takes them as attribute names.
- UPDATED_OLD, UPDATED_NEW and RETURNING MODIFIED show the parts that an update names; Local shows whole attributes.
- Stored numbers are canonical everywhere; Local keeps them as they are in documents, as the result of arithmetic
  (`2.00`) and as literals of PartiQL.
- Zero with an exponent out of range is refused, and an exponent beyond 32 bits is an overflow; Local takes the one
  and cannot read the other. Digits beyond ASCII are no digits; Local reads them.
- JSON types must be right (`{"S": 5}` is a SerializationException); Local converts them.
- The messages for numbers that cannot be read or have too many digits, for duplicates in sets, for key conditions
  on nested paths, twice on one key, on more than two attributes, and for missing key attributes are the service's.
- PartiQL: only documented functions exist (no attribute_exists, no if_not_exists); a surplus of parameters is
  refused; a path is returned under its last name even behind a list index above 0, where Local returns the list;
  conditions are no operands of `=` except for functions compared with true or false; `@name`, `map[name]` and
  `-(-5)` are not read. A DELETE of a missing item whose condition contradicts its own key fails; Local ignores it.
- Where several things are wrong with an expression, Local does not always name the first one.
"""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from refire_async.sandbox.errors import conditional_check_failed
from refire_async.sandbox.expressions import (
    Placeholders,
    compile_condition,
    compile_key_condition,
    compile_projection,
    compile_update,
)
from refire_async.sandbox.values import key_order, validate_item, validate_value
from tests.sandbox.language_judge import HASH, KEY_NAMES, RANGE, Judge, Outcome, given, ours
from tests.sandbox.language_outcomes import accepted, plain, several
from tests.sandbox.language_strategies import (
    NAMES,
    TYPE_NAMES,
    binaries,
    items,
    numbers,
    paths,
    raw_values,
    small_numbers,
    texts,
    values,
    written_path,
)


@pytest.fixture(scope="module", params=["S", "N", "B"])
def typed_judge(request: pytest.FixtureRequest, dynamodb_local_url: str) -> Iterator[Judge]:
    """A table of DynamoDB Local for each type of range key."""
    judge = Judge(dynamodb_local_url, request.param)
    yield judge
    judge.close()


# -- values

odd_numbers = st.sampled_from(
    ["", "1e126", "-1e-131", "1" * 39, "abc", "1e", " 1", "--1", "0x1", "1.2.3", "NaN"]
)
odd_values = st.one_of(
    st.builds(lambda n: {"N": n}, odd_numbers | numbers()),
    st.builds(lambda n: {"NS": ["7", n]}, odd_numbers),
    st.builds(lambda n: {"NS": n}, st.lists(numbers(), max_size=3)),
    st.builds(lambda s: {"SS": s}, st.lists(texts, max_size=3)),
    st.builds(lambda b: {"BS": b}, st.lists(binaries, max_size=3)),
    st.sampled_from(
        [{}, {"NULL": False}, {"S": "a", "N": "1"}, {"X": "a"}, {"S": None}, {"M": {"": {"S": "a"}}}]
    ),
)
wrappers = st.sampled_from(
    [lambda value: value, lambda value: {"L": [value]}, lambda value: {"M": {"x": value}}]
)
"""A single odd value somewhere: where several are wrong, the two do not look in the same order."""


@several
@examples(
    st.sampled_from(NAMES), raw_values | st.builds(lambda wrap, value: wrap(value), wrappers, odd_values)
)
def test_stored_values(judge: Judge, name: str, value: dict[str, Any]) -> None:
    """What is stored comes back in the same form, or is refused with the same error."""
    item = {name: value, **judge.key}
    outcome = judge.ask("PutItem", TableName=judge.table, Item=item)
    stored = ours(lambda: validate_item(item))
    if isinstance(outcome, tuple):
        assert plain(stored) == plain(outcome)
        return
    theirs = judge.get()
    assert stored == plain(theirs)
    if not value.keys() & {"L", "M"}:
        # To the letter: the text of numbers and the order of sets. Local leaves numbers in documents as they are.
        assert stored == theirs


# -- conditions


@st.composite
def operands(draw: st.DrawFn, used: dict[str, Any]) -> str:
    """A path, a value (added to ``used``) or a size."""
    kind = draw(st.sampled_from(["path", "path", "value", "value", "size"]))
    if kind == "path":
        return written_path(draw(paths))
    if kind == "size":
        return f"size({written_path(draw(paths))})"
    name = f":v{len(used)}"
    used[name] = draw(values | st.builds(lambda n: {"N": n}, small_numbers))
    return name


COMPARATORS = ["=", "<>", "<", "<=", ">", ">="]


@st.composite
def predicates(draw: st.DrawFn, used: dict[str, Any]) -> str:
    """One comparison, range, membership or function."""
    operand = operands(used)
    path = paths.map(written_path)

    def type_name() -> str:
        name = f":v{len(used)}"
        used[name] = draw(st.sampled_from(TYPE_NAMES))
        return name

    forms = {
        "compare": lambda: (
            f"{draw(operand)} {draw(st.sampled_from(['=', '<>', '<', '<=', '>', '>=']))} {draw(operand)}"
        ),
        "between": lambda: f"{draw(operand)} BETWEEN {draw(operand)} AND {draw(operand)}",
        "in": lambda: f"{draw(operand)} IN ({', '.join(draw(st.lists(operand, min_size=1, max_size=3)))})",
        "exists": lambda: f"attribute_exists({draw(path)})",
        "not exists": lambda: f"attribute_not_exists({draw(path)})",
        "type": lambda: f"attribute_type({draw(operand)}, {type_name()})",
        "begins": lambda: f"begins_with({draw(operand)}, {draw(operand)})",
        "contains": lambda: f"contains({draw(operand)}, {draw(operand)})",
    }
    return forms[draw(st.sampled_from(["compare", *forms]))]()


@st.composite
def conditions(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A condition and the values it uses."""
    used: dict[str, Any] = {}
    terms = st.recursive(
        predicates(used),
        lambda children: st.one_of(
            st.builds(
                lambda a, j, b: f"{a} {j} {b}", children, st.sampled_from(["AND", "OR", "and"]), children
            ),
            st.builds(lambda a: f"NOT {a}", children),
            st.builds(lambda a: f"({a} OR {a})" if " OR " not in a and a[0] != "(" else a, children),
        ),
        max_leaves=3,
    )
    text = draw(terms)
    return text, {name: value for name, value in used.items() if re.search(rf"{name}(?!\w)", text)}


@several
@examples(items, st.lists(conditions(), min_size=1, max_size=4))
def test_conditions(
    judge: Judge, attributes: dict[str, Any], several_: list[tuple[str, dict[str, Any]]]
) -> None:
    """Each condition decides the same, or is refused with the same error."""
    item = judge.put(attributes)
    for text, used in several_:

        def decide(text: str = text, used: dict[str, Any] = used) -> bool:
            placeholders = Placeholders(None, {":pk": {"S": "a"}, **used})
            compile_key_condition("pk = :pk", placeholders, (HASH,), (RANGE,))
            condition = compile_condition(text, placeholders, "FilterExpression")
            placeholders.check_all_used()
            return condition.matches(item)

        theirs = judge.ask(
            "Query",
            TableName=judge.table,
            KeyConditionExpression="pk = :pk",
            FilterExpression=text,
            ExpressionAttributeValues={":pk": {"S": "a"}, **used},
        )
        decided = theirs["Count"] == 1 if isinstance(theirs, dict) else theirs
        assert plain(ours(decide)) == plain(decided), (text, used)


# -- updates


@st.composite
def updates(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """An update expression and the values it uses."""
    used: dict[str, Any] = {}
    path = paths.map(written_path)

    def value(strategy: st.SearchStrategy[Any]) -> str:
        name = f":v{len(used)}"
        used[name] = draw(strategy)
        return name

    def assigned() -> str:
        form = draw(st.sampled_from(["value", "value", "path", "sum", "default", "append"]))
        if form == "value":
            return value(values)
        if form == "path":
            return draw(path)
        number = value(st.builds(lambda n: {"N": n}, small_numbers | numbers()) | values)
        if form == "sum":
            return f"{draw(path)} {draw(st.sampled_from('+-'))} {number}"
        if form == "default":
            return f"if_not_exists({draw(path)}, {number})"
        return (
            f"list_append({draw(path)}, {value(st.builds(lambda e: {'L': e}, st.lists(values, max_size=2)))})"
        )

    sections = draw(
        st.lists(st.sampled_from(["SET", "REMOVE", "ADD", "DELETE"]), min_size=1, max_size=2, unique=True)
    )
    written = []
    for section in sections:
        actions = []
        for _ in range(draw(st.integers(1, 2))):
            target = draw(path)
            if section == "SET":
                actions.append(f"{target} = {assigned()}")
            elif section == "REMOVE":
                actions.append(target)
            else:
                actions.append(f"{target} {value(values)}")
        written.append(f"{section} {', '.join(actions)}")
    return " ".join(written), used


@several
@examples(items, updates())
def test_updates(judge: Judge, attributes: dict[str, Any], update: tuple[str, dict[str, Any]]) -> None:
    """The item becomes the same, or the update is refused with the same error."""
    text, used = update
    item = judge.put(attributes)

    def apply() -> Outcome:
        placeholders = Placeholders(None, used or None)
        compiled = compile_update(text, placeholders, KEY_NAMES)
        placeholders.check_all_used()
        return compiled.apply(item)

    theirs = judge.ask(
        "UpdateItem",
        TableName=judge.table,
        Key=judge.key,
        UpdateExpression=text,
        ReturnValues="ALL_NEW",
        **given(ExpressionAttributeValues=used),
    )
    assert plain(ours(apply)) == plain(theirs["Attributes"] if isinstance(theirs, dict) else theirs), (
        text,
        used,
    )


@several
@examples(items, updates())
def test_changed_attributes(
    judge: Judge, attributes: dict[str, Any], update: tuple[str, dict[str, Any]]
) -> None:
    """UPDATED_OLD and UPDATED_NEW of updates of whole attributes, where Local shows what the service does."""
    text, used = update
    text = re.sub(r"(\.[abcd]|\[\d\])+", "", text)
    for wanted in ("UPDATED_OLD", "UPDATED_NEW"):
        item = judge.put(attributes)

        def shown(item: dict[str, Any] = item, wanted: str = wanted) -> Outcome:
            placeholders = Placeholders(None, used or None)
            compiled = compile_update(text, placeholders, KEY_NAMES)
            placeholders.check_all_used()
            after = compiled.apply(item)
            return compiled.changed_old(item) if wanted == "UPDATED_OLD" else compiled.changed_new(after)

        theirs = judge.ask(
            "UpdateItem",
            TableName=judge.table,
            Key=judge.key,
            UpdateExpression=text,
            ReturnValues=wanted,
            **given(ExpressionAttributeValues=used),
        )
        assert plain(ours(shown)) == plain(
            theirs.get("Attributes", {}) if isinstance(theirs, dict) else theirs
        )


# -- projections and key conditions


@several
@examples(items, st.lists(paths, min_size=1, max_size=4))
def test_projections(judge: Judge, attributes: dict[str, Any], selected: list[Any]) -> None:
    """The same parts of the item, or the same complaint about the paths."""
    item = judge.put(attributes)
    text = ", ".join(map(written_path, selected))
    theirs = judge.ask("GetItem", TableName=judge.table, Key=judge.key, ProjectionExpression=text)
    projected = ours(lambda: compile_projection(text, Placeholders()).apply(item))
    assert plain(projected) == plain(theirs["Item"] if isinstance(theirs, dict) else theirs)


range_values = {
    "S": texts.filter(bool),
    "N": small_numbers | numbers(),
    "B": binaries.filter(bool),
}


@several
@examples(st.data())
def test_key_conditions(typed_judge: Judge, data: st.DataObject) -> None:
    """A query finds the same items in the same order, or is refused with the same error."""
    judge = typed_judge
    ((type_, _),) = judge.key[RANGE].items()
    of_type = st.builds(lambda v: validate_value({type_: v}), range_values[type_])
    # More than a few items only make the test slower.
    stored = data.draw(st.lists(of_type, min_size=1, max_size=5, unique_by=key_order))
    hash_value = {"S": uuid.uuid4().hex}
    requests = [{"PutRequest": {"Item": {HASH: hash_value, RANGE: value}}} for value in stored]
    judge.answer("BatchWriteItem", RequestItems={judge.table: requests})
    operand = of_type | st.sampled_from([{"S": "x"}, {"N": "1"}, {"BOOL": True}, {"S": ""}])
    for _ in range(3):
        low, high = data.draw(operand), data.draw(operand)
        form = data.draw(
            st.sampled_from(
                ["sk = :a", "sk < :a", "sk <= :a", "sk > :a", ":a < sk", "sk >= :a", "sk BETWEEN :a AND :b"]
            )
            | st.sampled_from(
                ["begins_with(sk, :a)", "sk <> :a", "sk IN (:a)", "begins_with(:a, sk)", "contains(sk, :a)"]
            )
        )
        text = data.draw(st.sampled_from([f"pk = :h AND {form}", f"({form}) and :h = pk"]))
        used = {":h": hash_value, ":a": low, **({":b": high} if ":b" in form else {})}

        def find(text: str = text, used: dict[str, Any] = used) -> list[Any]:
            placeholders = Placeholders(None, used)
            condition = compile_key_condition(text, placeholders, (HASH,), (RANGE,))
            placeholders.check_all_used()
            condition.check_types({HASH: "S", RANGE: type_})
            return [value for value in sorted(stored, key=key_order) if condition.range_matches(value)]

        theirs = judge.ask(
            "Query", TableName=judge.table, KeyConditionExpression=text, ExpressionAttributeValues=used
        )
        found = (
            [validate_value(item[RANGE]) for item in theirs["Items"]] if isinstance(theirs, dict) else theirs
        )
        assert plain_keys(ours(find)) == plain_keys(found), (text, used, stored)


def plain_keys(outcome: Outcome) -> Outcome:
    """As ``plain``, for lists of key values."""
    return outcome if isinstance(outcome, list) else plain(outcome)


# -- syntax

_EXPRESSION_TOKENS = (
    "a b.c d[0] #n :v :w = <> < >= ( ) , . [ ] AND OR NOT BETWEEN IN SET REMOVE ADD DELETE + - 0 01 é ; status "
    "attribute_exists( size( begins_with( if_not_exists( list_append( foo("
)
EXPRESSION_TOKENS = _EXPRESSION_TOKENS.split()


@several
@examples(
    st.sampled_from(["a = :v AND ", "NOT ", "", ""]),
    st.lists(st.sampled_from(EXPRESSION_TOKENS), min_size=1, max_size=8),
    st.sampled_from([" ", ""]),
)
def test_syntax_of_conditions(judge: Judge, prefix: str, tokens: list[str], separator: str) -> None:
    """Random tokens are an expression to both, or to neither, for the same reason."""
    text = prefix + separator.join(tokens)
    names = {"#n": "n"} if "#n" in text else None
    used = {name: value for name, value in ((":v", {"S": "x"}), (":w", {"N": "1"})) if name in text}
    item = judge.put({"a": {"S": "x"}})

    def decide() -> bool:
        placeholders = Placeholders(names, used or None)
        condition = compile_condition(text, placeholders)
        placeholders.check_all_used()
        if not condition.matches(item):
            raise conditional_check_failed()
        return True

    theirs = judge.ask(
        "PutItem",
        TableName=judge.table,
        Item=item,
        ConditionExpression=text,
        **given(ExpressionAttributeNames=names, ExpressionAttributeValues=used),
    )
    assert accepted(ours(decide)) == accepted(theirs), (text, ours(decide), theirs)


@several
@examples(
    st.sampled_from(["SET a = ", "REMOVE ", "ADD a ", "SET a = :v, ", ""]),
    st.lists(st.sampled_from(EXPRESSION_TOKENS), min_size=1, max_size=8),
    st.sampled_from([" ", ""]),
)
def test_syntax_of_updates(judge: Judge, prefix: str, tokens: list[str], separator: str) -> None:
    """Random tokens are an update to both, or to neither."""
    text = prefix + separator.join(tokens)
    names = {"#n": "n"} if "#n" in text else None
    used = {name: value for name, value in ((":v", {"S": "x"}), (":w", {"N": "1"})) if name in text}
    item = judge.put({"a": {"S": "x"}})

    def apply() -> Outcome:
        placeholders = Placeholders(names, used or None)
        compiled = compile_update(text, placeholders, KEY_NAMES)
        placeholders.check_all_used()
        return compiled.apply(item)

    theirs = judge.ask(
        "UpdateItem",
        TableName=judge.table,
        Key=judge.key,
        UpdateExpression=text,
        **given(ExpressionAttributeNames=names, ExpressionAttributeValues=used),
    )
    assert accepted(ours(apply)) == accepted(theirs), (text, ours(apply), theirs)
