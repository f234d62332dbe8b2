"""Event source mappings: their settings, their states, and which ones Lambda refuses."""

import json
import time
from typing import Any

from tests.probes.cost import NOTHING
from tests.probes.facts import Area, Seen, equal
from tests.probes.lab import Answer, Lab
from tests.probes.resources import Left, deleting
from tests.probes.sources import LOCALSTACK, lambda_api, lg

area = Area("mappings", "Event source mappings", tables=("simple",), services=("lambda",))

_PATTERN = json.dumps({"eventName": ["MODIFY"], "dynamodb": {"NewImage": {"v": {"N": ["1"]}}}})
_SETTINGS = {
    "BatchSize": 7,
    "MaximumBatchingWindowInSeconds": 3,
    "ParallelizationFactor": 2,
    "MaximumRecordAgeInSeconds": 600,
    "MaximumRetryAttempts": 4,
    "BisectBatchOnFunctionError": True,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "FilterCriteria": {"Filters": [{"Pattern": _PATTERN}]},
}


@area(
    "settings",
    assumed="A mapping tells the settings of its batches, retries and ages under these names.",
    source=lambda_api("EventSourceMappingConfiguration"),
    code="aws/event_source_mappings.py, engine/mapped.py",
    rests="Repeats, Check",
    how="Make a disabled mapping with settings of its own; what it says of each.",
    cost=NOTHING,
)
def _(lab: Lab) -> Seen:
    shown = _described(lab)
    names = [name for name in _SETTINGS if name != "FilterCriteria"]
    differing = [name for name in names if shown.get(name) != _SETTINGS[name]]
    return equal("nothing differs", "nothing differs" if not differing else f"{', '.join(differing)} differ")


@area(
    "filters",
    assumed="A mapping tells its filter patterns as the text that they were given as.",
    source=lambda_api("FilterCriteria"),
    code="aws/event_source_mappings.py, aws/event_filters.py, delivery/patterns.py",
    rests="Every record, Check",
    how="Make a mapping with a pattern; the pattern that it tells.",
    cost=NOTHING,
)
def _(lab: Lab) -> Seen:
    found = _described(lab).get("FilterCriteria", {}).get("Filters", [])
    return equal(
        "the pattern",
        "the pattern" if [entry.get("Pattern") for entry in found] == [_PATTERN] else f"{len(found)} others",
    )


@area(
    "event-name-filter",
    assumed="Lambda takes a pattern on eventName, though the documentation speaks of the member dynamodb alone.",
    source=LOCALSTACK,
    code="aws/event_filters.py, delivery/mapping_filters.py",
    rests="Every record, Check",
    how="The same mapping, whose pattern has eventName and numbers as text: whether it was made.",
    cost=NOTHING,
)
def _(lab: Lab) -> Seen:
    return equal("accepted", "accepted" if _described(lab).get("UUID") else "no mapping")


@area(
    "malformed-filter",
    assumed="A pattern that is no JSON object is an InvalidParameterValueException.",
    source=lambda_api("CreateEventSourceMapping"),
    code="delivery/mapping_filters.py, engine/mapped.py",
    rests="Check",
    how="Make a mapping with such a pattern.",
    believed={"ministack": "the service, after its API Reference: ministack does not check"},
    cost=NOTHING,
)
def _(lab: Lab) -> Seen:
    answer = _make(lab, FilterCriteria={"Filters": [{"Pattern": "{nothing"}]})
    return equal("InvalidParameterValueException", answer.said)


@area(
    "disabled",
    assumed="A mapping that is made with Enabled false ends in the state Disabled.",
    source=lambda_api("EventSourceMappingConfiguration"),
    code="aws/event_source_mappings.py, delivery/mapping_watch.py",
    rests="Repeats, Check",
    how="Make one and wait for the state.",
    cost=NOTHING,
)
def _(lab: Lab) -> Seen:
    uuid = _described(lab)["UUID"]
    client = lab.consumers.functions

    def look() -> str | None:
        state = client.get_event_source_mapping(UUID=uuid)["State"]
        return None if state in {"Creating", "Disabling", "Updating"} else state

    return equal("Disabled", lab.wait("a lasting state", look))


