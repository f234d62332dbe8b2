"""PartiQL statements that write: what each does to an item, how it finds its key, what it returns."""

import copy
from typing import Any

import pytest

from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.partiql import Delete, Insert, Update, compile_statement
from tests.sandbox.partiql_item import BY_KEY, ITEM, KEY, L, statement


def changed(actions: str, parameters: list[Any] | None = None) -> dict[str, Any]:
    """What an UPDATE makes of ITEM: the attributes that differ, None for those that are gone."""
    before = copy.deepcopy(ITEM)
    update = statement(f'UPDATE "t" {actions}{BY_KEY}', Update)
    bound = update.bind(parameters)
    assert update.key(bound, KEY) == {"pk": {"S": "a"}, "sk": {"S": "b"}}
    assert update.condition_holds(ITEM, bound)
    after = update.apply(ITEM, bound)
    assert before == ITEM
    names = ITEM.keys() | after.keys()
    return {name: after.get(name) for name in names if ITEM.get(name) != after.get(name)}


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("SET a = 1", {"a": {"N": "1"}}),
    ("set a = 'it''s'", {"a": {"S": "it's"}}),
    ("SET a = 1 SET b2 = 2 REMOVE s REMOVE n", {"a": {"N": "1"}, "b2": {"N": "2"}, "s": None, "n": None}),
    ("SET a = 1, b2 = 2", {"a": {"N": "1"}, "b2": {"N": "2"}}),
    ("REMOVE s SET a = 1", {"s": None, "a": {"N": "1"}}),
    ("REMOVE q", {}),
    ("REMOVE l[0]", {"l": {"L": L[1:]}}),
    ("REMOVE m.x", {"m": {"M": {"z": {"N": "3"}, "l": ITEM["m"]["M"]["l"]}}}),
    ("SET m.x = 'q'", {"m": {"M": {**ITEM["m"]["M"], "x": {"S": "q"}}}}),
    ("SET m['new'] = 1", {"m": {"M": {**ITEM["m"]["M"], "new": {"N": "1"}}}}),
    ('SET m."new" = 1', {"m": {"M": {**ITEM["m"]["M"], "new": {"N": "1"}}}}),
    ("SET l[0] = 9", {"l": {"L": [{"N": "9"}, *L[1:]]}}),
    ("SET l[9] = 9", {"l": {"L": [*L, {"N": "9"}]}}),
    ("SET n = n + 1", {"n": {"N": "6"}}),
    ("SET n = n - 1", {"n": {"N": "4"}}),
    ("SET n = 1 + n", {"n": {"N": "6"}}),
    ("SET n = n+1+1", {"n": {"N": "7"}}),
    ("SET n = 9 - 2 - 1", {"n": {"N": "6"}}),
    ("SET n = 9 - (2 - 1)", {"n": {"N": "8"}}),
    ("SET a = l[1] + m.z", {"a": {"N": "4"}}),
    ("SET a = s SET s = 'x'", {"a": {"S": "hello"}, "s": {"S": "x"}}),
    ('SET a = "s"', {"a": {"S": "hello"}}),
    ("SET a = m.x", {"a": {"S": "y"}}),
    ("SET a = [1, 'x', true, null]", {"a": {"L": [{"N": "1"}, {"S": "x"}, {"BOOL": True}, {"NULL": True}]}}),
    ("SET a = (1, 2)", {"a": {"L": [{"N": "1"}, {"N": "2"}]}}),
    ("SET a = {'x': 1, 'y': {'z': []}}", {"a": {"M": {"x": {"N": "1"}, "y": {"M": {"z": {"L": []}}}}}}),
    ("SET a = <<2, 1.0>>", {"a": {"NS": ["1", "2"]}}),
    ("SET a = <<'b', 'a'>>", {"a": {"SS": ["a", "b"]}}),
    (
        "SET a = 1e3 SET b2 = 1.50 SET c = -.5e1 SET d = - 0",
        {
            "a": {"N": "1000"},
            "b2": {"N": "1.5"},
            "c": {"N": "-5"},
            "d": {"N": "0"},
        },
    ),
    ("SET a = list_append(l, [1])", {"a": {"L": [*L, {"N": "1"}]}}),
    ("SET l = LIST_APPEND(['z'], l)", {"l": {"L": [{"S": "z"}, *L]}}),
    (
        "SET a = list_append(list_append(m.l, [1]), [2])",
        {
            "a": {"L": [{"S": "1"}, {"S": "2"}, {"N": "1"}, {"N": "2"}]},
        },
    ),
    ("SET ss = set_add(ss, <<'x', 'a'>>)", {"ss": {"SS": ["a", "b", "x"]}}),
    (
        "SET ns = SET_ADD(ns, <<9>>) SET q = set_add(q, <<'x'>>)",
        {"ns": {"NS": ["1", "2", "9"]}, "q": {"SS": ["x"]}},
    ),
    ("SET ss = set_delete(ss, <<'a', 'zz'>>)", {"ss": {"SS": ["b"]}}),
    ("SET ss = set_delete(ss, <<'a', 'b'>>) SET q = set_delete(q, <<1>>)", {"ss": None}),
    (
        'SET "a b" = 1 SET "a""b" = 2 SET "value" = 3 SET "é" = 4',
        {
            "a b": {"N": "1"},
            'a"b': {"N": "2"},
            "value": {"N": "3"},
            "é": {"N": "4"},
        },
    ),
    (
        "SET data = 1 SET name = 2 SET status = 3 SET Revision = 4",
        {
            "data": {"N": "1"},
            "name": {"N": "2"},
            "status": {"N": "3"},
            "Revision": {"N": "4"},
        },
    ),
]


