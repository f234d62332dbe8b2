"""Items, values and numbers for property tests of the sandbox's languages."""

import base64
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from refire_async.sandbox.errors import ServiceError
from refire_async.sandbox.values import validate_item, validate_value

TYPE_NAMES = [{"S": name} for name in ("S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL", "X")]
NAMES = ("a", "b", "c", "d")
"""Attribute names that items and expressions draw from, few enough to meet often."""

texts = st.text(st.sampled_from("abé😀 ") | st.characters(exclude_categories=["Cs"]), max_size=4)
binaries = st.binary(max_size=4).map(lambda raw: base64.b64encode(raw).decode())


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """Number texts that DynamoDB takes, written in all sorts of ways."""
    digits = draw(st.integers(0, 10 ** draw(st.sampled_from([1, 2, 5, 20, 38])) - 1))
    exponent = draw(st.sampled_from([0, 0, 0, -1, -2, 3, -38, 80, -130]))
    number = Decimal(digits).scaleb(exponent)
    if number and not -130 <= number.adjusted() <= 125:
        number = Decimal(digits)
    if not number:
        number = Decimal(0)
    form = draw(st.sampled_from(["plain", "science", "padded"]))
    text = f"{number:f}" if form != "science" else f"{number:e}"
    if form == "padded":
        text = "00" + text + ("00" if "." in text else "")
    return draw(st.sampled_from(["", "-", "+"])) + text


small_numbers = st.integers(-3, 9).map(str)
scalars = st.one_of(
    st.builds(lambda s: {"S": s}, texts),
    st.builds(lambda n: {"N": n}, small_numbers | numbers()),
    st.builds(lambda b: {"B": b}, binaries),
    st.sampled_from([{"BOOL": True}, {"BOOL": False}, {"NULL": True}]),
)
sets = st.one_of(
    st.builds(lambda s: {"SS": s}, st.lists(texts, min_size=1, max_size=3, unique=True)),
    st.builds(lambda n: {"NS": n}, st.lists(small_numbers, min_size=1, max_size=3, unique=True)),
    st.builds(lambda b: {"BS": b}, st.lists(binaries, min_size=1, max_size=3, unique=True)),
)


def _documents(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.builds(lambda elements: {"L": elements}, st.lists(children, max_size=3)),
        st.builds(
            lambda members: {"M": members}, st.dictionaries(st.sampled_from(NAMES), children, max_size=3)
        ),
    )


raw_values = st.recursive(scalars | sets, _documents, max_leaves=6)
"""Attribute values as a client may write them."""

values = raw_values.map(validate_value)
"""Canonical attribute values."""

items = st.dictionaries(st.sampled_from(NAMES), raw_values, max_size=4).map(validate_item)
"""Canonical items without a key."""

paths = st.tuples(
    st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES) | st.integers(0, 3), max_size=2)
).map(lambda parts: (parts[0], *parts[1]))
"""Document paths that often lead somewhere in ``items``."""


def written_path(path: tuple[str | int, ...]) -> str:
    """A document path as expressions and PartiQL write it."""
    return "".join(f"[{e}]" if isinstance(e, int) else f".{e}" for e in path)[1:]


def error_type(run: Callable[[], object]) -> str | None:
    """Type of the service error that ``run`` ends in, None if it ends well; other exceptions pass."""
    try:
        run()
    except ServiceError as error:
        return error.type
    return None
