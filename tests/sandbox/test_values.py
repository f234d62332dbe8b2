"""Attribute values: canonical form, sizes, order, and what is refused."""

import base64
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.numbers import add, canonical_number, number_order, number_size, subtract
from refire_async.sandbox.values import (
    MAX_NESTING,
    check_nesting,
    compare,
    item_size,
    key_order,
    sorted_set,
    validate_item,
    validate_value,
    value_size,
    values_equal,
)
from tests.sandbox.language_strategies import items, numbers, raw_values, values

OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
DIGITS = "Attempting to store more than 38 significant digits in a Number"
INVALID = "One or more parameter values were invalid: "


def refusal(value: Any) -> tuple[str, str]:
    """Type and message of the error that a value causes."""
    with pytest.raises(ServiceError) as caught:
        validate_value(value)
    return caught.value.type, caught.value.message


class TestNumbers:
    @pytest.mark.parametrize(
        ("written", "returned"),
        [
            ("1E+20", "100000000000000000000"),
            ("1E-3", "0.001"),
            ("-0.0", "0"),
            ("0e125", "0"),
            ("+5", "5"),
            ("00012", "12"),
            ("1.500", "1.5"),
            ("0042.1200", "42.12"),
            (".5", "0.5"),
            ("1.", "1"),
            ("-12.5E1", "-125"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
            ("1234567890123456789012345678901234567800", "1234567890123456789012345678901234567800"),
            ("9.9999999999999999999999999999999999999E+125", "9" * 38 + "0" * 88),
            ("1E-130", "0." + "0" * 129 + "1"),
        ],
    )
    def test_a_number_comes_back_in_plain_notation(self, written: str, returned: str) -> None:
        """What is read back is DynamoDB's text of the number, however it was written."""
        assert canonical_number(written) == returned

    @pytest.mark.parametrize(
        ("written", "message"),
        [
            ("1e126", OVERFLOW),
            ("0e126", OVERFLOW),
            ("-1e99999999999", OVERFLOW),
            ("1e-131", UNDERFLOW),
            ("0e-131", UNDERFLOW),
            ("1e-99999999999", UNDERFLOW),
            ("1" * 39, DIGITS),
            ("1." + "1" * 38, DIGITS),
            *(
                (text, f"The parameter cannot be converted to a numeric value: {text}")
                for text in (
                    "",
                    "abc",
                    " 5",
                    "5 ",
                    "NaN",
                    "Infinity",
                    "0x1",
                    "1_0",
                    "1e",
                    ".",
                    "+",
                    "1.2.3",
                    "\uff11",
                )
            ),
            (
                "1e9223372036854775808",
                "The parameter cannot be converted to a numeric value: 1e9223372036854775808",
            ),
        ],
    )
    def test_what_is_no_number_here_is_refused(self, written: str, message: str) -> None:
        """Range, precision and syntax errors have the service's words."""
        assert refusal({"N": written}) == ("ValidationException", message)

    @given(numbers())
    def test_canonical_text_is_the_same_number_and_stable(self, written: str) -> None:
        """Canonical text denotes what was written and is canonical itself."""
        text = canonical_number(written)
        assert Decimal(text) == Decimal(written)
        assert canonical_number(text) == text
        assert "e" not in text.lower()

    @given(numbers(), numbers())
    def test_equal_numbers_have_equal_texts(self, one: str, two: str) -> None:
        """Texts are equal exactly when numbers are, and their order is that of the numbers."""
        left, right = canonical_number(one), canonical_number(two)
        assert (left == right) == (Decimal(one) == Decimal(two))
        assert (number_order(left) < number_order(right)) == (Decimal(one) < Decimal(two))

    @pytest.mark.parametrize(
        ("written", "size"),
        # Measured on the service, each by an item at the size limit that is taken and one a byte larger that is not.
        [
            ("0", 1),
            ("-0", 1),
            ("1", 2),
            ("12", 2),
            ("123", 3),
            ("1234", 3),
            ("12345678901234567890123456789012345678", 20),
            ("0042", 2),
            ("100", 2),
            ("1010", 3),
            ("0.0000001", 2),
            ("1E125", 2),
            ("1E-100", 2),
            ("1.5", 3),
            ("15", 2),
            ("1.200", 3),
            ("1.234", 4),
            ("3.14159", 5),
            ("123456", 4),
            ("100.5", 4),
            ("0.15", 2),
            ("-42", 3),
        ],
    )
    def test_size_of_a_number(self, written: str, size: int) -> None:
        """A number is sized by its significant digits, whatever its text."""
        assert number_size(canonical_number(written)) == size

    @given(st.integers(-(10**37), 10**37), st.integers(-(10**37), 10**37))
    def test_integer_arithmetic_is_exact(self, left: int, right: int) -> None:
        """Sums and differences of integers that fit are those of Python."""
        assert add(str(left), str(right)) == str(left + right)
        assert subtract(str(left), str(right)) == str(left - right)

    @pytest.mark.parametrize(
        ("left", "right", "total"),
        [("1.1", "0.9", "2"), ("1.5", "-1.5", "0"), ("9" * 38, "1", "1" + "0" * 38), ("0.1", "0.2", "0.3")],
    )
    def test_sums_are_exact_and_canonical(self, left: str, right: str, total: str) -> None:
        """No rounding, no trailing zeros."""
        assert add(left, right) == total

    @pytest.mark.parametrize(
        ("left", "right", "message"),
        [
            ("1" + "0" * 38, "1", DIGITS),
            ("1" + "0" * 125, "0." + "0" * 129 + "1", DIGITS),
            ("9" + "0" * 125, "9" + "0" * 125, OVERFLOW),
        ],
    )
    def test_sums_out_of_range_are_refused(self, left: str, right: str, message: str) -> None:
        """The service does not round a result that has too many digits."""
        with pytest.raises(ServiceError, match=message):
            add(left, right)


class TestValidation:
    @pytest.mark.parametrize(
        "value",
        [
            {"S": ""},
            {"S": "é😀"},
            {"N": "5"},
            {"B": ""},
            {"B": "YQ=="},
            {"BOOL": False},
            {"NULL": True},
            {"L": []},
            {"M": {}},
            {"SS": ["", "a"]},
            {"NS": ["-1", "2"]},
            {"BS": ["", "YQ=="]},
            {"L": [{"M": {"x": {"S": "y"}}}, {"N": "1"}]},
        ],
    )
    def test_a_canonical_value_is_returned_as_it_is(self, value: dict[str, Any]) -> None:
        """Nothing is copied when there is nothing to change."""
        assert validate_value(value) is value
        item = {"a": value}
        assert validate_item(item) is item

    @pytest.mark.parametrize(
        ("given_", "canonical"),
        [
            ({"N": "1.0"}, {"N": "1"}),
            ({"S": "a", "X": 1}, {"S": "a"}),
            ({"S": "a", "N": None}, {"S": "a"}),
            ({"SS": ["b", "a"]}, {"SS": ["a", "b"]}),
            ({"SS": ["é", "z", "a", "A"]}, {"SS": ["A", "a", "z", "é"]}),
            ({"NS": ["10", "9", "1.0"]}, {"NS": ["1", "9", "10"]}),
            ({"BS": ["/w==", "AA=="]}, {"BS": ["AA==", "/w=="]}),
            ({"B": "YR=="}, {"B": "YQ=="}),
            ({"L": [{"N": "01"}, {"S": "x"}]}, {"L": [{"N": "1"}, {"S": "x"}]}),
            ({"M": {"x": {"M": {"y": {"N": "1e1"}}}}}, {"M": {"x": {"M": {"y": {"N": "10"}}}}}),
        ],
    )
    def test_values_become_canonical(self, given_: dict[str, Any], canonical: dict[str, Any]) -> None:
        """Numbers, sets and base64 get one form; unknown members and nulls go. What was given is left alone."""
        before = repr(given_)
        assert validate_value(given_) == canonical
        assert list(validate_value(given_)) == list(canonical)
        assert repr(given_) == before

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ({}, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
            (
                {"X": "a"},
                "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
            ),
            (
                {"S": None},
                "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
            ),
            (
                {"S": "a", "N": "1"},
                (
                    "Supplied AttributeValue has more than one datatypes set, "
                    "must contain exactly one of the supported datatypes"
                ),
            ),
            ({"NULL": False}, f"{INVALID}Null attribute value types must have the value of true"),
            ({"SS": []}, f"{INVALID}An string set  may not be empty"),
            ({"NS": []}, f"{INVALID}An number set  may not be empty"),
            ({"BS": []}, f"{INVALID}Binary sets should not be empty"),
            ({"SS": ["b", "a", "b"]}, f"{INVALID}Input collection [b, a, b] contains duplicates."),
            ({"NS": ["1", "1.0"]}, "Input collection contains duplicates"),
            (
                {"BS": ["YQ==", "YR=="]},
                f"{INVALID}Input collection [YQ==, YQ==]of type BS contains duplicates.",
            ),
            (
                {"L": [{}]},
                "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
            ),
            ({"L": [None]}, "The supplied Item contains a null AttributeValue"),
            ({"M": {"": {"S": "a"}}}, "Empty attribute name"),
        ],
    )
    def test_invalid_values_have_the_services_message(self, value: dict[str, Any], message: str) -> None:
        """ValidationException with the wording that clients match on."""
        assert refusal(value) == ("ValidationException", message)

    @pytest.mark.parametrize(
        "value",
        [
            {"S": 5},
            {"S": ["a"]},
            {"N": 5},
            {"N": {}},
            {"B": 1},
            {"B": "a"},
            {"B": "Y Q=="},
            {"B": "é"},
            {"BOOL": "true"},
            {"BOOL": 1},
            {"SS": "a"},
            {"SS": [1]},
            {"L": {}},
            {"M": []},
            "a",
            [],
            5,
        ],
    )
    def test_wrong_json_types_are_serialization_errors(self, value: Any) -> None:
        """What is not the JSON of an attribute value fails before validation."""
        assert refusal(value)[0] == "SerializationException"

    def test_an_item_must_be_a_map_of_named_values(self) -> None:
        """Items that are not maps, nulls and empty names are refused."""
        for item, type_ in [([], "SerializationException"), ({"a": None}, "ValidationException")]:
            with pytest.raises(ServiceError) as caught:
                validate_item(item)
            assert caught.value.type == type_
        with pytest.raises(ServiceError, match="Empty attribute name"):
            validate_item({"": {"S": "x"}})

    @pytest.mark.parametrize("wrap", [lambda v: {"L": [v]}, lambda v: {"M": {"n": v}}])
    def test_documents_nest_32_levels(self, wrap: Any) -> None:
        """31 maps or lists around a leaf are accepted, 32 are not; empty ones need no room."""
        value = {"S": "leaf"}
        for _ in range(MAX_NESTING - 1):
            value = wrap(value)
        assert validate_value(value) is value
        check_nesting(value, 1)
        with pytest.raises(ServiceError, match="Nesting Levels have exceeded supported limits"):
            check_nesting(value, 2)
        with pytest.raises(ServiceError, match="Nesting Levels have exceeded supported limits"):
            validate_value(wrap(value))

    @given(raw_values)
    def test_validation_is_idempotent(self, value: dict[str, Any]) -> None:
        """A canonical value passes through untouched."""
        canonical = validate_value(value)
        assert validate_value(canonical) is canonical


