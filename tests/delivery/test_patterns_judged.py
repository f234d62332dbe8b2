"""Filter patterns against LocalStack's rule engine: the same records pass."""

import random
from typing import Any

import orjson
import pytest

from refire_async.delivery.keys import canonical_key
from refire_async.delivery.patterns import Patterns
from refire_async.delivery.record import EventRecord
from tests.support.environments import INSTALL_TIMEOUT_S
from tests.support.localstack import match_patterns

TEXTS = ("OPEN", "open", "OXEN", "CLOSED", "order#1", "order#22", "", "10.0.0.7", "é")
NUMERALS = ("3", "3.5", "22", "-7")
NUMBERS = (3, 3.5, 22, -7)


class Draw:
    """Records and patterns of the shapes that occur, by chance."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pair(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """A pattern and a record.

        No path stands twice in a pattern: there the engine lets the last one rule, and nothing is documented.
        """
        while True:
            pattern = self.pattern()
            if not repeats_a_path(pattern):
                return pattern, self.record()

    # -- records

    def record(self) -> dict[str, Any]:
        pick = self.random.choice
        kind = pick(["INSERT", "MODIFY", "REMOVE"])
        change: dict[str, Any] = {
            "ApproximateCreationDateTime": float(pick(NUMBERS)),
            "Keys": {"pk": {"S": pick(TEXTS)}, "sk": {"N": pick(NUMERALS)}},
        }
        if kind != "REMOVE":
            change["NewImage"] = self.image()
        if kind != "INSERT":
            change["OldImage"] = self.image()
        record = {"eventName": kind, "dynamodb": change}
        if self.random.random() < 0.3:
            record["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
        return record

    def image(self) -> dict[str, Any]:
        pick = self.random.choice
        image = {
            "status": {"S": pick(TEXTS)},
            "total": {"N": pick(NUMERALS)},
            "gone": {"NULL": True},
            "tags": {"SS": self.random.sample(TEXTS, 2)},
            "counts": {"NS": self.random.sample(NUMERALS, 2)},
            "list": {
                "L": [pick([{"S": pick(TEXTS)}, {"N": pick(NUMERALS)}]) for _ in range(pick([0, 1, 3]))]
            },
            "map": {"M": {"inner": {"S": pick(TEXTS)}}},
        }
        return {name: value for name, value in image.items() if self.random.random() < 0.8}

    # -- patterns

    def pattern(self) -> dict[str, Any]:
        parts = [
            self.event_name,
            self.time,
            self.keys,
            self.user,
            self.images,
            self.images,
            self.images,
            self.either,
        ]
        pattern: dict[str, Any] = {}
        for part in self.random.sample(parts, self.random.choice([1, 1, 2, 3])):
            merge(pattern, part())
        return pattern

    def either(self) -> dict[str, Any]:
        return {"$or": [self.random.choice([self.event_name, self.keys, self.images])() for _ in range(2)]}

    def event_name(self) -> dict[str, Any]:
        rules = [["INSERT", "MODIFY"], ["MODIFY"], [{"anything-but": ["REMOVE"]}], [{"prefix": "IN"}]]
        return {"eventName": self.random.choice(rules)}

    def time(self) -> dict[str, Any]:
        low, high = sorted(self.random.sample(NUMBERS, 2))
        pick = self.random.choice
        rules = [{"numeric": [pick([">", ">="]), low, pick(["<", "<="]), high]}, {"numeric": ["=", low]}, low]
        return {"dynamodb": {"ApproximateCreationDateTime": [pick(rules)]}}

    def keys(self) -> dict[str, Any]:
        return {
            "dynamodb": {
                "Keys": self.random.choice([{"pk": {"S": self.texts()}}, {"sk": {"N": self.numerals()}}])
            }
        }

    def user(self) -> dict[str, Any]:
        rules = [["Service"], [{"exists": False}], [{"anything-but": "Service"}]]
        return {"userIdentity": {"type": self.random.choice(rules)}}

    def images(self) -> dict[str, Any]:
        found = [
            {"status": {"S": self.texts()}},
            {"status": {"N": self.numerals()}},
            {"total": {"N": self.numerals()}},
            {"total": [{"exists": self.random.random() < 0.5}]},
            {"gone": {"NULL": [self.random.choice([True, {"exists": True}, {"exists": False}, None])]}},
            {"tags": {"SS": self.texts()}},
            {"counts": {"NS": self.numerals()}},
            {"list": {"L": {"S": self.texts()}}},
            {"list": {"L": [{"exists": self.random.random() < 0.5}]}},
            {"map": {"M": {"inner": {"S": self.texts()}}}},
            {"$or": [{"status": {"S": self.texts()}}, {"map": {"M": {"inner": {"S": self.texts()}}}}]},
        ]
        return {"dynamodb": {self.random.choice(["NewImage", "OldImage"]): self.random.choice(found)}}

    def texts(self) -> list[Any]:
        pick, text = self.random.choice, self.random.choice(TEXTS)
        rules = [
            text,
            {"prefix": text[:3]},
            {"suffix": text[-2:]},
            {"prefix": {"equals-ignore-case": text[:2] or "o"}},
            {"suffix": {"equals-ignore-case": text[-2:] or "n"}},
            {"equals-ignore-case": text},
            {"wildcard": pick(["O*EN", "*r#*", "or*#2*", "*.0.0.*"])},
            {"anything-but": text},
            {"anything-but": self.random.sample(TEXTS, 3)},
            {"anything-but": {"prefix": text[:1] or "o"}},
            {"anything-but": {"suffix": [text[-1:] or "n", "N"]}},
            {"anything-but": {"equals-ignore-case": text}},
            {"anything-but": {"wildcard": "*EN"}},
            {"exists": pick([True, False])},
            {"cidr": pick(["10.0.0.0/24", "10.1.0.0/16"])},
            None,
            22,
        ]
        return self.random.sample(rules, pick([1, 1, 2]))

    def numerals(self) -> list[Any]:
        number = self.random.choice(NUMBERS)
        rules = [
            self.random.choice(NUMERALS),
            number,
            {"numeric": [">", number]},
            {"numeric": ["=", number]},
            {"prefix": "3"},
            {"anything-but": str(number)},
            {"anything-but": [number]},
            {"exists": self.random.random() < 0.5},
        ]
        return self.random.sample(rules, self.random.choice([1, 1, 2]))


def repeats_a_path(pattern: dict[str, Any]) -> bool:
    """Whether rules for one field stand in two places, of which one may be in an `$or`."""
    found = paths(pattern, ())
    return len(found) != len(set(found))


def paths(pattern: dict[str, Any], above: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Where the rules are. What several members of an `$or` have counts once."""
    found: list[tuple[str, ...]] = []
    for name, value in pattern.items():
        if name == "$or":
            found += {path for one in value for path in paths(one, above)}
        elif isinstance(value, dict):
            found += paths(value, (*above, name))
        else:
            found.append((*above, name))
    return found


def merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    """Add members, objects into objects."""
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = value


def check(seed: int, count: int) -> None:
    """Hold so many pairs against the judge."""
    draw = Draw(seed)
    pairs = [draw.pair() for _ in range(count)]
    judged = match_patterns(pairs)
    assert count / 5 < sum(judged) < count * 4 / 5
    for (pattern, event), expected in zip(pairs, judged, strict=True):
        change = event["dynamodb"]
        record = EventRecord(
            orjson.dumps(event),
            canonical_key(change["Keys"]),
            1,
            change["ApproximateCreationDateTime"],
            event["eventName"],
        )
        assert Patterns([orjson.dumps(pattern).decode()]).passes(record) is expected, (pattern, event)


@pytest.mark.timeout(INSTALL_TIMEOUT_S + 300)  # the first run installs the engine
def test_a_thousand_pairs() -> None:
    """Patterns of one to three parts, on records of all kinds."""
    check(1, 1_000)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_pairs(seed: int) -> None:
    """The same, with many more."""
    check(seed, 10_000)
