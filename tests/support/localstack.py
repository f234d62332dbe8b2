"""LocalStack as a library in an environment of its own: a judge of filters, and of how a mapping treats failures.

Its engine for event patterns is known to differ from EventBridge: `*` of a wildcard needs a character, `true` equals 1,
several fields of objects in a list need not be of one object.

Its poller of DynamoDB streams and its Lambda sender know no bisecting, no parallel lanes and no shards that split. What
of it is not the service's behavior is replaced here, each with its reason; the rest decides.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import scripted_function
from tests.support.environments import JudgeUnavailableError, ensure_environment

PACKAGES = ("localstack-core==2026.3.0", "rolo", "jsonpatch", "pydantic", "boto3")

_PROGRAM = """
import json, sys
from localstack.services.events.event_rule_engine import EventPatternCompiler, EventRuleEngine
compiler, engine = EventPatternCompiler(), EventRuleEngine()
found = []
for pattern, event in json.load(sys.stdin):
    found.append(bool(engine.evaluate_pattern_on_event(compiler.compile_event_pattern(pattern), event)))
json.dump(found, sys.stdout)
"""
_TIMEOUT_S = 300.0


_POLLER = """
import io, json, sys, threading
from datetime import UTC, datetime
from localstack.services.lambda_.event_source_mapping.esm_event_processor import EsmEventProcessor
from localstack.services.lambda_.event_source_mapping.pollers import stream_poller
from localstack.services.lambda_.event_source_mapping.pollers.dynamodb_poller import DynamoDBPoller
from localstack.services.lambda_.event_source_mapping.senders.lambda_sender import LambdaSender

class NoWaiting(threading.Event):
    def wait(self, timeout=None):
        return self.is_set()

class Quiet:
    def set_fields(self, **fields): pass
    def log(self, **fields): pass

class Function:
    def __init__(self, script):
        self.script, self.seen, self.calls = script, {}, []

    def invoke(self, *, FunctionName, Payload, InvocationType, **more):
        sequences = [one["dynamodb"]["SequenceNumber"] for one in json.loads(Payload)["Records"]]
        self.calls.append(sequences)
        payload, error = answer(self.script, self.seen, sequences)
        found = {"Payload": io.BytesIO(json.dumps(payload).encode()), "StatusCode": 200,
                 "ExecutedVersion": "7", "ResponseMetadata": {"RequestId": "id"}}
        return found if error is None else {**found, "FunctionError": error}

class Stream:
    class exceptions:
        class ExpiredIteratorException(Exception): pass

    def __init__(self, records):
        self.records = records

    def describe_stream(self, **_):
        return {"StreamDescription": {"StreamStatus": "ENABLED", "Shards": [{"ShardId": "shardId-1"}]}}

    def get_shard_iterator(self, **_):
        return {"ShardIterator": "0"}

    def get_records(self, *, ShardIterator, Limit):
        start = int(ShardIterator)
        end = min(start + Limit, len(self.records))
        return {"Records": self.records[start:end], "NextShardIterator": str(end)}

class Poller(DynamoDBPoller):
    failed = ()

    # As it is, it looks for a member of another name, and every record is new.
    def get_approximate_arrival_time(self, record):
        return record["dynamodb"]["ApproximateCreationDateTime"]

    def send_events_to_dlq(self, shard_id, events, context):
        now = stream_poller.get_current_time()
        line = self.create_dlq_event(shard_id, events, context, now)
        self.failed = (*self.failed, {**line, "payload": {"Records": events}})

def with_time(record):
    at = datetime.fromtimestamp(record["dynamodb"]["ApproximateCreationDateTime"], UTC)
    return {**record, "dynamodb": {**record["dynamodb"], "ApproximateCreationDateTime": at}}

def run(scenario):
    function, settings = Function(scenario["script"]), scenario["settings"]
    sender = LambdaSender(scenario["function"], {}, function, payload_dict=True,
                          report_batch_item_failures=scenario["report"])
    filters = {"FilterCriteria": {"Filters": [{"Pattern": one} for one in scenario["filters"]]}}
    stream = Stream(())
    poller = Poller(scenario["stream"], {"DynamoDBStreamParameters": settings, **filters}, stream,
                    EsmEventProcessor(sender, Quiet()))
    poller._is_shutdown = NoWaiting()
    now = datetime.fromtimestamp(scenario["now"], UTC)
    stream_poller.get_current_time = lambda: now
    # It batches before it filters; the service filters each record before batching, so its filter goes first.
    events = poller.transform_into_events([with_time(one) for one in scenario["records"]], "shardId-1")
    passed = {one["dynamodb"]["SequenceNumber"] for one in poller.filter_events(events)}
    stream.records = [with_time(one) for one in scenario["records"] if one["dynamodb"]["SequenceNumber"] in passed]
    for _ in range(len(scenario["records"]) + 1):
        poller.poll_events()
    return {"calls": function.calls, "failed": poller.failed}

json.dump([run(one) for one in json.load(sys.stdin)], sys.stdout)
"""


def poll(scenarios: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the poller does with each scenario.

    A scenario has `records` of one shard, `filters`, the mapping's `settings` (DynamoDBStreamParameters), `report` for
    ReportBatchItemFailures, the `script` of the function (tests/support/scripted_function.py), the ARNs of `function`
    and `stream`, and the time `now` (seconds since the epoch). The answer has `calls`, the sequence numbers of each
    invocation, and `failed`, what an on-failure destination in S3 gets. Raises JudgeUnavailableError.
    """
    function = Path(scripted_function.__file__).read_text()
    found: list[dict[str, Any]] = _judge(function + _POLLER, scenarios)
    return found


def match_patterns(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[bool]:
    """Whether each event passes the pattern before it. Raises JudgeUnavailableError."""
    found: list[bool] = _judge(_PROGRAM, pairs)
    return found


def _judge(program: str, question: Any) -> Any:
    """What a program prints as JSON that gets `question` as JSON. Raises JudgeUnavailableError."""
    python = ensure_environment("localstack", PACKAGES)
    try:
        done = subprocess.run(
            [str(python), "-c", program],
            input=json.dumps(question).encode(),
            check=True,
            capture_output=True,
            timeout=_TIMEOUT_S,
        )
    except subprocess.SubprocessError as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace")
        raise JudgeUnavailableError(f"LocalStack failed: {error} {said[-500:]}") from error
    return json.loads(done.stdout)