class TestEqualityAndOrder:
    def test_sets_and_maps_have_no_order_but_lists_do(self) -> None:
        """Equality of canonical values is DynamoDB's."""
        assert values_equal(validate_value({"SS": ["a", "b"]}), validate_value({"SS": ["b", "a"]}))
        assert values_equal(
            {"M": {"x": {"N": "1"}, "y": {"N": "2"}}}, {"M": {"y": {"N": "2"}, "x": {"N": "1"}}}
        )
        assert not values_equal({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]})
        assert not values_equal({"S": "1"}, {"N": "1"})

    @given(st.text(), st.text())
    def test_strings_sort_by_their_utf8_bytes(self, one: str, two: str) -> None:
        """The order of code points is the order of UTF-8 bytes."""
        assert (key_order({"S": one}) < key_order({"S": two})) == (one.encode() < two.encode())

    @given(st.binary(), st.binary())
    def test_binaries_sort_by_their_bytes(self, one: bytes, two: bytes) -> None:
        """Not by their base64 text."""
        left, right = ({"B": base64.b64encode(raw).decode()} for raw in (one, two))
        assert (key_order(left) < key_order(right)) == (one < two)
        assert compare(left, right) == (one > two) - (one < two)

    @given(values, values)
    def test_only_scalars_of_one_type_are_ordered(self, one: dict[str, Any], two: dict[str, Any]) -> None:
        """Everything else compares as None, and the order is antisymmetric."""
        order = compare(one, two)
        same_type = list(one) == list(two)
        assert (order is not None) == (same_type and next(iter(one)) in {"S", "N", "B"})
        if order is not None:
            assert compare(two, one) == -order
            assert (order == 0) == values_equal(one, two)

    @given(st.sets(st.binary(max_size=3), min_size=1))
    def test_sorted_set_is_canonical(self, members: set[bytes]) -> None:
        """What updates build from sets is in canonical order."""
        encoded = {base64.b64encode(member).decode() for member in members}
        value = {"BS": sorted_set("BS", encoded)}
        assert validate_value(value) is value