@pytest.mark.parametrize(("actions", "difference"), CHANGES)
def test_what_an_update_changes(actions: str, difference: dict[str, Any]) -> None:
    """The difference to the item as it was, and nothing else."""
    assert changed(actions) == difference


@pytest.mark.parametrize(
    ("actions", "parameters", "difference"),
    [
        ("SET a = ?", [{"N": "01"}], {"a": {"N": "1"}}),
        (
            "SET n = n + ? SET m.x = ?",
            [{"N": "2"}, {"NULL": True}],
            {
                "n": {"N": "7"},
                "m": {"M": {**ITEM["m"]["M"], "x": {"NULL": True}}},
            },
        ),
        ("SET ss = set_add(ss, ?)", [{"SS": ["d", "c"]}], {"ss": {"SS": ["a", "b", "c", "d"]}}),
        ("SET l = list_append(?, l)", [{"L": [{"BOOL": True}]}], {"l": {"L": [{"BOOL": True}, *L]}}),
    ],
)
def test_parameters_stand_for_values(actions: str, parameters: list[Any], difference: dict[str, Any]) -> None:
    """They become canonical when they are bound."""
    assert changed(actions, parameters) == difference


def test_one_statement_serves_many_parameter_lists() -> None:
    """The touch that the program sends: key and condition from parameters, compiled once."""
    text = 'UPDATE "t" SET "revision"=? WHERE "pk"=? AND "sk"=? AND "revision"=?'
    update = statement(text, Update)
    assert compile_statement(text) is update
    assert update.table == "t"
    for revision in range(5):
        item = {
            "pk": {"S": "p"},
            "sk": {"N": str(revision)},
            "revision": {"N": str(revision)},
            "x": {"S": "kept"},
        }
        parameters = update.bind([{"N": str(revision + 1)}, item["pk"], item["sk"], {"N": f"{revision}.0"}])
        assert update.key(parameters, KEY) == {"pk": item["pk"], "sk": item["sk"]}
        assert list(update.key(parameters, KEY)) == ["pk", "sk"]
        assert update.condition_holds(item, parameters)
        after = update.apply(item, parameters)
        assert after == {**item, "revision": {"N": str(revision + 1)}}
        assert after["x"] is item["x"]
        assert not update.condition_holds(after, parameters)
        assert not update.condition_holds({"pk": item["pk"], "sk": item["sk"]}, parameters)


def test_the_touch_of_an_item_without_revision() -> None:
    """IS MISSING holds until the attribute is there, be it null."""
    update = statement('UPDATE "t" SET "revision"=? WHERE "pk"=? AND "revision" IS MISSING', Update)
    parameters = update.bind([{"N": "1"}, {"S": "p"}])
    assert update.key(parameters, ("pk",)) == {"pk": {"S": "p"}}
    item = {"pk": {"S": "p"}}
    assert update.condition_holds(item, parameters)
    assert update.apply(item, parameters) == {"pk": {"S": "p"}, "revision": {"N": "1"}}
    assert not update.condition_holds({"pk": {"S": "p"}, "revision": {"NULL": True}}, parameters)


