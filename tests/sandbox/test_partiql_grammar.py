"""PartiQL as text: WHERE clauses, literals, comments, and everything that is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.partiql import MAX_STATEMENT_CHARACTERS, Select, Update, compile_statement
from refire_async.sandbox.partiql.keywords import KEYWORDS
from refire_async.sandbox.values import validate_item
from tests.sandbox.language_strategies import error_type

ITEM = validate_item(
    {
        "s": {"S": "hello"},
        "n": {"N": "5"},
        "l": {"L": [{"S": "a"}, {"N": "1"}, {"L": [{"S": "p"}]}]},
        "m": {"M": {"x": {"S": "y"}, "z": {"N": "3"}}},
        "ss": {"SS": ["a", "b"]},
        "ns": {"NS": ["1", "2"]},
        "b": {"B": "aGVsbG8="},
        "t": {"BOOL": True},
        "nul": {"NULL": True},
    }
)


def select(where: str) -> Select:
    """A SELECT with this condition."""
    compiled = compile_statement(f"SELECT * FROM t WHERE {where}")
    assert isinstance(compiled, Select)
    return compiled


def refusal(text: str) -> str:
    """The message of the ValidationException that a statement causes."""
    with pytest.raises(ServiceError) as caught:
        compile_statement(text)
    assert caught.value.type == "ValidationException"
    return caught.value.message


HOLD = [
    "s = 'hello'",
    "'hello' = s",
    "\"s\" = 'hello'",
    "s <> 'x'",
    "s != 'x'",
    "n = 5.0",
    "n=5e0",
    "n = .5e1",
    "n = 05",
    "n = +5",
    "n <> - 5",
    "4 < n",
    "n >= 5",
    "s > 'h'",
    "s < 'hello ' AND s >= 'h'",
    "n BETWEEN 1 AND 6 AND t = true",
    "n NOT BETWEEN 6 AND 7",
    "n IN (1, 5)",
    "n IN [1, 5]",
    "n in <<1, 5>>",
    "n NOT IN (1, 2)",
    "s IN ('x', l[0], 'hello')",
    "q <> 'x'",
    "NOT q = 'x'",
    "NOT (q = 'x')",
    "NOT NOT n = 5",
    "q IS MISSING",
    "m.q IS MISSING",
    "l[9] is missing",
    "s IS NOT MISSING",
    "nul IS NOT MISSING",
    "nul IS NULL",
    "nul = NULL",
    "s IS NOT NULL",
    "q IS NOT NULL",
    "s IS STRING",
    "n IS NUMERIC",
    "t IS BOOL AND t IS BOOLEAN",
    "b IS BLOB",
    "m IS STRUCT AND m IS TUPLE",
    "l IS LIST",
    "t = TRUE",
    "size(s) = 5",
    "SIZE(l) > 2",
    "size('abc') = 3",
    "size(ss) BETWEEN 1 AND 2",
    "attribute_type(ss, 'SS')",
    "begins_with(s, 'he')",
    "begins_with(s, 'he') = true",
    "begins_with(s, 'x') = false",
    "true = contains(s, 'ell')",
    "contains(s, 'x') <> true",
    "CONTAINS(ss, 'a')",
    "contains(l, 1)",
    "contains(ns, 1.0)",
    "contains(l, ['p'])",
    "NOT contains(s, 'x')",
    "m.x = 'y' AND m['x'] = 'y' AND m.\"x\" = 'y'",
    "l[00] = 'a'",
    "l[2][0] = 'p'",
    "l = ['a', 1, ['p']]",
    "l = ('a', 1, ('x', 'y')) OR n = 5",
    "m = {'z': 3, 'x': 'y'}",
    "ss = <<'b', 'a'>>",
    "ns = <<2, 1.0>>",
    "s = 'x' OR n = 5 AND t = true",
    "(s = 'x' OR (n = 5)) AND t = true",
    "((n = 5))",
    "s = ('hello')",
    "1 = 1",
    "n = 5 -- a note",
    "n = /* a\nnote */ 5",
    "n = 5;",
]
FAIL = [
    "S = 'hello'",
    's = "hello"',
    "s = 'it''s'",
    "s > 5",
    "s IS MISSING",
    "q IS NULL",
    "t IS LIST",
    "q = 'x'",
    "NOT q <> 'x'",
    "size(n) = 1",
    "size(q) = 0",
    "begins_with(n, '5')",
    "attribute_type(q, 'S')",
    "b = 'aGVsbG8='",
    "l['0'] = 'a'",
    "m = {'x': 'y'}",
    "ns = <<1>>",
    "ss = ('a', 'b')",
    "\"m.x\" = 'y'",
    "t.s = 'hello'",
    "1 IN (n)",
]


@pytest.mark.parametrize("where", HOLD)
def test_a_condition_that_holds(where: str) -> None:
    """True for the example item."""
    assert select(where).matches(ITEM, []) is True


@pytest.mark.parametrize("where", FAIL)
def test_a_condition_that_does_not_hold(where: str) -> None:
    """False for the example item, and its negation true."""
    assert select(where).matches(ITEM, []) is False
    assert select(f"NOT ({where})").matches(ITEM, []) is True


MALFORMED = "Statement wasn't well formed, can't be processed: "
LEFTOVER = f"{MALFORMED}Unexpected token after expression"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
DIGITS = "Attempting to store more than 38 significant digits in a Number"
ALIASING = "Aliasing is not supported"
NOT_IN = (
    "IN operator must have a left hand argument of type Variable Reference "
    "and right hand argument of type Seq with at least one member"
)
BAG = "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags"
EMPTY = "Path component cannot be an empty string"
REFUSED = [
    # Statements
    ("FOO", f"{MALFORMED}Expected data manipulation"),
    ("SELECTT * FROM t", f"{MALFORMED}Expected data manipulation"),
    (";", f"{MALFORMED}Expected data manipulation"),
    ("CREATE TABLE x", "Unsupported operation: Create"),
    ("EXISTS SELECT * FROM t WHERE pk = 'a'", f"{MALFORMED}Unexpected token at 1:8:6"),
    ("EXISTS(SELECT * FROM t WHERE pk = 'a'", f"{MALFORMED}Unexpected end of statement"),
    ("EXISTS(DELETE FROM t WHERE pk = 'a')", f"{MALFORMED}Unexpected token at 1:8:6"),
    ("SELECT", f"{MALFORMED}Unexpected end of statement"),
    ("SELECT FROM t", f"{MALFORMED}Unexpected token at 1:8:4"),
    ("SELECT * FROM t WHERE", f"{MALFORMED}Unexpected end of statement"),
    ("SELECT * FROM t WHERE pk = 1 foo", LEFTOVER),
    ("SELECT * FROM t WHERE pk = 1 e5", LEFTOVER),
    ("SELECT * FROM t WHERE pk = 1)", LEFTOVER),
    ("SELECT * FROM t; SELECT * FROM t", LEFTOVER),
    ("SELECT * FROM t ORDER BY pk WHERE pk = 1", LEFTOVER),
    ("SELECT * FROM t ORDER BY pk", "Must have WHERE clause in the statement when using ORDER BY clause."),
    ("SELECT * FROM t WHERE pk = 1 LIMIT 1", "Unsupported clause: LIMIT"),
    ("SELECT * FROM t, u", "Only select from a single table or index is supported."),
    ("SELECT * FROM t u WHERE pk = 1", ALIASING),
    ("SELECT * FROM t AS u", ALIASING),
    ("SELECT s AS z FROM t", ALIASING),
    ("UPDATE t u SET a = 1 WHERE pk = 1", ALIASING),
    ("DELETE FROM t u WHERE pk = 1", ALIASING),
    ("INSERT INTO t u VALUE {'pk': 'x'}", LEFTOVER),
    ("INSERT INTO t VALUE {'pk': 1} foo", LEFTOVER),
    ("UPDATE t SET a = 9 WHERE pk = 1 foo", LEFTOVER),
    ("DELETE FROM t WHERE pk = 1 ORDER BY pk", LEFTOVER),
    ("UPDATE t REMOVE a, b WHERE pk = 1", LEFTOVER),
    ("UPDATE t WHERE pk = 1", f"{MALFORMED}Unexpected token at 1:10:5"),
    ("UPDATE t SET a WHERE pk = 1", f"{MALFORMED}Unexpected token at 1:16:5"),
    ("UPDATE t SET 'a' = 1", f"{MALFORMED}Unexpected token at 1:14:3"),
    ("UPDATE 't' SET a = 1", f"{MALFORMED}Unexpected token at 1:8:3"),
    ("FROM t SET a = 1 WHERE pk = 1", f"{MALFORMED}Unexpected token at 1:8:3"),
    # Tables
    ('SELECT * FROM "t"."i"."x"', "A path may contain at most 2 components in the FROM clause"),
    ('SELECT * FROM "t".""', EMPTY),
    ('SELECT * FROM ""', EMPTY),
    (
        'UPDATE "t"."i" SET a = 1',
        "FROM clause may only contain a single table name in data manipulation statements",
    ),
    # Projections
    ("SELECT count(*) FROM t", "Unexpected path component at 1:8:5"),
    ("SELECT size(s) FROM t", "Unexpected path component at 1:8:4"),
    ("SELECT 'x' FROM t", "Unexpected path component at 1:8:3"),
    ("SELECT s+n FROM t", "Unexpected path component at 1:9:1"),
    ("SELECT m.* FROM t", "Changing item's hierarchy while reading isn't supported"),
    ("SELECT VALUE s FROM t", "Select projection doesn't support value or pivot keywords"),
    ("SELECT s, m.s FROM t", "Duplicate identifiers in select clause: s"),
    ("SELECT m.x, s.y, m FROM t", (
        "Two document paths overlap with each other; must remove or rewrite one of these paths; "
        "path one: [m, x], path two: [m]"
    )),
    # Paths and names
    ("SELECT * FROM t WHERE m.inner = 1", f"{MALFORMED}Invalid path dot component"),
    ("UPDATE t SET size = 1", f"{MALFORMED}Unexpected token at 1:14:4"),
    ("SELECT * FROM t WHERE l[-1] = 1", "List index is not within the allowable range; index: [-1] at 1:26:1"),
    (
        "SELECT * FROM t WHERE l[2147483648] = 1",
        "List index is not within the allowable range; index: [2147483648] at 1:25:10",
    ),
    ("SELECT * FROM t WHERE l[0.0] = 1", "Unexpected path component at 1:25:3"),
    ("INSERT INTO t VALUE {'': 1}", EMPTY),
    # Conditions
    ("SELECT * FROM t WHERE s", f"{MALFORMED}Unexpected end of statement"),
    ("SELECT * FROM t WHERE s = 'x' AND", f"{MALFORMED}Unexpected end of statement"),
    ("SELECT * FROM t WHERE s == 'x'", f"{MALFORMED}Unexpected token at 1:26:1"),
    ("SELECT * FROM t WHERE s = s", (
        "The first operand must be distinct from the remaining operands for this operator or function; "
        "operator: =, first operand: [s]"
    )),
    ("SELECT * FROM t WHERE n BETWEEN 6 AND 1", (
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
        "lower bound operand: AttributeValue: {N:6}, upper bound operand: AttributeValue: {N:1}"
    )),
    ("SELECT * FROM t WHERE t < true", (
        "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"
    )),
    ("SELECT * FROM t WHERE s LIKE 'h%'", "Unsupported operator in Condition Expression. Operator: like"),
    ("SELECT * FROM t WHERE n + 1 = 6", "Unsupported operator in Condition Expression. Operator: +"),
    ("SELECT * FROM t WHERE s = 'x' || 'y'", "Unsupported operator in Condition Expression. Operator: ||"),
    ("SELECT * FROM t WHERE n IN 5", NOT_IN),
    ("SELECT * FROM t WHERE n IN []", NOT_IN),
    ("SELECT * FROM t WHERE n IN ()", f"{MALFORMED}Unexpected token at 1:29:1"),
    ("SELECT * FROM t WHERE s = MISSING", "MISSING must be compared using IS operator"),
    (
        "SELECT * FROM t WHERE ? IS MISSING",
        "The left hand side argument to IS must be a Variable Reference, Literal, or Path",
    ),
    ("SELECT * FROM t WHERE s IS VARCHAR", f"{MALFORMED}Unexpected token at 1:28:7"),
    (f"SELECT * FROM t WHERE {' OR '.join(['a = 1'] * 151)}", (
        "The expression contains too many operators; operator count: 301"
    )),
    # Functions: only what is documented
    ("SELECT * FROM t WHERE attribute_exists(s)", "Unrecognized function: attribute_exists at 1:23:16"),
    ("SELECT * FROM t WHERE attribute_not_exists(s)", "Unrecognized function: attribute_not_exists at 1:23:20"),
    ("SELECT * FROM t\nWHERE a = 1 AND if_not_exists(q, 1) = 1", "Unrecognized function: if_not_exists at 2:17:13"),
    ("SELECT * FROM t WHERE EXISTS(s)", "Unrecognized function: exists at 1:23:6"),
    ("SELECT * FROM t WHERE set_add(s, <<'x'>>) = s", "Unrecognized function: set_add at 1:23:7"),
    ("UPDATE t SET a = if_not_exists(q, 1)", "Unrecognized function: if_not_exists at 1:18:13"),
    ("UPDATE t SET a = size(s)", "The function is not allowed in an update expression; function: size"),
    ("SELECT * FROM t WHERE begins_with(s)", (
        "Incorrect number of operands for operator or function; operator or function: begins_with, "
        "number of operands: 1"
    )),
    ("SELECT * FROM t WHERE begins_with(s, 5)", (
        "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"
    )),
    (
        "UPDATE t SET t1 = set_add(ss, <<'x'>>)",
        "The first argument to SET_ADD must equal the assignment value at 1:19:7",
    ),
    ("UPDATE t SET ss = set_add(ss, 'x')", "The second argument to SET_ADD must be a value with type SET at 1:27:2"),
    ("UPDATE t SET ss = set_delete(ss)", "SET_DELETE must have exactly two arguments at 1:19:10"),
    ("UPDATE t SET l = list_append(l, 5)", (
        "Incorrect operand type for operator or function; operator or function: list_append, operand type: N"
    )),
    # Actions
    ("UPDATE t SET a = 1 SET a = 2", (
        "Two document paths overlap with each other; must remove or rewrite one of these paths; "
        "path one: [a], path two: [a]"
    )),
    ("UPDATE t SET n = n * 2", "Unsupported operator in Update Expression. Operator: *"),
    ("UPDATE t SET n = -n", (
        "Incorrect number of operands for operator or function; operator or function: -, number of operands: 1"
    )),
    ("UPDATE t SET n = n + 'x'", (
        "Incorrect operand type for operator or function; operator or function: +, operand type: S"
    )),
    ("UPDATE t SET a = 1 RETURNING ALL OLD", (
        f"{MALFORMED}Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause"
    )),
    ("UPDATE t SET a = 1 RETURNING ALL OLD *, ALL NEW *", (
        "Invalid syntax with multiple returning elements in RETURNING clause"
    )),
    ("INSERT INTO t VALUE {'pk': 'x'} RETURNING ALL OLD *", "RETURNING is not supported in INSERT"),
    # Literals
    ("SELECT * FROM t WHERE n = 1e126", f"{OVERFLOW} under root"),
    ("SELECT * FROM t WHERE n = 1e-131", f"{UNDERFLOW} under root"),
    (f"SELECT * FROM t WHERE n = {'1' * 39}", f"{DIGITS} under root"),
    ("INSERT INTO t VALUE {'pk': 1, 'm': {'x': 1e126}}", f"{OVERFLOW} under root.x"),
    ("INSERT INTO t VALUE {'pk': 1, 'l': [1, 1e126]}", f"{OVERFLOW} under root[1]"),
    ("SELECT * FROM t WHERE n = 1e2147483648", MALFORMED),
    (f"SELECT * FROM t WHERE n = 1e{'9' * 5000}", MALFORMED),
    ("SELECT * FROM t WHERE n = - 0.0", "Negative zero decimal is not supported under key root"),
    ("SELECT * FROM t WHERE n = 0x5", MALFORMED),
    ("SELECT * FROM t WHERE n = 1 # note", MALFORMED),
    ("SELECT * FROM t WHERE n = 1 /* note", MALFORMED),
    ("SELECT * FROM t WHERE s = 'x", MALFORMED),
    ('SELECT * FROM "t', MALFORMED),
    ("SELECT * FROM t WHERE s = `x`", MALFORMED),
    ("UPDATE t SET a = <<>>", "Empty bags are not supported at 1:18:2"),
    ("UPDATE t SET a = <<1, 'a'>>", BAG),
    ("UPDATE t SET a = <<[1]>>", BAG),
    ("UPDATE t SET a = <<1, 1.0>>", "Input collection contains duplicates"),
    (
        "UPDATE t SET a = <<'x', 'x'>>",
        "One or more parameter values were invalid: Input collection [x, x] contains duplicates.",
    ),
    ("UPDATE t SET a = [s]", "Unsupported data type: VariableReference under key root[0] at 1:19:1"),
    ("UPDATE t SET a = {'x': ?}", "Unsupported data type: Parameter under key root.x at 1:24:1"),
    ("UPDATE t SET a = {x: 1}", (
        "Tuple keys must be of type String. Actual type: VariableReference under root at 1:19:1"
    )),
    ("INSERT INTO t VALUE {'a': 1, 'a': 2}", "Duplicate keys in tuple. Key: a under root at 1:30:3"),
    ("INSERT INTO t VALUE {'a': missing}", "Unsupported data type: MISSING under key root at 1:27:7"),
    ("INSERT INTO t VALUE {'a': 1 + 1}", "Unsupported data type: + under key root at 1:29:1"),
    ("INSERT INTO t VALUE ?", (
        "Unsupported format in item expression. Please use struct format {...} to express item values "
        "for insert statement. at 1:21:1"
    )),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_refused_statements_have_a_message(text: str, message: str) -> None:
    """The service's words where they are known."""
    assert refusal(text) == message


