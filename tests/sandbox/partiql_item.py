"""An item for PartiQL statements to work on."""

from typing import Any

from refire_async.sandbox.partiql import compile_statement
from refire_async.sandbox.values import validate_item

KEY = ("pk", "sk")
BY_KEY = " WHERE pk = 'a' AND sk = 'b'"
ITEM = validate_item(
    {
        "pk": {"S": "a"},
        "sk": {"S": "b"},
        "s": {"S": "hello"},
        "n": {"N": "5"},
        "l": {"L": [{"S": "a"}, {"N": "1"}, {"M": {"x": {"S": "y"}}}, {"L": [{"S": "p"}, {"S": "q"}]}]},
        "m": {"M": {"x": {"S": "y"}, "z": {"N": "3"}, "l": {"L": [{"S": "1"}, {"S": "2"}]}}},
        "ss": {"SS": ["a", "b"]},
        "ns": {"NS": ["1", "2"]},
    }
)
L = ITEM["l"]["L"]


def statement(text: str, kind: type[Any]) -> Any:
    """A compiled statement of the expected kind."""
    compiled = compile_statement(text)
    assert isinstance(compiled, kind)
    return compiled
