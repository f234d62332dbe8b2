"""PartiQL, as far as DynamoDB has it.

``compile_statement(text)`` returns a ``Select``, ``Insert``, ``Update`` or ``Delete``, compiled to closures and cached
by text. How the server executes one::

    statement = compile_statement(text)                  # ValidationException: not a statement
    values = statement.bind(request.get("Parameters"))   # ValidationException: number, values, types
    statement.table

    Update, Delete:
        key = statement.key(values, ("pk", "sk"))        # ValidationException: key not pinned by equality, or changed
        item = table.get(key)
        Update: item is None or not statement.condition_holds(item, values)  -> ConditionalCheckFailedException
                changed = statement.apply(item, values)                      # ValidationException: does not fit
                items = statement.returned(item, changed)
        Delete: not statement.condition_holds(item or key, values)           -> ConditionalCheckFailedException
                items = statement.returned(item)

    Insert:
        item = statement.item(values)

    Select:
        statement.index                                  # None for the table itself
        statement.key(values, ("pk", "sk"))              # the key, None if not pinned: GetItem
        statement.key_conditions(values, ("pk",), ("sk",))  # one KeyCondition for each hash value, None: Scan
        statement.descending(("pk", "sk"))               # ORDER BY
        statement.matches(item, values)                  # for every item found, however it was found
        statement.project(item)
        statement.projection, statement.filter_attributes  # what an index must project

``key_names`` is always a tuple, hash key first. ``statement.returning`` is "ALL OLD", "ALL NEW", "MODIFIED OLD",
"MODIFIED NEW" or None. Items must be canonical (``sandbox.values``) and are never changed in place.

Only what AWS documents is there (Developer Guide: PartiQL): ``attribute_exists`` and ``if_not_exists``, which DynamoDB
Local takes, are refused; ``EXISTS`` is for transactions alone, and other operations refuse it.
"""

from functools import lru_cache
from typing import TypeAlias

from refire_async.sandbox.errors import validation
from refire_async.sandbox.partiql.statements import (
    Delete,
    Exists,
    Insert,
    Select,
    Update,
    compile_uncached,
)

Plain: TypeAlias = Select | Insert | Update | Delete
Statement: TypeAlias = Plain | Exists

MAX_STATEMENT_CHARACTERS = 8192
_CACHED_STATEMENTS = 512


@lru_cache(maxsize=_CACHED_STATEMENTS)
def compile_statement(text: str) -> Statement:
    """The compiled statement. Raises ValidationException with the service's words when ``text`` is not one."""
    if not 1 <= len(text) <= MAX_STATEMENT_CHARACTERS:
        bound = (
            "greater than or equal to 1" if not text else f"less than or equal to {MAX_STATEMENT_CHARACTERS}"
        )
        raise validation(
            f"1 validation error detected: Value '{text[:64]}' at 'statement' failed to satisfy constraint: "
            f"Member must have length {bound}"
        )
    return compile_uncached(text)


def compile_plain(text: str) -> Plain:
    """A statement that can stand outside of a transaction. Raises ValidationException."""
    statement = compile_statement(text)
    if isinstance(statement, Exists):
        raise validation("EXISTS can only be used in ExecuteTransaction write requests.")
    return statement


__all__ = [
    "Delete",
    "Exists",
    "Insert",
    "Select",
    "Statement",
    "Update",
    "compile_plain",
    "compile_statement",
]
