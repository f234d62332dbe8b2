"""The sandbox's languages against DynamoDB Local: generated expressions and statements, the same outcome.

An outcome is what a condition decides, what an item becomes, what is returned, or the type and message of the error.
`REFIRE_TEST_EXAMPLES` sets how many examples each test generates (default 40, always the same ones); with it the
examples are new each time.

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

import os
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
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
from refire_async.sandbox.partiql import Delete, Insert, Select, Update, compile_statement
from refire_async.sandbox.values import key_order, validate_item, validate_value
from tests.sandbox.language_judge import HASH, KEY_NAMES, RANGE, Judge, Outcome, given, ours
from tests.sandbox.language_strategies import (
    NAMES,
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

EXAMPLES = int(os.environ.get("REFIRE_TEST_EXAMPLES", "40"))
several = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="REFIRE_TEST_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def judge(dynamodb_local_url: str) -> Iterator[Judge]:
    """A table of DynamoDB Local."""
    judge = Judge(dynamodb_local_url)
    yield judge
    judge.close()


@pytest.fixture(scope="module", params=["S", "N", "B"])
def typed_judge(request: pytest.FixtureRequest, dynamodb_local_url: str) -> Iterator[Judge]:
    """A table of DynamoDB Local for each type of range key."""
    judge = Judge(dynamodb_local_url, request.param)
    yield judge
    judge.close()


# Parts of messages in which the service and Local have other words for the same thing, or choose another one of
# several things that are wrong. The unit tests look at each message by itself.
_WORDINGS = [
    (re.compile(r"The parameter cannot be converted to a numeric value: .*"), "not a number"),
    (re.compile(r"A value provided cannot be converted into a number"), "not a number"),
    (re.compile(r"DynamoDB only supports precision up to 38 digits"), "too many digits"),
    (re.compile(r"Attempting to store more than 38 significant digits in a Number"), "too many digits"),
    (re.compile(r"\{B:.*?\}(?=[,;]|$)"), "{B}"),
    (re.compile(r"Input collection .*contains duplicates\.?"), "duplicates"),
    (re.compile(r"( under (key )?root\S*)?( at \d+:\d+:\d+)?$"), ""),
    (re.compile(r"Statement wasn't well formed, can't be processed.*", re.DOTALL), "malformed"),
    (re.compile(r"Incorrect operand type for operator or function; .*"), "operands do not fit"),
    (re.compile(r"The BETWEEN operator requires .*"), "operands do not fit"),
    (re.compile(r"Invalid attribute type name found; .*"), "operands do not fit"),
    (
        re.compile(r"The provided expression refers to an attribute that does not exist in the item"),
        "does not fit",
    ),
    (
        re.compile(r"The document path provided in the update expression is invalid for update"),
        "does not fit",
    ),
    (re.compile(r"An operand in the update expression has an incorrect data type"), "does not fit"),
    (re.compile(r"Two document paths (overlap|conflict) with each other.*"), "paths clash"),
    (re.compile(r"Invalid KeyConditionExpression: (?=KeyConditionExpressions must)"), ""),
    (re.compile(r"Query condition missed key schema element.*"), "key attribute missing"),
]


def plain(outcome: Outcome) -> Outcome:
    """An outcome without what is known to differ: wordings, and the form of numbers and sets."""
    if isinstance(outcome, tuple) and len(outcome) == 2 and isinstance(outcome[1], str):
        type_, message = outcome
        for pattern, wording in _WORDINGS:
            message = pattern.sub(wording, message)
        return type_, message
    if isinstance(outcome, list):
        return [validate_item(item) for item in outcome]
    return validate_item(outcome) if isinstance(outcome, dict) else outcome


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
TESTED_TYPES = ["MISSING", "NULL", "BOOL", "STRING", "NUMERIC", "STRUCT", "LIST", "BLOB"]
TYPE_NAMES = [{"S": name} for name in ("S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL", "X")]


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
            compile_key_condition("pk = :pk", placeholders, HASH, RANGE)
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
            condition = compile_key_condition(text, placeholders, HASH, RANGE)
            placeholders.check_all_used()
            condition.check_types("S", type_)
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


# -- PartiQL


def literal(value: dict[str, Any]) -> str | None:
    """How PartiQL writes a value, None if it cannot."""
    ((type_, content),) = value.items()
    written: list[str | None] = []
    if type_ in {"S", "N", "BOOL", "NULL"}:
        simple = {"S": "'" + str(content).replace("'", "''") + "'", "N": str(content), "NULL": "null"}
        return simple.get(type_) or str(content).lower()
    if type_ in {"SS", "NS"}:
        written = [literal({type_[0]: member}) for member in content]
    elif type_ == "L":
        written = [literal(member) for member in content]
    elif type_ == "M":
        members = {name: literal(member) for name, member in content.items()}
        written = [None if member is None else f"'{name}': {member}" for name, member in members.items()]
    else:
        return None
    opening, closing = {"L": "[]", "M": "{}"}.get(type_) or ("<<", ">>")
    return None if None in written else opening + ", ".join(map(str, written)) + closing


@st.composite
def partiql_values(draw: st.DrawFn, parameters: list[Any], strategy: st.SearchStrategy[Any] = values) -> str:
    """A value as a literal or as a parameter, whose value is added to ``parameters``."""
    value = draw(strategy)
    written = literal(value)
    if written is None or draw(st.booleans()):
        parameters.append(value)
        return "?"
    return written


def partiql_path(path: tuple[str | int, ...]) -> str:
    """A document path in quotes."""
    return "".join(f"[{e}]" if isinstance(e, int) else f'."{e}"' for e in path)[1:]


@st.composite
def partiql_predicates(draw: st.DrawFn, parameters: list[Any]) -> str:
    """One predicate of a WHERE clause; its parameters are added in the order of the text."""
    path = partiql_path(draw(paths))
    value = partiql_values(parameters)
    forms = {
        "compare": lambda: (
            f"{path} {draw(st.sampled_from(['=', '<>', '!=', '<', '<=', '>', '>=']))} {draw(value)}"
        ),
        "between": lambda: (
            f"{path} {draw(st.sampled_from(['', 'NOT ']))}BETWEEN {draw(value)} AND {draw(value)}"
        ),
        "in": lambda: f"{path} IN [{', '.join(draw(st.lists(value, min_size=1, max_size=3)))}]",
        "is": lambda: f"{path} IS {draw(st.sampled_from(['', 'NOT ']))}{draw(st.sampled_from(TESTED_TYPES))}",
        "type": lambda: f"attribute_type({path}, '{draw(st.sampled_from(TYPE_NAMES))['S']}')",
        "size": lambda: f"size({path}) {draw(st.sampled_from(['=', '<', '>=']))} {draw(st.integers(0, 3))}",
        "begins": lambda: f"begins_with({path}, {draw(value)})",
        "contains": lambda: f"contains({path}, {draw(value)})",
    }
    return forms[draw(st.sampled_from(["compare", *forms]))]()


@st.composite
def partiql_conditions(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """A WHERE clause's further conditions, with parameters."""
    parameters: list[Any] = []
    text = ""
    for position in range(draw(st.integers(1, 3))):
        joiner = draw(st.sampled_from([" AND ", " OR "])) if position else ""
        negation = draw(st.sampled_from(["", "", "NOT ", "NOT NOT "]))
        text += joiner + negation + draw(partiql_predicates(parameters))
    return text, parameters


