"""Which items a command is about: the selection options, checked as far as no table is needed."""

from typing import Any

import click

from refire_async.cli.expressions import (
    Names,
    Values,
    check_placeholders,
    parse_names,
    parse_values,
)
from refire_async.cli.params import origin
from refire_async.errors import UsageError
from refire_async.settings import SelectionSettings
from refire_async.sources.key_ranges import expand_range
from refire_async.sources.sort_key import sort_key_condition, typed_value
from refire_async.sources.where import compile_where

_NOT_WITH_A_LIST = (
    "index",
    "key_name",
    "key_value",
    "key_value_range",
    "key_type",
    "sort_key_condition",
    "where",
    "filter",
    "names",
    "values",
)


def make_selection(ctx: click.Context, given: dict[str, Any]) -> SelectionSettings:
    """The selection options of a command. Raises UsageError where they do not go together."""
    _check_combination(ctx, given)
    names: Names = parse_names(given["names"], _where(ctx, "names")) if given["names"] else ()
    values: Values = parse_values(given["values"], _where(ctx, "values")) if given["values"] else ()
    check_placeholders(_where(ctx, "filter"), given["filter"], names, values)
    expression: str | None = given["filter"]
    words: tuple[str, ...] = ()
    if given["where"] is not None:
        where = compile_where(given["where"], _where(ctx, "where"))
        expression, names, values, words = where.expression, where.names, where.values, where.words
    # Only the table knows whether an index has several hash or sort attributes, which are named in the option's value.
    at_once = given["index"] is None
    if given["key_type"] is not None and at_once:
        for text in given["key_value"]:
            typed_value(text, given["key_type"])
    if given["key_value_range"] is not None and (at_once or "=" not in given["key_value_range"]):
        _check_range(given["key_value_range"], given["key_type"])
    if given["sort_key_condition"] is not None and at_once:
        # Its type is the table's to tell; as text every condition of the right shape passes.
        sort_key_condition(given["sort_key_condition"], "#sk", "S")
    return SelectionSettings(
        index=given["index"],
        key_name=given["key_name"],
        key_values=given["key_value"],
        key_value_range=given["key_value_range"],
        key_type=given["key_type"],
        sort_key_condition=given["sort_key_condition"],
        filter=expression,
        names=names,
        values=values,
        keys_file=given["keys_file"],
        export=given["export"],
        sample=given["sample"],
        include_expired=given["include_expired"],
        where_words=words,
    )


def _check_combination(ctx: click.Context, given: dict[str, Any]) -> None:
    for given_list in ("keys_file", "export"):
        if given[given_list] is None:
            continue
        for name in (*_NOT_WITH_A_LIST, *(("export",) if given_list == "keys_file" else ())):
            if given[name] not in (None, ()):
                raise UsageError(
                    f"{_where(ctx, given_list)} and {_where(ctx, name)} do not go together",
                    "the list names the items; leave the other one out",
                )
    for name in ("filter", "names", "values"):
        if given["where"] is not None and given[name] is not None:
            raise UsageError(
                f"{_where(ctx, 'where')} and {_where(ctx, name)} do not go together",
                "say all of it in one of them",
            )
    if given["include_expired"] and given["exclude_expired"]:
        raise UsageError(
            f"{_where(ctx, 'include_expired')} and {_where(ctx, 'exclude_expired')} do not go together",
            "leave one of them out",
        )
    if not given["key_value"] and given["key_value_range"] is None:
        for name in ("key_name", "key_type", "sort_key_condition"):
            if given[name] is not None:
                raise UsageError(
                    f"{_where(ctx, name)} needs --key-value",
                    "add --key-value VALUE, or leave it out to select the whole table",
                )


def _check_range(text: str, key_type: str | None) -> None:
    """Refuse what is no range of any type that the key can have; which one it has is the table's to tell."""
    try:
        expand_range(text, key_type or "N")
    except UsageError:
        if key_type is not None:
            raise
        expand_range(text, "S")


def _where(ctx: click.Context, name: str) -> str:
    param = next(param for param in ctx.command.params if param.name == name)
    return origin(ctx, param)