MISSING = "The provided expression refers to an attribute that does not exist in the item"
STORED_TYPE = "An operand in the update expression has an incorrect data type"
BAD_PATH = "The document path provided in the update expression is invalid for update"


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ("SET r = r + 1", MISSING),
        ("SET a = q", MISSING),
        ("SET l = list_append(q, [1])", MISSING),
        ("SET n = s + 1", STORED_TYPE),
        ("SET ss = set_add(ss, <<1>>)", STORED_TYPE),
        ("SET s = set_delete(s, <<'x'>>)", STORED_TYPE),
        ("SET q.w = 1", BAD_PATH),
        ("SET s.w = 1", BAD_PATH),
        ("REMOVE q.w", BAD_PATH),
    ],
)
def test_updates_that_do_not_fit_the_item(actions: str, message: str) -> None:
    """ValidationException, and the item is left alone."""
    update = statement(f"UPDATE t {actions}{BY_KEY}", Update)
    before = copy.deepcopy(ITEM)
    with pytest.raises(ServiceError) as caught:
        update.apply(ITEM, update.bind(None))
    assert (caught.value.type, caught.value.message) == ("ValidationException", message)
    assert before == ITEM


class TestKeys:
    @pytest.mark.parametrize(
        "where",
        [
            "pk = 'a' AND sk = 'b'",
            "sk = 'b' AND 'a' = pk",
            "(pk = 'a' AND (sk = 'b'))",
            "pk = 'a' AND (sk = 'b' AND (s = 'x' OR n = 5))",
            "pk = 'a' AND sk = 'b' AND pk = 'a'",
            "pk = 'a' AND sk = 'b' AND sk > 'a' AND begins_with(sk, 'b')",
            "pk = 'a' AND sk = 'b' AND NOT pk = 'z'",
            "\"pk\" = 'a' AND \"sk\" = 'b'",
        ],
    )
    def test_where_pins_the_key_by_equality(self, where: str) -> None:
        """In any order, in parentheses, along with other conditions."""
        for text in (f"UPDATE t SET a = 1 WHERE {where}", f"DELETE FROM t WHERE {where}"):
            compiled = compile_statement(text)
            assert isinstance(compiled, Update | Delete)
            assert compiled.key([], KEY) == {"pk": {"S": "a"}, "sk": {"S": "b"}}
            assert compiled.condition_holds(ITEM, []) is True

    @pytest.mark.parametrize(
        "where",
        [
            "",
            " WHERE pk = 'a'",
            " WHERE sk = 'b'",
            " WHERE s = 'x'",
            " WHERE pk = 'a' AND sk > 'a'",
            " WHERE pk = 'a' OR sk = 'b'",
            " WHERE pk = 'a' AND sk = 'b' OR n = 5",
            " WHERE pk = 'a' AND NOT sk = 'b'",
            " WHERE NOT NOT pk = 'a' AND sk = 'b'",
            " WHERE pk IN ('a') AND sk = 'b'",
            " WHERE pk = s AND sk = 'b'",
            " WHERE pk.x = 'a' AND sk = 'b'",
        ],
    )
    def test_anything_less_is_refused(self, where: str) -> None:
        """A write is a write of one item."""
        for text in (f"UPDATE t SET a = 1{where}", f"DELETE FROM t{where}"):
            compiled = compile_statement(text)
            with pytest.raises(ServiceError) as caught:
                compiled.key(compiled.bind(None), KEY)
            assert caught.value.message == (
                "Where clause does not contain a mandatory equality on all key attributes"
            )

    def test_two_different_values_for_one_key_are_refused(self) -> None:
        """Even when they come from parameters."""
        delete = statement("DELETE FROM t WHERE pk = ? AND sk = 'b' AND pk = ?", Delete)
        assert delete.key(delete.bind([{"N": "1"}, {"N": "1.0"}]), KEY)["pk"] == {"N": "1"}
        with pytest.raises(ServiceError, match="Multiple conditions on same key pk"):
            delete.key(delete.bind([{"S": "x"}, {"S": "y"}]), KEY)

    @pytest.mark.parametrize("actions", ["SET pk = 'x'", "REMOVE sk", "SET a = 1 SET pk.x = 2"])
    def test_a_key_cannot_be_changed(self, actions: str) -> None:
        """Which attributes are key attributes is known from the table."""
        update = statement(f"UPDATE t {actions}{BY_KEY}", Update)
        with pytest.raises(
            ServiceError, match=r"Cannot update attribute (pk|sk)\. This attribute is part of the key"
        ):
            update.key([], KEY)

    def test_a_delete_without_an_item_looks_at_the_key_alone(self) -> None:
        """It succeeds unless its condition needs the item to be there."""
        key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
        for condition, holds in [
            ("", True),
            (" AND q IS MISSING", True),
            (" AND n <> 5", True),
            (" AND n = 5", False),
        ]:
            delete = statement(f"DELETE FROM t{BY_KEY}{condition}", Delete)
            assert delete.condition_holds(key, []) is holds