def execute(statement: str, parameters: list[Any], item: dict[str, Any]) -> Outcome:
    """What the sandbox returns of a statement, and the item afterwards (None if it is gone)."""
    compiled = compile_statement(statement)
    bound = compiled.bind(parameters or None)
    if isinstance(compiled, Select):
        return ([compiled.project(item)] if compiled.matches(item, bound) else [], item)
    if isinstance(compiled, Insert):
        return ([], compiled.item(bound))
    key = compiled.key(bound, KEY_NAMES)
    if any(item[name] != key[name] for name in KEY_NAMES) or not compiled.condition_holds(item, bound):
        raise conditional_check_failed()
    if isinstance(compiled, Delete):
        return (compiled.returned(item), None)
    assert isinstance(compiled, Update)
    after = compiled.apply(item, bound)
    return (compiled.returned(item, after), after)


def agree(judge: Judge, statement: str, parameters: list[Any], item: dict[str, Any]) -> None:
    """Same rows, same item afterwards, or the same error."""
    theirs = judge.sql(statement, parameters)
    sandbox = ours(lambda: execute(statement, parameters, item))
    context = (statement, parameters, item)
    if isinstance(theirs, tuple):
        assert plain(sandbox) == plain(theirs), context
        return
    assert not isinstance(sandbox[1], str), (context, sandbox)
    assert plain(sandbox[0]) == plain(theirs), context
    after = judge.get()
    assert sandbox[1] == (after if after is None else validate_item(after)), context


@several
@examples(items, st.lists(partiql_conditions(), min_size=1, max_size=4))
def test_partiql_where(
    judge: Judge, attributes: dict[str, Any], several_: list[tuple[str, list[Any]]]
) -> None:
    """SELECT finds the item under the same conditions, or is refused with the same error."""
    item = judge.put(attributes)
    for text, parameters in several_:
        agree(
            judge,
            f"SELECT * FROM \"{judge.table}\" WHERE pk = 'a' AND sk = 'b' AND ({text})",
            parameters,
            item,
        )


