"""PartiQL against DynamoDB Local, as in `test_language_differential`, which lists the known differences."""

from typing import Any

from hypothesis import given as examples
from hypothesis import strategies as st

from refire_async.sandbox.errors import conditional_check_failed
from refire_async.sandbox.partiql import Delete, Insert, Select, Update, compile_statement
from refire_async.sandbox.values import validate_item, validate_value
from tests.sandbox.language_judge import KEY_NAMES, Judge, Outcome, ours
from tests.sandbox.language_outcomes import accepted, plain, several
from tests.sandbox.language_strategies import (
    NAMES,
    TYPE_NAMES,
    items,
    paths,
    raw_values,
    small_numbers,
    texts,
    values,
)

TESTED_TYPES = ["MISSING", "NULL", "BOOL", "STRING", "NUMERIC", "STRUCT", "LIST", "BLOB"]
_PARTIQL_TOKENS = (
    "a b.c d[0] d['x'] \"q\" = <> != < ( ) , . [ ] { } << >> AND OR NOT BETWEEN IN IS MISSING NULL ? 'x' 'x': 5 -5 "
    "1e5 true + - size( begins_with( list_append( foo( SET REMOVE WHERE RETURNING ALL NEW * ; value"
)
PARTIQL_TOKENS = _PARTIQL_TOKENS.split()


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
