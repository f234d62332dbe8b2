"""Projection and key-condition expressions, and the names and values of a whole request."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.expressions import (
    KeyCondition,
    Placeholders,
    compile_condition,
    compile_key_condition,
    compile_projection,
    compile_update,
    project_on,
)
from refire_async.sandbox.values import validate_item
from tests.sandbox.language_strategies import error_type, items

ITEM = validate_item(
    {
        "pk": {"S": "a"},
        "s": {"S": "hello"},
        "l": {
            "L": [
                {"S": "a"},
                {"N": "1"},
                {"M": {"x": {"S": "y"}, "y": {"N": "2"}}},
                {"L": [{"S": "p"}, {"S": "q"}]},
            ]
        },
        "m": {"M": {"x": {"S": "y"}, "z": {"N": "3"}, "l": {"L": [{"S": "1"}, {"S": "2"}]}}},
    }
)


class TestProjection:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("s", {"s": {"S": "hello"}}),
            ("q", {}),
            ("s, q, pk", {"s": {"S": "hello"}, "pk": {"S": "a"}}),
            ("m.x", {"m": {"M": {"x": {"S": "y"}}}}),
            ("m.x, m.z", {"m": {"M": {"x": {"S": "y"}, "z": {"N": "3"}}}}),
            ("m.q", {}),
            ("m.x.y", {}),
            ("s[0]", {}),
            ("m.l[1]", {"m": {"M": {"l": {"L": [{"S": "2"}]}}}}),
            ("l[2], l[0]", {"l": {"L": [{"S": "a"}, ITEM["l"]["L"][2]]}}),
            ("l[9]", {}),
            ("l[2].y, l[0], l[2].x", {"l": {"L": [{"S": "a"}, {"M": {"y": {"N": "2"}, "x": {"S": "y"}}}]}}),
            ("l[3][1]", {"l": {"L": [{"L": [{"S": "q"}]}]}}),
            (
                "m.x,\n m . l [ 0 ], s",
                {"m": {"M": {"x": {"S": "y"}, "l": {"L": [{"S": "1"}]}}}, "s": {"S": "hello"}},
            ),
        ],
    )
    def test_what_a_projection_selects(self, text: str, found: dict[str, Any]) -> None:
        """Parts stay in their maps and lists; elements of a list close ranks in its order."""
        projection = compile_projection(text, Placeholders())
        assert projection.apply(ITEM) == found
        assert projection.attributes >= found.keys()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "The expression can not be empty;"),
            ("s,", 'Syntax error; token: "<EOF>", near: ","'),
            ("s n", 'Syntax error; token: "n", near: "s n"'),
            (":a", 'Syntax error; token: ":a", near: ":a"'),
            ("(s)", 'Syntax error; token: "(", near: "(s"'),
            ("size(s)", 'Syntax error; token: "(", near: "size(s"'),
            ("s.", 'Syntax error; token: "<EOF>", near: "."'),
            ("s[1.5]", 'Syntax error; token: ".", near: "1.5"'),
            ("abort", "Attribute name is a reserved keyword; reserved keyword: abort"),
            (
                "#a, s",
                (
                    "Two document paths overlap with each other; must remove or rewrite one of these paths; "
                    "path one: [s], path two: [s]"
                ),
            ),
            (
                "m, m.x",
                (
                    "Two document paths overlap with each other; must remove or rewrite one of these paths; "
                    "path one: [m], path two: [m, x]"
                ),
            ),
            (
                "l[0].x, l[0][0]",
                (
                    "Two document paths conflict with each other; must remove or rewrite one of these paths; "
                    "path one: [l, [0], x], path two: [l, [0], [0]]"
                ),
            ),
        ],
    )
    def test_refused_projections_have_the_services_message(self, text: str, message: str) -> None:
        """Before any item is read."""
        with pytest.raises(ServiceError) as caught:
            compile_projection(text, Placeholders({"#a": "s"}))
        assert caught.value.message == f"Invalid ProjectionExpression: {message}"

    @given(items, st.sets(st.sampled_from("abcd"), min_size=1))
    def test_whole_attributes_are_shared(self, item: dict[str, Any], names: set[str]) -> None:
        """Projecting on whole attributes picks them, as they are."""
        found = project_on([(name,) for name in names]).apply(item)
        assert found == {name: value for name, value in item.items() if name in names}
        assert all(found[name] is item[name] for name in found)

    @given(st.text(st.sampled_from("asl()[]=#.,0 "), max_size=20) | st.text(max_size=20))
    def test_any_text_is_compiled_or_refused(self, text: str) -> None:
        """No text, however odd, makes the compiler fail in another way."""
        outcome = error_type(lambda: compile_projection(text, Placeholders()).apply(ITEM))
        assert outcome in {None, "ValidationException"}


VALUES: dict[str, dict[str, Any]] = {
    ":a": {"S": "a"},
    ":b": {"S": "b"},
    ":c": {"S": "c"},
    ":1": {"N": "1"},
    ":true": {"BOOL": True},
    ":list": {"L": []},
    ":empty": {"S": ""},
}


def key_condition(text: str, *, range_name: str | None = "sk") -> KeyCondition:
    """A checked key condition for a key of two strings."""
    used = {key: VALUES[key] for key in re.findall(r":\w+", text) if key in VALUES}
    placeholders = Placeholders({"#p": "pk"} if "#p" in text else None, used or None)
    range_names = () if range_name is None else (range_name,)
    condition = compile_key_condition(text, placeholders, ("pk",), range_names)
    placeholders.check_all_used()
    condition.check_types(dict.fromkeys(("pk", *range_names), "S"))
    return condition


class TestKeyCondition:
    @pytest.mark.parametrize(
        ("text", "operator", "operands", "matching"),
        [
            ("pk = :a", None, (), "abc"),
            (":a = pk", None, (), "abc"),
            ("(pk = (:a))", None, (), "abc"),
            ("#p = :a AND sk = :b", "=", ("b",), "b"),
            ("sk = :b and pk = :a", "=", ("b",), "b"),
            ("(pk = :a) AND (sk < :b)", "<", ("b",), "a"),
            ("(pk = :a AND sk <= :b)", "<=", ("b",), "ab"),
            ("pk = :a AND sk > :b", ">", ("b",), "c"),
            ("pk = :a AND sk >= :b", ">=", ("b",), "bc"),
            ("pk = :a AND :b < sk", ">", ("b",), "c"),
            ("pk = :a AND :b >= sk", "<=", ("b",), "ab"),
            ("pk = :a AND sk BETWEEN :b AND :c", "BETWEEN", ("b", "c"), "bc"),
            ("begins_with(sk, :b) AND pk = :a", "begins_with", ("b",), "b"),
        ],
    )
    def test_which_range_keys_match(
        self, text: str, operator: str | None, operands: tuple[str, ...], matching: str
    ) -> None:
        """Operand first or attribute first, in any order, with parentheses."""
        condition = key_condition(text)
        assert condition.hashes == {"pk": {"S": "a"}}
        assert condition.range_operator == operator
        assert condition.range_values == tuple({"S": operand} for operand in operands)
        assert "".join(letter for letter in "abc" if condition.range_matches({"S": letter})) == matching

    def test_begins_with_matches_longer_keys(self) -> None:
        """A prefix, not the whole."""
        condition = key_condition("pk = :a AND begins_with(sk, :b)")
        assert condition.range_matches({"S": "bee"})
        assert not condition.range_matches({"S": "abe"})

    SCHEMA = "One or more parameter values were invalid: Condition parameter type does not match schema type"
    ONCE = "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key"
    NESTED = (
        "Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes"
    )
    OPERAND = (
        "Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
        "operator or function: {}, operand type: {}"
    )
    EMPTY = (
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain "
        "an empty string value. Key: {}"
    )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "Invalid KeyConditionExpression: The expression can not be empty;"),
            ("pk", 'Invalid KeyConditionExpression: Syntax error; token: "<EOF>", near: "pk"'),
            ("((pk = :a))", "Invalid KeyConditionExpression: The expression has redundant parentheses;"),
            ("sk = :b", "Query condition missed key schema element: pk"),
            ("s = :a", "Query condition missed key schema element: pk"),
            ("pk = :a AND s = :b", "Query condition missed key schema element: sk"),
            ("pk > :a", "Query key condition not supported"),
            ("begins_with(pk, :a)", "Query key condition not supported"),
            ("pk <> :a", "Invalid operator used in KeyConditionExpression: <>"),
            ("pk = :a OR sk = :b", "Invalid operator used in KeyConditionExpression: OR"),
            ("NOT pk = :a", "Invalid operator used in KeyConditionExpression: NOT"),
            ("pk IN (:a)", "Invalid operator used in KeyConditionExpression: IN"),
            (
                "pk = :a AND attribute_exists(sk)",
                "Invalid operator used in KeyConditionExpression: attribute_exists",
            ),
            ("pk = :a AND contains(sk, :b)", "Invalid operator used in KeyConditionExpression: contains"),
            ("pk = :a AND pk = :b", ONCE),
            ("pk = :a AND sk > :a AND sk < :c", ONCE),
            ("pk = :a AND #p = :a", ONCE),
            (
                "pk = :a AND sk = :b AND s = :c",
                (
                    "The number of query conditions (3) exceeds the number of key attributes "
                    "defined in the schema (2)"
                ),
            ),
            ("pk.x = :a", NESTED),
            ("pk = :a AND sk[0] = :b", NESTED),
            (
                "pk = sk",
                "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
            ),
            (":a = :b", "Invalid condition in KeyConditionExpression: No key attribute specified"),
            (
                "pk = :a AND begins_with(:b, sk)",
                (
                    "Invalid condition in KeyConditionExpression: begins_with operator must have the key "
                    "attribute as its first operand"
                ),
            ),
            ("pk = :a AND size(sk) = :1", "KeyConditionExpressions cannot contain nested operations"),
            ("pk = :1", SCHEMA),
            ("pk = :true", SCHEMA),
            ("pk = :a AND sk < :1", SCHEMA),
            ("pk = :a AND begins_with(sk, :1)", OPERAND.format("begins_with", "N")),
            ("pk = :a AND :list >= sk", OPERAND.format(">=", "L")),
            ("pk = :a AND sk BETWEEN :true AND :true", OPERAND.format("BETWEEN", "BOOL")),
            ("pk = :empty", EMPTY.format("pk")),
            ("pk = :a AND sk > :empty", EMPTY.format("sk")),
            (
                "pk = :nope",
                (
                    "Invalid KeyConditionExpression: An expression attribute value used in expression is not "
                    "defined; attribute value: :nope"
                ),
            ),
        ],
    )
    def test_refused_key_conditions_have_the_services_message(self, text: str, message: str) -> None:
        """Expression errors first, the table's schema last."""
        with pytest.raises(ServiceError) as caught:
            key_condition(text)
        assert (caught.value.type, caught.value.message) == ("ValidationException", message)

    def test_a_hash_only_key_has_no_range_condition(self) -> None:
        """A second condition has no key attribute to go to."""
        assert key_condition("pk = :a", range_name=None).range_operator is None
        with pytest.raises(ServiceError, match="Query key condition not supported"):
            key_condition("pk = :a AND sk = :b", range_name=None)

    def test_numbers_and_binaries_compare_as_keys_do(self) -> None:
        """Numerically, and by bytes."""
        placeholders = Placeholders(None, {":p": {"S": "a"}, ":n": {"N": "9"}, ":b": {"B": "gA=="}})
        numbers = compile_key_condition("pk = :p AND sk > :n", placeholders, ("pk",), ("sk",))
        assert numbers.range_matches({"N": "10"})
        assert not numbers.range_matches({"N": "-10"})
        binaries = compile_key_condition("pk = :p AND sk >= :b", placeholders, ("pk",), ("sk",))
        assert binaries.range_matches({"B": "/w=="})
        assert not binaries.range_matches({"B": "fw=="})