class TestSizes:
    @pytest.mark.parametrize(
        ("value", "size"),
        [
            ({"S": ""}, 0),
            ({"S": "é"}, 2),
            ({"S": "😀"}, 4),
            ({"N": "100"}, 2),
            ({"B": ""}, 0),
            ({"B": "YQ=="}, 1),
            ({"B": "YWI="}, 2),
            ({"B": "YWJj"}, 3),
            ({"BOOL": True}, 1),
            ({"NULL": True}, 1),
            ({"SS": ["a", "éé"]}, 5),
            ({"NS": ["1", "-42"]}, 5),
            ({"BS": ["YQ==", "YWJj"]}, 4),
            ({"L": []}, 3),
            ({"L": [{"S": "ab"}, {"NULL": True}]}, 3 + 2 + 2 + 1),
            ({"M": {}}, 3),
            ({"M": {"né": {"S": "ab"}}}, 3 + 1 + 3 + 2),
            ({"M": {"l": {"L": [{"N": "1"}]}}}, 3 + 1 + 1 + (3 + 1 + 2)),
        ],
    )
    def test_size_of_a_value(self, value: dict[str, Any], size: int) -> None:
        """Bytes as the Developer Guide counts them."""
        assert value_size(value) == size

    @given(items)
    def test_size_of_an_item_is_names_plus_values(self, item: dict[str, Any]) -> None:
        """An item is the sum of its attributes."""
        assert item_size(item) == sum(len(name.encode()) + value_size(value) for name, value in item.items())