@st.composite
def partiql_updates(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """SET and REMOVE clauses with parameters."""
    parameters: list[Any] = []
    clauses = []
    for _ in range(draw(st.integers(1, 2))):
        raw = draw(paths)
        path = partiql_path(raw)
        form = draw(st.sampled_from(["value", "value", "path", "sum", "append", "add", "delete", "remove"]))
        if form == "remove":
            clauses.append(f"REMOVE {path}")
            continue
        if form == "value":
            assigned = draw(partiql_values(parameters))
        elif form == "path":
            assigned = partiql_path(draw(paths))
        elif form == "sum":
            number = draw(partiql_values(parameters, st.builds(lambda n: {"N": n}, small_numbers)))
            assigned = f"{partiql_path(draw(paths))} {draw(st.sampled_from('+-'))} {number}"
        elif form == "append":
            added = draw(partiql_values(parameters, st.builds(lambda v: {"L": [v]}, values) | values))
            assigned = f"list_append({partiql_path(draw(paths))}, {added})"
        else:
            members = st.builds(
                lambda m: validate_value({"SS": m}), st.lists(texts, min_size=1, max_size=2, unique=True)
            )
            assigned = f"set_{form}({path}, {draw(partiql_values(parameters, members))})"
        clauses.append(f"SET {path} = {assigned}")
    return " ".join(clauses), parameters


@several
@examples(items, partiql_updates(), st.sampled_from(["", " RETURNING ALL OLD *", " RETURNING ALL NEW *"]))
def test_partiql_updates(
    judge: Judge, attributes: dict[str, Any], update: tuple[str, list[Any]], returning: str
) -> None:
    """The item becomes the same and the same is returned, or the update is refused with the same error."""
    item = judge.put(attributes)
    text, parameters = update
    agree(judge, f"UPDATE \"{judge.table}\" {text} WHERE pk = 'a' AND sk = 'b'{returning}", parameters, item)


@several
@examples(items, partiql_conditions(), st.sampled_from(["", " RETURNING ALL OLD *"]))
def test_partiql_conditional_deletes(
    judge: Judge, attributes: dict[str, Any], condition: tuple[str, list[Any]], returning: str
) -> None:
    """The item goes under the same conditions."""
    item = judge.put(attributes)
    text, parameters = condition
    agree(
        judge,
        f"DELETE FROM \"{judge.table}\" WHERE pk = 'a' AND sk = 'b' AND ({text}){returning}",
        parameters,
        item,
    )


@several
@examples(st.dictionaries(st.sampled_from(NAMES), raw_values, max_size=3), st.data())
def test_partiql_inserts(judge: Judge, attributes: dict[str, Any], data: st.DataObject) -> None:
    """What is inserted is the same item."""
    judge.answer("DeleteItem", TableName=judge.table, Key=judge.key)
    parameters: list[Any] = []
    members = ["'pk': 'a'", "'sk': 'b'"]
    for name, value in attributes.items():
        written = literal(value)
        if written is None or data.draw(st.booleans()):
            parameters.append(value)
            written = "?"
        members.append(f"'{name}': {written}")
    agree(judge, f'INSERT INTO "{judge.table}" VALUE {{{", ".join(members)}}}', parameters, {})


# -- syntax

_EXPRESSION_TOKENS = (
    "a b.c d[0] #n :v :w = <> < >= ( ) , . [ ] AND OR NOT BETWEEN IN SET REMOVE ADD DELETE + - 0 01 é ; status "
    "attribute_exists( size( begins_with( if_not_exists( list_append( foo("
)
EXPRESSION_TOKENS = _EXPRESSION_TOKENS.split()
_PARTIQL_TOKENS = (
    "a b.c d[0] d['x'] \"q\" = <> != < ( ) , . [ ] { } << >> AND OR NOT BETWEEN IN IS MISSING NULL ? 'x' 'x': 5 -5 "
    "1e5 true + - size( begins_with( list_append( foo( SET REMOVE WHERE RETURNING ALL NEW * ; value"
)
PARTIQL_TOKENS = _PARTIQL_TOKENS.split()


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


@several
@examples(
    st.sampled_from(
        [
            "SELECT * FROM {} WHERE pk = 'a' AND sk = 'b' AND ",
            "SELECT a, ",
            "UPDATE {} SET a = ",
            "UPDATE {} SET a = 1 ",
            "INSERT INTO {} VALUE {{'pk': 'z', 'sk': 'z', 'x': ",
            "DELETE FROM {} WHERE pk = 'a' AND sk = 'b' AND ",
        ]
    ),
    st.lists(st.sampled_from(PARTIQL_TOKENS), min_size=1, max_size=6),
    st.sampled_from(["", " FROM {} WHERE pk = 'a'", " WHERE pk = 'a' AND sk = 'b'", "}}"]),
)
def test_syntax_of_partiql(judge: Judge, prefix: str, tokens: list[str], suffix: str) -> None:
    """Random tokens are a statement to both, or to neither."""
    table = f'"{judge.table}"'
    statement = prefix.format(table) + " ".join(tokens) + suffix.format(table)
    parameters = [{"S": "x"}] * statement.count("?")
    judge.answer("DeleteItem", TableName=judge.table, Key={"pk": {"S": "z"}, "sk": {"S": "z"}})
    item = judge.put({"a": {"S": "x"}})
    sandbox = ours(lambda: execute(statement, parameters, item))
    theirs = judge.sql(statement, parameters)
    assert accepted(sandbox) == accepted(theirs), (statement, sandbox, theirs)


def accepted(outcome: Outcome) -> str:
    """Only whether it went well, and if not, the type of the error."""
    if isinstance(outcome, tuple) and isinstance(outcome[1], str):
        return str(outcome[0])
    return "accepted"