class TestPlaceholders:
    @pytest.mark.parametrize(
        ("names", "values", "message"),
        [
            ({}, None, "ExpressionAttributeNames must not be empty"),
            ({"a": "s"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"'),
            ({"#": "s"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#"'),
            ({"#a-b": "s"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#a-b"'),
            (
                {"#a": ""},
                None,
                "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a",
            ),
            (None, {}, "ExpressionAttributeValues must not be empty"),
            (
                None,
                {"a": {"S": "x"}},
                'ExpressionAttributeValues contains invalid key: Syntax error; key: "a"',
            ),
            (
                None,
                {":a": {}},
                (
                    "ExpressionAttributeValues contains invalid value: Supplied AttributeValue is empty, "
                    "must contain exactly one of the supported datatypes for key :a"
                ),
            ),
            (
                None,
                {":a": {"N": "x"}},
                (
                    "ExpressionAttributeValues contains invalid value: "
                    "The parameter cannot be converted to a numeric value: x for key :a"
                ),
            ),
        ],
    )
    def test_malformed_names_and_values_are_refused(self, names: Any, values: Any, message: str) -> None:
        """With the member, the key and the reason."""
        with pytest.raises(ServiceError) as caught:
            Placeholders(names, values)
        assert (caught.value.type, caught.value.message) == ("ValidationException", message)

    def test_a_value_of_the_wrong_json_type_stays_a_serialization_error(self) -> None:
        """The JSON layer has no wrapper around its errors."""
        assert error_type(lambda: Placeholders(None, {":a": {"S": 5}})) == "SerializationException"

    def test_what_no_expression_uses_is_refused(self) -> None:
        """Across all the expressions of a request, with the keys in order."""
        placeholders = Placeholders(
            {"#a": "s", "#b": "t"}, {":a": {"S": "x"}, ":c": {"N": "1"}, ":b": {"N": "1"}}
        )
        compile_update("SET #a = :a", placeholders, ("pk",))
        with pytest.raises(ServiceError) as caught:
            placeholders.check_all_used()
        assert (
            caught.value.message
            == "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}"
        )
        compile_condition("attribute_exists(#b)", placeholders)
        with pytest.raises(ServiceError) as caught:
            placeholders.check_all_used()
        assert (
            caught.value.message
            == "Value provided in ExpressionAttributeValues unused in expressions: keys: {:b, :c}"
        )
        compile_condition("x IN (:b, :c)", placeholders)
        placeholders.check_all_used()

    def test_without_any_expression_they_make_no_sense(self) -> None:
        """A wording of its own for requests that have names or values but no expression."""
        placeholders = Placeholders({"#a": "s"}, {":a": {"S": "x"}})
        with pytest.raises(ServiceError) as caught:
            placeholders.check_all_used(expressions=False)
        assert caught.value.message == "ExpressionAttributeNames can only be specified when using expressions"

    def test_values_become_canonical(self) -> None:
        """A number written with an exponent equals the stored one."""
        placeholders = Placeholders(None, {":n": {"N": "1E1"}})
        assert compile_condition("n = :n", placeholders).matches({"n": {"N": "10"}})
