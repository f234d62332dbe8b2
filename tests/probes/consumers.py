"""Functions, queues and buckets for probes, made when a probe needs them and taken away with the lab."""

import io
import json
import time
import zipfile
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tests.probes.facts import DiffersError, NotTriedError
from tests.probes.resources import (
    PREFIX,
    ROLE_PATH,
    TAG,
    Left,
    code_of,
    deleting,
    deleting_bucket,
    deleting_role,
    tags,
)

if TYPE_CHECKING:
    from tests.probes.lab import Lab

ECHO = """
def handler(event, context):
    print("a line of the log")
    if isinstance(event, dict) and "fail" in event:
        raise ValueError(event["fail"])
    return event
"""
"""Returns its event, and fails if that says so."""

_RUNTIME = "python3.12"
_ASSUMED_BY_LAMBDA = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
_STREAM_ACTIONS = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
_ROLE_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [f"dynamodb:{action}" for action in _STREAM_ACTIONS],
            "Resource": f"arn:*:dynamodb:*:*:table/{PREFIX}*",
        },
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": f"arn:*:sqs:*:*:{PREFIX}*"},
    ],
}
_ROLE_WAIT_S = 60.0
"""So long a new role may be unknown to Lambda."""


class Consumers:
    """What one lab has beside tables."""

    def __init__(self, lab: "Lab") -> None:
        self._lab = lab

    @property
    def functions(self) -> Any:
        """A client of Lambda."""
        return self._lab.clients.get("lambda")

    @property
    def queues(self) -> Any:
        """A client of SQS."""
        return self._lab.clients.get("sqs")

    @property
    def objects(self) -> Any:
        """A client of S3."""
        return self._lab.clients.get("s3")

    def echo(self, purpose: str = "echo") -> str:
        """The name of a function that returns its event; one for each purpose."""
        name: str = self._lab.once(f"function {purpose}", lambda: self._make_function(purpose))
        return name

    def queue(self) -> str:
        """The URL of a new, empty queue with the default settings."""
        name = f"{PREFIX}{self._lab.session}-{self._lab.key()}"
        made = self.queues.create_queue(QueueName=name, tags={TAG: self._lab.session})
        url: str = made["QueueUrl"]
        self._lab.note(Left("queue", name, deleting(self.queues.delete_queue, QueueUrl=url)))
        return url

    def bucket(self) -> str:
        """The name of the lab's bucket."""
        name: str = self._lab.once("bucket", self._make_bucket)
        return name

    def _make_bucket(self) -> str:
        name = f"{PREFIX}{self._lab.session}"
        self._lab.note(Left("bucket", name, deleting_bucket(self.objects, name)))
        region = self._lab.clients.region
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.objects.create_bucket(Bucket=name, **place)
        self.objects.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags(self._lab.session)})
        return name

    def _make_function(self, purpose: str) -> str:
        name = f"{PREFIX}{self._lab.session}-{purpose}"
        role = self._lab.once("role", self._make_role)
        self._lab.note(Left("function", name, deleting(self.functions.delete_function, FunctionName=name)))
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as files:
            files.writestr("app.py", ECHO)
        deadline = time.monotonic() + _ROLE_WAIT_S
        while True:
            answer = self._lab.attempt(
                self.functions.create_function,
                FunctionName=name,
                Runtime=_RUNTIME,
                Role=role,
                Handler="app.handler",
                Code={"ZipFile": archive.getvalue()},
                Tags={TAG: self._lab.session},
            )
            # A new role is not known to Lambda at once.
            if answer.code != "InvalidParameterValueException" or time.monotonic() > deadline:
                break
            time.sleep(2)
        if answer.code:
            raise DiffersError(f"CreateFunction is refused: {answer.code}: {answer.message}")
        self._lab.wait("an active function", lambda: self._is_active(name), 60.0)
        return name

    def _is_active(self, name: str) -> bool | None:
        return (
            self.functions.get_function_configuration(FunctionName=name).get("State", "Active") == "Active"
            or None
        )

    def _make_role(self) -> str:
        if not self._lab.clients.at_aws:
            return "arn:aws:iam::000000000000:role/refire-probes"
        client = self._lab.clients.get("iam")
        name = f"{PREFIX}{self._lab.session}"
        self._lab.note(Left("role", name, deleting_role(client, name)))
        try:
            made = client.create_role(
                Path=ROLE_PATH,
                RoleName=name,
                AssumeRolePolicyDocument=json.dumps(_ASSUMED_BY_LAMBDA),
                Tags=tags(self._lab.session),
            )
            client.put_role_policy(
                RoleName=name, PolicyName="streams", PolicyDocument=json.dumps(_ROLE_POLICY)
            )
        except ClientError as error:
            raise NotTriedError(f"no role for functions: {code_of(error)}") from error
        arn: str = made["Role"]["Arn"]
        return arn