@area(
    "by-stream",
    assumed="ListEventSourceMappings with the ARN of a stream lists its mappings and no others.",
    source=lambda_api("ListEventSourceMappings"),
    code="aws/event_source_mappings.py, preflight/consumers.py",
    rests="Check, Every record",
    how="List the mappings of the stream, and those of another one.",
    tables=("simple", "keys-stream"),
    cost=NOTHING,
)
def _(lab: Lab) -> Seen:
    uuid = _described(lab)["UUID"]

    def listed(kind: str) -> list[str]:
        page = lab.consumers.functions.list_event_source_mappings(EventSourceArn=lab.stream(kind).arn)
        return [entry["UUID"] for entry in page["EventSourceMappings"]]

    lab.wait("the mapping in the list", lambda: uuid in listed("simple") or None)
    return equal("listed, 0 others", f"listed, {len(listed('keys-stream'))} others")


@area(
    "one-for-each-qualifier",
    assumed="A second mapping of a stream on a function is a ResourceConflictException; one on an alias is made.",
    source=f"{lambda_api('CreateEventSourceMapping')}; that an alias counts apart: not looked up",
    code="aws/temporary_mapping.py, engine/mapped.py",
    rests="Repeats, No harm",
    how="Make the same mapping again, then one on an alias.",
    believed={"ministack": "the service, after its API Reference: ministack does not check"},
    cost=NOTHING,
)
def _(lab: Lab) -> Seen:
    _described(lab)
    client, function = lab.consumers.functions, lab.consumers.echo("mapped")
    again = _make(lab)
    version = client.publish_version(FunctionName=function)["Version"]
    client.create_alias(FunctionName=function, Name="beside", FunctionVersion=version)
    beside = _accepted(
        lab, "ResourceNotFoundException", FunctionName=f"{function}:beside"
    )  # nor is a new alias known
    return equal("ResourceConflictException, accepted", [again.said, beside.said])


@area(
    "starting-positions",
    assumed="A mapping of a DynamoDB stream begins at TRIM_HORIZON or LATEST; AT_TIMESTAMP is refused.",
    source=lambda_api("CreateEventSourceMapping"),
    code="aws/temporary_mapping.py, delivery/mapping_filters.py",
    rests="Every record",
    how="Make a mapping with AT_TIMESTAMP; the refusal.",
    believed={"ministack": "the service, after its API Reference: ministack does not check"},
    cost=NOTHING,
)
def _(lab: Lab) -> Seen:
    answer = _make(lab, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=1_700_000_000)
    return equal("InvalidParameterValueException", answer.said)


area.untried(
    "order-in-lanes",
    assumed="With ParallelizationFactor above 1 the records of one item still come one after another.",
    source=lg("Using Lambda with DynamoDB: parallelization"),
    code="delivery/lanes.py, delivery/keys.py",
    rests="Order",
    reason="a probe would see an order that held by luck",
)
area.untried(
    "at-least-once",
    assumed="A mapping delivers a record at least once, and again after failures of its own.",
    source=lg("Using Lambda with DynamoDB"),
    code="delivery/rules.py, delivery/mapping_watch.py",
    rests="Repeats",
    reason="the service gives no way to provoke its own failures",
)


def _described(lab: Lab) -> dict[str, Any]:
    """A disabled mapping of the stream of the table `simple` with `_SETTINGS`."""

    def make() -> dict[str, Any]:
        answer = _accepted(
            lab, "InvalidParameterValueException", **_SETTINGS
        )  # permissions of a new role come late
        return answer.body if not answer.code else {"UUID": None, "refused": answer.said}

    shown: dict[str, Any] = lab.once("mapping", make)
    return shown


def _accepted(lab: Lab, passing: str, **settings: Any) -> Answer:
    """As `_make`, again and again while AWS refuses it with this code."""
    deadline = time.monotonic() + (lab.timeout_s if lab.clients.at_aws else 0.0)
    while (answer := _make(lab, **settings)).code == passing and time.monotonic() < deadline:
        time.sleep(2)
    return answer


def _make(lab: Lab, **settings: Any) -> Answer:
    """Try to make a disabled mapping. It is noted to be taken away before its function."""
    client = lab.consumers.functions
    parameters = {
        "FunctionName": lab.consumers.echo("mapped"),
        "EventSourceArn": lab.stream("simple").arn,
        "StartingPosition": "TRIM_HORIZON",
        "Enabled": False,
        **settings,
    }
    answer = lab.attempt(client.create_event_source_mapping, **parameters)
    if not answer.code:
        uuid = answer.body["UUID"]
        lab.note(Left("mapping", uuid, deleting(client.delete_event_source_mapping, UUID=uuid)))
    return answer