def test_keywords_need_quotes_as_attribute_names() -> None:
    """Every word PartiQL keeps for itself, bare and quoted."""
    for word in sorted(KEYWORDS):
        assert "well formed" in refusal(f"UPDATE t SET {word.lower()} = 1 WHERE pk = 'a'")
        quoted = compile_statement(f"UPDATE t SET \"{word.lower()}\" = 1 WHERE pk = 'a'")
        assert isinstance(quoted, Update)
        assert quoted.apply({}, []) == {word.lower(): {"N": "1"}}


@pytest.mark.parametrize(
    "word", ["revision", "name", "data", "status", "ttl", "id", "key_", "Items", "$x", "_y"]
)
def test_other_words_do_not(word: str) -> None:
    """The reserved words of expressions are free here."""
    update = compile_statement(f"UPDATE t SET {word} = 1 WHERE pk = 'a'")
    assert isinstance(update, Update)
    assert update.attributes == {word}


def test_the_length_of_a_statement_is_bounded() -> None:
    """1 to 8,192 characters."""
    text = "SELECT * FROM t WHERE a = ''"
    longest = text[:-1] + "x" * (MAX_STATEMENT_CHARACTERS - len(text)) + "'"
    assert isinstance(compile_statement(longest), Select)
    assert "Member must have length less than or equal to 8192" in refusal(longest + " ")
    assert "Member must have length greater than or equal to 1" in refusal("")


