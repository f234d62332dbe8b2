"""All facts, by area."""

import importlib
from functools import cache

from tests.probes.facts import Area, Fact, Probe

AREA_NAMES = (
    "writes",
    "values",
    "statements",
    "reads",
    "indexes",
    "streams",
    "shards",
    "capacity",
    "tables",
    "answers",
    "functions",
    "mappings",
    "queues",
    "objects",
)


@cache
def areas() -> tuple[Area, ...]:
    """The areas in the order of the page."""
    return tuple(importlib.import_module(f"tests.probes.areas.{name}").area for name in AREA_NAMES)


@cache
def facts() -> tuple[Fact, ...]:
    """All facts."""
    return tuple(fact for area in areas() for fact in area.facts)


def by_id() -> dict[str, Fact]:
    """All facts by their ids."""
    return {fact.id: fact for fact in facts()}


def choose(only: tuple[str, ...], *, at_aws: bool) -> list[Fact]:
    """The facts of these areas (of all without any). Slow probes are left out on AWS unless their area is named."""
    return [
        fact
        for fact in facts()
        if (not only or fact.area in only or fact.id in only)
        and (only or not at_aws or not (isinstance(fact, Probe) and fact.slow))
    ]
