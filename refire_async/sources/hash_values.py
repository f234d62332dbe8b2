"""Parses the hash keys that the user gave, for the hash attributes of a table or an index. Pure.

An index with several hash attributes needs a value of each: `--key-value tenant=acme --key-value region=eu`. With
several values of an attribute, all combinations are selected.
"""

import math
from collections.abc import Sequence
from itertools import product

from refire_async.errors import UsageError
from refire_async.model.keys import AttributeValue, KeyAttribute
from refire_async.settings import SelectionSettings
from refire_async.sources.canonical import canonical
from refire_async.sources.key_ranges import MAX_KEY_VALUES, expand_range
from refire_async.sources.sort_key import typed_value


def hash_key_columns(
    selection: SelectionSettings, hashes: Sequence[KeyAttribute], where: str
) -> tuple[tuple[AttributeValue, ...], ...]:
    """The values of each hash attribute, as columns of equal length: each row is a hash key to query.

    Every hash key occurs once, even if it is given several times or in different notations.

    Raises UsageError for a wrong name, type or value, a missing attribute, or more than `MAX_KEY_VALUES` hash keys.
    """
    _check_name_and_type(selection, hashes, where)
    texts = _texts_by_name(selection, dict(hashes), where)
    total = math.prod(len(values) for values in texts.values())
    if total > MAX_KEY_VALUES:
        raise UsageError(
            f"{total:,} hash keys are more than {MAX_KEY_VALUES:,}", "split them into several runs"
        )
    columns = [_values(texts[name], key_type) for name, key_type in hashes]
    return tuple(zip(*product(*columns), strict=True))


def _check_name_and_type(selection: SelectionSettings, hashes: Sequence[KeyAttribute], where: str) -> None:
    names, types = [name for name, _ in hashes], {key_type for _, key_type in hashes}
    several = len(hashes) > 1
    if selection.key_name not in (None, *names):
        what = "one of the hash attributes" if several else "the hash key"
        expected = f"its hash attributes are {', '.join(names)}" if several else f"its hash key is {names[0]}"
        raise UsageError(
            f"{selection.key_name} is not {what} of {where}",
            f"{expected}; for another attribute name an index with --index",
        )
    if selection.key_type is not None and types != {selection.key_type}:
        if several:
            kinds = ", ".join(f"{name} {key_type}" for name, key_type in hashes)
            raise UsageError(
                f"the hash attributes of {where} are not all of type {selection.key_type}: {kinds}",
                "leave out --key-type",
            )
        raise UsageError(
            f"the hash key of {where} is of type {hashes[0][1]}, not {selection.key_type}",
            f"give --key-type {hashes[0][1]}",
        )


def _texts_by_name(selection: SelectionSettings, types: dict[str, str], where: str) -> dict[str, list[str]]:
    """The values for each hash attribute; a single attribute is not named in them."""
    texts: dict[str, list[str]] = {name: [] for name in types}
    for text in selection.key_values:
        name, value = _split(text, selection, texts, where, "--key-value")
        texts[name].append(value)
    if selection.key_value_range is not None:
        name, span = _split(selection.key_value_range, selection, texts, where, "--key-value-range")
        texts[name] += expand_range(span, types[name])
    missing = [name for name, values in texts.items() if not values]
    if missing:
        raise UsageError(
            f"no value of {', '.join(missing)}: a query of {where} needs a value of every hash attribute",
            "add " + " ".join(f"--key-value {name}=VALUE" for name in missing),
        )
    return texts


def _split(
    text: str, selection: SelectionSettings, texts: dict[str, list[str]], where: str, option: str
) -> tuple[str, str]:
    """The attribute that a value belongs to, and the value."""
    if len(texts) == 1:
        return next(iter(texts)), text
    named = [name for name in texts if text.startswith(f"{name}=")]
    if named:
        name = max(named, key=len)
        return name, text[len(name) + 1 :]
    if selection.key_name is not None:
        return selection.key_name, text
    raise UsageError(
        f"{option} {text[:60]!r} does not name a hash attribute of {where}",
        "write " + " ".join(f"--key-value {name}=VALUE" for name in texts),
    )


def _values(texts: Sequence[str], key_type: str) -> list[AttributeValue]:
    typed = (next(iter(typed_value(text, key_type).values())) for text in texts)
    try:
        return [{key_type: text} for text in dict.fromkeys(canonical(text, key_type) for text in typed)]
    except ValueError as error:
        raise UsageError(f"--key-value: {error}", "give a value that a key can have") from None