@given(
    st.lists(
        st.sampled_from(
            [
                "SELECT",
                "FROM",
                "UPDATE",
                "SET",
                "REMOVE",
                "INSERT",
                "INTO",
                "VALUE",
                "DELETE",
                "WHERE",
                "RETURNING",
                "ALL",
                "OLD",
                "*",
                "t",
                "a.b",
                "l[0]",
                "=",
                "<>",
                "<",
                ">=",
                "(",
                ")",
                ",",
                ".",
                "[",
                "]",
                "{",
                "}",
                "<<",
                ">>",
                "AND",
                "OR",
                "NOT",
                "BETWEEN",
                "IN",
                "IS",
                "MISSING",
                "NULL",
                "?",
                "'x'",
                "'pk':",
                "5",
                "-5",
                "1e200",
                "true",
                "+",
                "-",
                "size(",
                "contains(",
                "list_append(",
                "set_add(",
                ";",
                "--",
                "/*",
                "*/",
                "ORDER",
                "BY",
                "DESC",
                "pk",
            ]
        ),
        max_size=12,
    ).map(" ".join)
    | st.text(max_size=30)
)
def test_any_text_is_compiled_or_refused(text: str) -> None:
    """No text, however odd, makes the compiler fail in another way."""
    for prefix in (
        "",
        "SELECT * FROM t WHERE ",
        "UPDATE t SET a = ",
        "UPDATE t SET a = 1 WHERE pk = 'a' AND ",
    ):
        assert error_type(lambda prefix=prefix: compile_statement(prefix + text)) in {
            None,
            "ValidationException",
        }


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM t WHERE " + "(" * 8000,
        "SELECT * FROM t WHERE a = " + "(" * 8000,
        "SELECT * FROM t WHERE a IN " + "(" * 8000,
        "SELECT * FROM t WHERE " + "NOT " * 2000 + "a = 1",
        "SELECT * FROM t WHERE " + "size(" * 1600,
        "SELECT * FROM t WHERE a[" + "9" * 8000 + "] = 1",
        "UPDATE t SET a = " + "[" * 8000,
        "UPDATE t SET a = " + "{'x':" * 1500,
        "UPDATE t SET a = " + "(" * 8000,
        "UPDATE t SET a = " + "list_append(" * 600,
        "UPDATE t SET a = 1" + " + 1" * 1900,
    ],
)
def test_deeply_nested_text_is_refused_not_crashed_on(text: str) -> None:
    """Hostile nesting ends in a ValidationException, never in an exhausted stack."""
    assert refusal(text)
