"""PartiQL's SELECT: what is found and returned; and parameters, of whatever statement."""

from typing import Any

import pytest
from hypothesis import given

from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.partiql import Insert, Select, compile_statement
from tests.sandbox.language_strategies import items, paths, raw_values, values
from tests.sandbox.partiql_item import BY_KEY, ITEM, KEY, statement


class TestSelect:
    @pytest.mark.parametrize(
        ("selected", "found"),
        [
            ("*", ITEM),
            ("s, n", {"s": {"S": "hello"}, "n": {"N": "5"}}),
            ("q", {}),
            ("m.x, m.z", {"x": {"S": "y"}, "z": {"N": "3"}}),
            ("m['l'][1]", {"l[1]": {"S": "2"}}),
            ("l[0], l[1]", {"l[0]": {"S": "a"}, "l[1]": {"N": "1"}}),
            ("l[3][1]", {"l[3][1]": {"S": "q"}}),
            ("l[2].x", {"x": {"S": "y"}}),
            ('"m"."x"', {"x": {"S": "y"}}),
        ],
    )
    def test_what_is_returned_of_an_item(self, selected: str, found: dict[str, Any]) -> None:
        """A path goes by its last name and the indexes after it."""
        select = statement(f"SELECT {selected} FROM t", Select)
        assert select.project(ITEM) == found
        assert (select.projection is None) == (selected == "*")

    def test_table_and_index(self) -> None:
        """The index is named after the table."""
        select = statement('SELECT * FROM "t-1.x"."by.day" WHERE x = 1 AND y.z < 2', Select)
        assert (select.table, select.index) == ("t-1.x", "by.day")
        assert select.filter_attributes == {"x", "y"}
        assert statement("SELECT * FROM t", Select).index is None

    @pytest.mark.parametrize(
        ("where", "operator", "operands"),
        [
            ("pk = 'a'", None, ()),
            ("'a' = pk AND s = 'x'", None, ()),
            ("pk = ? AND sk = ?", "=", ({"S": "b"},)),
            ("pk = 'a' AND sk < 5", "<", ({"N": "5"},)),
            ("pk = 'a' AND 5 <= sk", ">=", ({"N": "5"},)),
            ("pk = 'a' AND sk BETWEEN 'a' AND ?", "BETWEEN", ({"S": "a"}, {"S": "a"})),
            ("begins_with(sk, 'b') AND (pk = 'a' AND n = 5)", "begins_with", ({"S": "b"},)),
            ("pk = 'a' AND sk <> 'b'", None, ()),
            ("pk = 'a' AND NOT sk = 'b'", None, ()),
            ("pk = 'a' AND sk > s", None, ()),
        ],
    )
    def test_which_query_finds_the_items(
        self, where: str, operator: str | None, operands: tuple[Any, ...]
    ) -> None:
        """Equality on the hash key, and one condition on the range key if there is one."""
        select = statement(f"SELECT * FROM t WHERE {where}", Select)
        bound = select.bind([{"S": "a"}, {"S": "b"}][: select.parameters])
        queries = select.key_conditions(bound, ("pk",), ("sk",))
        assert queries is not None
        assert [(q.hashes["pk"], q.range_operator, q.range_values) for q in queries] == [
            ({"S": "a"}, operator, operands)
        ]

    def test_one_query_for_each_hash_value_of_in(self) -> None:
        """Distinct values only."""
        select = statement("SELECT * FROM t WHERE pk IN ['a', 'b', ?] AND sk = 1", Select)
        queries = select.key_conditions(select.bind([{"S": "a"}]), ("pk",), ("sk",))
        assert queries is not None
        assert [q.hashes["pk"] for q in queries] == [{"S": "a"}, {"S": "b"}]
        assert all(q.range_operator == "=" for q in queries)

    @pytest.mark.parametrize(
        "where", ["", " WHERE sk = 'b'", " WHERE pk > 'a'", " WHERE pk = 'a' OR pk = 'b'"]
    )
    def test_everything_else_takes_a_scan(self, where: str) -> None:
        """No equality on the hash key."""
        assert statement(f"SELECT * FROM t{where}", Select).key_conditions([], ("pk",), ("sk",)) is None

    def test_the_whole_key(self) -> None:
        """A read of one item, as BatchExecuteStatement wants it."""
        select = statement(f"SELECT s FROM t{BY_KEY} AND n = 5", Select)
        assert select.key([], KEY) == {"pk": {"S": "a"}, "sk": {"S": "b"}}
        assert statement("SELECT s FROM t WHERE pk = 'a'", Select).key([], KEY) is None

    def test_order_by(self) -> None:
        """The last attribute named decides; only key attributes may be named."""
        for clause, descending in [
            ("", False),
            (" ORDER BY sk", False),
            (" ORDER BY sk ASC", False),
            (" ORDER BY sk DESC", True),
            (" ORDER BY pk ASC, sk DESC", True),
        ]:
            select = statement(f"SELECT * FROM t WHERE pk = 'a'{clause}", Select)
            assert select.descending(KEY) is descending
        with pytest.raises(
            ServiceError, match="Variable reference n in ORDER BY clause must be part of the primary key"
        ):
            statement("SELECT * FROM t WHERE pk = 'a' ORDER BY n", Select).descending(KEY)

    @given(items, paths, values)
    def test_a_parameter_equals_the_value_it_stands_for(
        self, item: dict[str, Any], path: Any, value: dict[str, Any]
    ) -> None:
        """Equality through a parameter is equality of canonical values."""
        written = "".join(f"[{e}]" if isinstance(e, int) else f'."{e}"' for e in path)[1:]
        select = statement(f"SELECT * FROM t WHERE {written} = ?", Select)
        found: Any = {"M": item}
        for element in path:
            if isinstance(element, str):
                found = (found.get("M") or {}).get(element) or {}
            else:
                found = dict(enumerate(found.get("L") or ())).get(element, {})
        assert select.matches(item, select.bind([value])) == (found == value)


