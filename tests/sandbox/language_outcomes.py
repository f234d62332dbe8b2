"""Outcomes of the sandbox and of DynamoDB Local made comparable, and how many examples are tried."""

import re

from hypothesis import HealthCheck

from refire_async.sandbox.values import validate_item
from tests.sandbox.language_judge import Outcome
from tests.support.examples import examples

several = examples(10, 1_000, suppress_health_check=list(HealthCheck))


# Parts of messages in which the service and Local have other words for the same thing, or choose another one of
# several things that are wrong. The unit tests look at each message by itself.
_WORDINGS = [
    (re.compile(r"The parameter cannot be converted to a numeric value: .*"), "not a number"),
    (re.compile(r"A value provided cannot be converted into a number"), "not a number"),
    (re.compile(r"DynamoDB only supports precision up to 38 digits"), "too many digits"),
    (re.compile(r"Attempting to store more than 38 significant digits in a Number"), "too many digits"),
    (re.compile(r"\{B:.*?\}(?=[,;]|$)"), "{B}"),
    (re.compile(r"Input collection .*contains duplicates\.?"), "duplicates"),
    (re.compile(r"( under (key )?root\S*)?( at \d+:\d+:\d+)?$"), ""),
    (re.compile(r"Statement wasn't well formed, can't be processed.*", re.DOTALL), "malformed"),
    (re.compile(r"Incorrect operand type for operator or function; .*"), "operands do not fit"),
    (re.compile(r"The BETWEEN operator requires .*"), "operands do not fit"),
    (re.compile(r"Invalid attribute type name found; .*"), "operands do not fit"),
    (
        re.compile(r"The provided expression refers to an attribute that does not exist in the item"),
        "does not fit",
    ),
    (
        re.compile(r"The document path provided in the update expression is invalid for update"),
        "does not fit",
    ),
    (re.compile(r"An operand in the update expression has an incorrect data type"), "does not fit"),
    (re.compile(r"Two document paths (overlap|conflict) with each other.*"), "paths clash"),
    (re.compile(r"Invalid KeyConditionExpression: (?=KeyConditionExpressions must)"), ""),
    (re.compile(r"Query condition missed key schema element.*"), "key attribute missing"),
]


def plain(outcome: Outcome) -> Outcome:
    """An outcome without what is known to differ: wordings, and the form of numbers and sets."""
    if isinstance(outcome, tuple) and len(outcome) == 2 and isinstance(outcome[1], str):
        type_, message = outcome
        for pattern, wording in _WORDINGS:
            message = pattern.sub(wording, message)
        return type_, message
    if isinstance(outcome, list):
        return [validate_item(item) for item in outcome]
    return validate_item(outcome) if isinstance(outcome, dict) else outcome


def accepted(outcome: Outcome) -> str:
    """Only whether it went well, and if not, the type of the error."""
    if isinstance(outcome, tuple) and isinstance(outcome[1], str):
        return str(outcome[0])
    return "accepted"
