"""`refire iam-policy` prints a policy, and refuses options that would make it too wide."""

import json
from collections.abc import Callable

import orjson
import pytest

from refire_async.aws.permissions import Use, parse_arn, policy
from tests.cli.conftest import Ended

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"


def test_the_command_prints_the_policy(refire: Callable[..., Ended]) -> None:
    """Indented text, one line with --json, the same document."""
    words = ("iam-policy", "--table", ARN, "--command", "check,verify", "--index", "by-day", "--by-key")
    people, script = refire(*words), refire(*words, "--json")
    assert (people.code, script.code) == (0, 0), people.err
    assert len(script.out.splitlines()) == 1
    wanted = policy(Use(table=parse_arn(ARN), commands=("check", "verify"), index="by-day", by_key=True))
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


QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/failed"
DELIVER = ("iam-policy", "--table", ARN, "--json", "--command")


@pytest.mark.parametrize("source", [QUEUE, "arn:aws:sqs:eu-west-1:123456789012:failed"])
def test_redrive_from_a_queue(refire: Callable[..., Ended], source: str) -> None:
    """The function at its qualifier, and the queue by URL or ARN."""
    key = "arn:aws:kms:eu-west-1:123456789012:key/1-2"
    ended = refire(*DELIVER, "redrive", "--function", "consumer:live", "--from", source, "--kms-key", key)
    assert ended.code == 0, ended.err
    statements = {one["Sid"]: one for one in orjson.loads(ended.out)["Statement"]}
    assert statements["Deliver"]["Resource"] == "arn:aws:lambda:eu-west-1:123456789012:function:consumer:live"
    assert statements["Deliver"]["Action"] == ["lambda:GetFunctionConfiguration", "lambda:InvokeFunction"]
    assert statements["Queue"]["Resource"] == "arn:aws:sqs:eu-west-1:123456789012:failed"
    assert "sqs:DeleteMessage" in statements["Queue"]["Action"]
    assert statements["Decrypt"]["Resource"] == key
    kept = refire(*DELIVER, "redrive", "--function", "consumer:live", "--from", source, "--keep")
    assert "sqs:DeleteMessage" not in kept.out


def test_replay_to_a_file(refire: Callable[..., Ended]) -> None:
    """Nothing of Lambda is invoked; present items are read where events are made of them."""
    stream = refire(*DELIVER, "replay", "--to", "events.jsonl")
    assert "lambda:InvokeFunction" not in stream.out
    assert "dynamodb:GetRecords" in stream.out
    assert "dynamodb:Scan" not in stream.out
    assert "dynamodb:Scan" in refire(*DELIVER, "replay", "--to", "-", "--as-items").out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--command", "replay"), "--function NAME"),
        (("--command", "redrive", "--function", "a/b"), "names no Lambda function"),
        (("--command", "redrive", "--to", "x", "--from", "s3://"), "names no bucket"),
        (("--command", "redrive", "--to", "x", "--from", "s3://b/*"), "without wildcards"),
        (("--command", "redrive", "--to", "x", "--from", "https://sqs/x"), "arn:aws:sqs:"),
        (("--command", "redrive", "--to", "x", "--kms-key", "*"), "--kms-key"),
    ],
)
def test_bad_delivery(refire: Callable[..., Ended], arguments: tuple[str, ...], hint: str) -> None:
    """Refused in one line: above all what would make the policy too wide."""
    test_bad_input(refire, ("--table", ARN, *arguments), hint)


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_table_by_name(
    refire: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, region: str, partition: str
) -> None:
    """With the account, and the region of the option or the environment, a name gives the same policy as the ARN."""
    arn = f"arn:{partition}:dynamodb:{region}:123456789012:table/orders"
    by_arn = refire("iam-policy", "--table", arn)
    words = ("iam-policy", "-t", "orders", "--account", "123456789012")
    assert refire(*words, "--region", region) == by_arn
    monkeypatch.setenv("AWS_REGION", region)
    assert refire(*words) == by_arn


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--table", "orders"), "--account and --region"),
        (("--table", "orders", "--region", "eu-west-1"), "add --account,"),
        (("--table", "orders", "--account", "1"), "12 digits"),
        (("--table", "or ders", "--account", "123456789012", "--region", "eu-west-1"), "must be the ARN"),
        (("--table", ARN, "--account", "999999999999"), "is not that of --table"),
    ],
)
def test_half_a_table(refire: Callable[..., Ended], arguments: tuple[str, ...], hint: str) -> None:
    """The line names what is missing or does not fit."""
    test_bad_input(refire, arguments, hint)


def test_notification(refire: Callable[..., Ended]) -> None:
    """A topic adds the one permission that a notification needs, on that topic only."""
    topic = "arn:aws:sns:eu-west-1:123456789012:ops"
    assert "sns:" not in refire("iam-policy", "--table", ARN, "--command", "run,resume").out
    found = orjson.loads(refire("iam-policy", "--table", ARN, "--notify", f"sns:{topic}", "--json").out)
    (statement,) = [one for one in found["Statement"] if one["Sid"] == "Notify"]
    assert statement == {"Sid": "Notify", "Effect": "Allow", "Action": ["sns:Publish"], "Resource": topic}


def test_replay_by_a_mapping(refire: Callable[..., Ended]) -> None:
    """Makes and deletes an alias and a mapping; does not invoke from here. A dry run makes nothing."""
    whole = refire(*DELIVER, "replay", "--function", "consumer", "--how", "mapping").out
    made = [
        f"lambda:{verb}{what}" for verb in ("Create", "Delete") for what in ("Alias", "EventSourceMapping")
    ]
    assert all(action in whole for action in made)
    assert "lambda:InvokeFunction" not in whole
    assert "cloudwatch:GetMetricData" in whole
    dry = refire(*DELIVER, "replay", "--function", "consumer", "--how", "mapping", "--dry-run").out
    assert not any(action in dry for action in made)
    direct = refire(*DELIVER, "replay", "--function", "consumer").out
    assert not any(action in direct for action in made)


def test_a_run_in_a_checkpoint_table(refire: Callable[..., Ended]) -> None:
    """One more statement, on that table alone; all else is as without it."""
    plain = orjson.loads(refire("iam-policy", "--table", ARN, "--json").out)["Statement"]
    with_table = orjson.loads(
        refire("iam-policy", "--table", ARN, "--checkpoint-table", "runs", "--json").out
    )
    (more,) = [one for one in with_table["Statement"] if one["Sid"] == "Checkpoint"]
    assert [one for one in with_table["Statement"] if one is not more] == plain
    assert more["Resource"] == ARN.rpartition("/")[0] + "/runs"
    assert more["Action"] == ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]


def test_a_run_with_an_archive(refire: Callable[..., Ended]) -> None:
    """Two more statements: the objects below the prefix, and the list of the bucket."""
    place = ("iam-policy", "--table", ARN, "--checkpoint-table", "runs", "--json")
    plain = orjson.loads(refire(*place).out)["Statement"]
    archived = orjson.loads(refire(*place, "--archive", "s3://pages/of/runs/").out)["Statement"]
    more = {one["Sid"]: (one["Action"], one["Resource"]) for one in archived if one not in plain}
    assert more == {
        "Archive": (["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::pages/of/runs/*"),
        "ListArchive": (["s3:ListBucket"], "arn:aws:s3:::pages"),
    }