class TestParameters:
    @pytest.mark.parametrize("parameters", [None, [], [{"S": "a"}], [{"S": "a"}] * 3])
    def test_their_number_must_be_right(self, parameters: Any) -> None:
        """As many as there are question marks."""
        with pytest.raises(ServiceError, match="Number of parameters in request and statement don't match"):
            compile_statement("SELECT * FROM t WHERE pk = ? AND sk = ?").bind(parameters)

    @pytest.mark.parametrize(
        ("text", "parameter", "message"),
        [
            (
                "SELECT * FROM t WHERE a = ?",
                {"N": "x"},
                "The parameter cannot be converted to a numeric value: x",
            ),
            (
                "SELECT * FROM t WHERE a < ?",
                {"BOOL": True},
                "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
            ),
            (
                "SELECT * FROM t WHERE a BETWEEN 'x' AND ?",
                {"N": "1"},
                (
                    "The BETWEEN operator requires same data type for lower and upper bounds; "
                    "lower bound operand: AttributeValue: {S:x}, upper bound operand: AttributeValue: {N:1}"
                ),
            ),
            (
                "SELECT * FROM t WHERE begins_with(a, ?)",
                {"N": "1"},
                "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
            ),
            (
                "SELECT * FROM t WHERE attribute_type(a, ?)",
                {"S": "X"},
                "Invalid attribute type name found; type: X, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}",
            ),
            (
                f"UPDATE t SET a = a + ?{BY_KEY}",
                {"S": "1"},
                "Incorrect operand type for operator or function; operator or function: +, operand type: S",
            ),
            (
                f"UPDATE t SET a = set_add(a, ?){BY_KEY}",
                {"S": "1"},
                "The second argument to SET_ADD must be a value with type SET",
            ),
        ],
    )
    def test_values_that_the_statement_cannot_work_with(
        self, text: str, parameter: dict[str, Any], message: str
    ) -> None:
        """They are refused before any item is looked at."""
        with pytest.raises(ServiceError) as caught:
            compile_statement(text).bind([parameter])
        assert (caught.value.type, caught.value.message) == ("ValidationException", message)

    def test_parameters_must_be_a_list(self) -> None:
        """Anything else is not the JSON of this request."""
        with pytest.raises(ServiceError) as caught:
            compile_statement("SELECT * FROM t WHERE a = ?").bind({"S": "x"})
        assert caught.value.type == "SerializationException"

    @given(raw_values)
    def test_any_value_can_be_a_parameter(self, value: dict[str, Any]) -> None:
        """What goes in by an INSERT comes out equal by a SELECT."""
        insert = statement("INSERT INTO t VALUE {'pk': 'a', 'v': ?}", Insert)
        item = insert.item(insert.bind([value]))
        select = statement("SELECT v FROM t WHERE v = ?", Select)
        assert select.matches(item, select.bind([value]))
