"""The selection options of a command, checked as far as that is possible without the table."""

import click

from refire_async.cli.expressions import (
    Names,
    Values,
    check_placeholders,
    parse_names,
    parse_values,
)
from refire_async.cli.params import origin
from refire_async.cli.parsed_options import SelectionOptions
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


def make_selection(
    ctx: click.Context, parsed: SelectionOptions, *, export: str | None = None
) -> SelectionSettings:
    """The selection options of a command. Raises UsageError where they cannot be combined."""
    _check_combination(ctx, parsed, export)
    names: Names = parse_names(parsed.names, _where(ctx, "names")) if parsed.names else ()
    values: Values = parse_values(parsed.values, _where(ctx, "values")) if parsed.values else ()
    check_placeholders(_where(ctx, "filter"), parsed.filter, names, values)
    expression: str | None = parsed.filter
    words: tuple[str, ...] = ()
    if parsed.where is not None:
        where = compile_where(parsed.where, _where(ctx, "where"))
        expression, names, values, words = where.expression, where.names, where.values, where.words
    # An index can have several hash or sort attributes, named in the option's value: checked later, with the table.
    one_key = parsed.index is None
    if parsed.key_type is not None and one_key:
        for text in parsed.key_value:
            typed_value(text, parsed.key_type)
    if parsed.key_value_range is not None and (one_key or "=" not in parsed.key_value_range):
        _check_range(parsed.key_value_range, parsed.key_type)
    if parsed.sort_key_condition is not None and one_key:
        # The table determines its type; as a string every well-formed condition passes.
        sort_key_condition(parsed.sort_key_condition, "#sk", "S")
    return SelectionSettings(
        index=parsed.index,
        key_name=parsed.key_name,
        key_values=parsed.key_value,
        key_value_range=parsed.key_value_range,
        key_type=parsed.key_type,
        sort_key_condition=parsed.sort_key_condition,
        filter=expression,
        names=names,
        values=values,
        keys_file=parsed.keys_file,
        export=export,
        sample=parsed.sample,
        include_expired=parsed.include_expired,
        where_words=words,
    )


def _check_combination(ctx: click.Context, parsed: SelectionOptions, export: str | None) -> None:
    given = {name: getattr(parsed, name) for name in _NOT_WITH_A_LIST} | {"export": export}
    for given_list, source in (("keys_file", parsed.keys_file), ("export", export)):
        if source is None:
            continue
        for name in (*_NOT_WITH_A_LIST, *(("export",) if given_list == "keys_file" else ())):
            if given[name] not in (None, ()):
                raise UsageError(
                    f"{_where(ctx, given_list)} and {_where(ctx, name)} cannot be combined",
                    "the list names the items; leave the other one out",
                )
    for name in ("filter", "names", "values"):
        if parsed.where is not None and getattr(parsed, name) is not None:
            raise UsageError(
                f"{_where(ctx, 'where')} and {_where(ctx, name)} cannot be combined",
                "write the whole condition in one of them",
            )
    if parsed.include_expired and parsed.exclude_expired:
        raise UsageError(
            f"{_where(ctx, 'include_expired')} and {_where(ctx, 'exclude_expired')} cannot be combined",
            "leave one of them out",
        )
    if not parsed.key_value and parsed.key_value_range is None:
        for name in ("key_name", "key_type", "sort_key_condition"):
            if getattr(parsed, name) is not None:
                raise UsageError(
                    f"{_where(ctx, name)} needs --key-value",
                    "add --key-value VALUE, or leave it out to select the whole table",
                )


def _check_range(text: str, key_type: str | None) -> None:
    """Refuse a text that is no range for any type of key; the type is known only with the table. Raises UsageError."""
    try:
        expand_range(text, key_type or "N")
    except UsageError:
        if key_type is not None:
            raise
        expand_range(text, "S")


def _where(ctx: click.Context, name: str) -> str:
    param = next(param for param in ctx.command.params if param.name == name)
    return origin(ctx, param)