class TestReturning:
    @pytest.mark.parametrize(
        ("clause", "returned"),
        [
            ("", []),
            (" RETURNING ALL OLD *", [ITEM]),
            (
                " RETURNING MODIFIED OLD *",
                [{"n": {"N": "5"}, "m": {"M": {"x": {"S": "y"}}}, "s": {"S": "hello"}}],
            ),
            (" returning modified new *", [{"n": {"N": "6"}, "m": {"M": {"x": {"S": "z"}}}}]),
        ],
    )
    def test_what_an_update_returns(self, clause: str, returned: list[Any]) -> None:
        """Whole items, or just the parts that were changed."""
        update = statement(f"UPDATE t SET n = n + 1 SET m.x = 'z' REMOVE s{BY_KEY}{clause}", Update)
        after = update.apply(ITEM, [])
        assert update.returned(ITEM, after) == returned

    def test_all_new_is_the_item_as_it_is(self) -> None:
        """The whole changed item."""
        update = statement(f"UPDATE t SET n = 1{BY_KEY} RETURNING ALL NEW *", Update)
        assert update.returning == "ALL NEW"
        assert update.returned(ITEM, update.apply(ITEM, [])) == [{**ITEM, "n": {"N": "1"}}]

    def test_nothing_modified_returns_no_item(self) -> None:
        """An empty list rather than an empty item."""
        update = statement(f"UPDATE t REMOVE s{BY_KEY} RETURNING MODIFIED NEW *", Update)
        assert update.returned(ITEM, update.apply(ITEM, [])) == []

    def test_elements_of_lists_close_ranks(self) -> None:
        """Changed elements come back as a dense list in the order of the list."""
        update = statement(f"UPDATE t SET l[2] = 2 SET l[0] = 0{BY_KEY} RETURNING MODIFIED NEW *", Update)
        assert update.returned(ITEM, update.apply(ITEM, [])) == [{"l": {"L": [{"N": "0"}, {"N": "2"}]}}]

    def test_a_delete_returns_the_deleted_item(self) -> None:
        """Only with RETURNING ALL OLD, and only if there was one."""
        delete = statement(f"DELETE FROM t{BY_KEY} RETURNING ALL OLD *", Delete)
        assert delete.returned(ITEM) == [ITEM]
        assert delete.returned(None) == []
        assert statement(f"DELETE FROM t{BY_KEY}", Delete).returned(ITEM) == []

    @pytest.mark.parametrize("returning", ["MODIFIED OLD", "ALL NEW", "MODIFIED NEW"])
    def test_a_delete_returns_nothing_else(self, returning: str) -> None:
        """The service's words for the other three."""
        with pytest.raises(ServiceError) as caught:
            compile_statement(f"DELETE FROM t{BY_KEY} RETURNING {returning} *")
        assert caught.value.message == (
            f"Invalid returning clause: RETURNING {returning} *. "
            "Only RETURNING ALL OLD * is allowed in DELETE statements."
        )


def test_from_first_is_another_way_to_write_an_update() -> None:
    """The clauses the other way round."""
    update = statement(f"from t{BY_KEY} AND n = 5 set a = 1 REMOVE s RETURNING ALL NEW *", Update)
    assert update.key([], KEY) == {"pk": {"S": "a"}, "sk": {"S": "b"}}
    assert update.condition_holds(ITEM, [])
    assert update.apply(ITEM, []) == {**{k: v for k, v in ITEM.items() if k != "s"}, "a": {"N": "1"}}


class TestInsert:
    def test_the_item_of_an_insert(self) -> None:
        """Literals and parameters, canonical."""
        insert = statement(
            "INSERT INTO \"t\" VALUE {'pk': ?, 'n': -1e1, 'l': [1, {'s': <<'b', 'a'>>}], 'x': ?}", Insert
        )
        assert insert.table == "t"
        assert insert.item(insert.bind([{"S": "a"}, {"N": "1.0"}])) == {
            "pk": {"S": "a"},
            "n": {"N": "-10"},
            "l": {"L": [{"N": "1"}, {"M": {"s": {"SS": ["a", "b"]}}}]},
            "x": {"N": "1"},
        }

    def test_an_empty_item_is_for_the_server_to_refuse(self) -> None:
        """The language does not know the key."""
        assert statement("INSERT INTO t VALUE {}", Insert).item([]) == {}
