"""`refire iam-policy` prints a policy, and refuses what would make it too wide."""

import json
from collections.abc import Callable

import pytest

from refire_async.permissions import Use, parse_arn, policy
from tests.cli.conftest import Ended

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"


def test_the_command_prints_the_policy(refire: Callable[..., Ended]) -> None:
    """Indented for people, one line with --json, the same document."""
    words = ("iam-policy", "--table", ARN, "--command", "check,verify", "--index", "by-day", "--by-key")
    people, script = refire(*words), refire(*words, "--json")
    assert (people.code, script.code) == (0, 0), people.err
    assert len(script.out.splitlines()) == 1
    wanted = policy(Use(parse_arn(ARN), ("check", "verify"), index="by-day", by_key=True))
    assert json.loads(people.out) == json.loads(script.out) == wanted


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ((), "--table arn:aws"),
        (("--table", "orders"), "must be the ARN"),
        (("--table", ARN, "--command", "status"), "run, resume, check"),
        (("--table", ARN, "--command", "run,"), "run, resume, check"),
        (("--table", ARN, "--keys-file", "s3://bucket"), "s3://bucket/key"),
        (("--table", ARN, "--keys-file", "s3://bucket/*"), "without wildcards"),
        (("--table", ARN, "--index", "*"), "--index"),
    ],
)
def test_bad_input(refire: Callable[..., Ended], arguments: tuple[str, ...], hint: str) -> None:
    ended = refire("iam-policy", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert hint in ended.err
    assert len(ended.err.splitlines()) == 1
