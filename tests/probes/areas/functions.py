"""Lambda functions: what an invocation answers, and how it is refused."""

import base64
import json
from typing import Any

from tests.probes.cost import NOTHING, Cost
from tests.probes.facts import Area, NotTriedError, Seen, equal, seen_if
from tests.probes.lab import Answer, Lab
from tests.probes.sources import LOCALSTACK, lambda_api, lg

area = Area("functions", "Lambda functions", services=("lambda",))

_ONCE = NOTHING + Cost(writes=0, reads=0, stream_reads=0, invocations=3)
_JUDGED = "it takes a mapping that runs for minutes; LocalStack's poller, made after recorded answers, judges instead"


@area(
    "answer",
    assumed="Invoke returns 200 with what the function returned as its body, and no X-Amz-Function-Error.",
    source=lambda_api("Invoke"),
    code="aws/invocations.py, delivery/answers.py",
    rests="Every record, Repeats",
    how="Invoke a function that returns its event: status, header, body.",
    cost=_ONCE,
)
def _(lab: Lab) -> Seen:
    event = {"Records": [{"eventName": "MODIFY", "n": 1}]}
    answer = _invoke(lab, event)
    same = json.loads(_payload(answer)) == event
    return equal(
        "200, no error, the event",
        [answer.status, answer.body.get("FunctionError", "no error"), "the event" if same else "another"],
    )


@area(
    "function-error",
    assumed="A function that fails is a 200 with X-Amz-Function-Error Unhandled, and type and text of the error.",
    source=lambda_api("Invoke"),
    code="aws/invocations.py, delivery/targets/lambda_function.py, delivery/targets/fates.py",
    rests="Repeats, Every record",
    how="Invoke a function that raises ValueError.",
    believed={"ministack": "AWS's own runtime, which tests run too: it names the exception's type"},
    cost=_ONCE,
)
def _(lab: Lab) -> Seen:
    answer = _invoke(lab, {"fail": "on purpose"})
    error = json.loads(_payload(answer))
    return equal(
        "200, Unhandled, ValueError, on purpose",
        [answer.status, answer.body.get("FunctionError"), error.get("errorType"), error.get("errorMessage")],
    )


@area(
    "log-tail",
    assumed="LogType Tail returns the end of the log in base64, at most 4 KB.",
    source=lambda_api("Invoke"),
    code="aws/invocations.py",
    rests="Honest end of a delivery",
    how="Invoke a function that prints a line; whether the log has it, and its length.",
    cost=_ONCE,
)
def _(lab: Lab) -> Seen:
    answer = _invoke(lab, {}, LogType="Tail")
    log = base64.b64decode(answer.body.get("LogResult", ""))
    return seen_if(
        b"a line of the log" in log and len(log) <= 4096,
        "the line" if b"a line of the log" in log else "no line",
    )


@area(
    "executed-version",
    assumed="The answer names the version that ran: $LATEST without a qualifier, the number behind an alias with one.",
    source=lambda_api("Invoke"),
    code="aws/invocations.py, aws/function_names.py",
    rests="Honest end of a delivery",
    how="Invoke without a qualifier, and through an alias of the first version.",
    cost=_ONCE,
)
def _(lab: Lab) -> Seen:
    alias = _alias(lab)
    versions = [
        _invoke(lab, {}, **qualifier).body.get("ExecutedVersion") for qualifier in ({}, {"Qualifier": alias})
    ]
    return equal("$LATEST, 1", versions)


@area(
    "missing-function",
    assumed="Invoking a function or qualifier that is missing is a 404, ResourceNotFoundException.",
    source=lambda_api("Invoke"),
    code="aws/invocations.py, delivery/targets/fates.py, delivery/targets/opening.py",
    rests="Honest end of a delivery",
    how="Invoke another name, and another qualifier.",
)
def _(lab: Lab) -> Seen:
    function = lab.consumers.echo()
    answers = [_invoke(lab, {}, function=f"{function}-missing"), _invoke(lab, {}, Qualifier="missing")]
    return equal(
        "404 ResourceNotFoundException, 404 ResourceNotFoundException",
        [f"{answer.status} {answer.said}" for answer in answers],
    )


@area(
    "throttled",
    assumed="A function without concurrency left is a 429, TooManyRequestsException, whose Reason says which limit.",
    source=lambda_api("Invoke"),
    code="aws/invocations.py, delivery/pace.py, delivery/targets/fates.py",
    rests="Every record, Repeats",
    how="Reserve a concurrency of 0 for a function and invoke it.",
)
def _(lab: Lab) -> Seen:
    function = lab.consumers.echo("reserved")
    lab.consumers.functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    answer = lab.wait("a refusal", lambda: _refused(lab, function), 60.0 if lab.clients.at_aws else None)
    return equal(
        "429 TooManyRequestsException ReservedFunctionConcurrentInvocationLimitExceeded",
        f"{answer.status} {answer.said} {answer.body.get('Reason')}",
    )


@area(
    "reserved-concurrency",
    assumed="GetFunctionConcurrency tells the reserved number, and nothing where none is set.",
    source=lambda_api("GetFunctionConcurrency"),
    code="aws/functions.py, engine/delivery_target.py",
    rests="Every record",
    how="Ask for a function without, reserve 1 for another, and ask for that.",
)
def _(lab: Lab) -> Seen:
    client = lab.consumers.functions
    plain = client.get_function_concurrency(FunctionName=lab.consumers.echo())
    function = lab.consumers.echo("one")
    answer = lab.attempt(
        client.put_function_concurrency, FunctionName=function, ReservedConcurrentExecutions=1
    )
    shown = client.get_function_concurrency(FunctionName=function).get("ReservedConcurrentExecutions")
    if answer.code == "InvalidParameterValueException":
        raise NotTriedError("the account's quota leaves no concurrency to reserve")
    return equal("nothing, 1", [plain.get("ReservedConcurrentExecutions", "nothing"), answer.code or shown])


@area(
    "configuration",
    assumed="GetFunctionConfiguration tells timeout, memory, version and state; Active means that it can be invoked.",
    source=lambda_api("GetFunctionConfiguration"),
    code="aws/functions.py, delivery/targets/opening.py",
    rests="Every record, Check",
    how="The members for a new function with default settings.",
)
def _(lab: Lab) -> Seen:
    shown = lab.consumers.functions.get_function_configuration(FunctionName=lab.consumers.echo())
    return equal(
        "3, 128, $LATEST, Active", [shown.get(name) for name in ("Timeout", "MemorySize", "Version", "State")]
    )


@area(
    "event-is-too-large",
    assumed="An event of more than 6 MB is a 413.",
    source=lg("Lambda quotas"),
    code="delivery/target.py, delivery/targets/fates.py",
    rests="Every record, Repeats",
    how="Invoke with a text of 6,400,000 bytes; the status.",
    believed={"ministack": "the service, after its documentation: ministack has no limit"},
    cost=_ONCE,
)
def _(lab: Lab) -> Seen:
    return equal("413", _invoke(lab, "x" * 6_400_000).status)


@area(
    "event-is-no-json",
    assumed="An event that is no JSON is a 400, InvalidRequestContentException.",
    source=lambda_api("Invoke"),
    code="aws/invocations.py, delivery/targets/fates.py",
    rests="Honest end of a delivery",
    how="Invoke with half of a JSON text.",
    believed={"ministack": "the service, after its API Reference: ministack does not check"},
    cost=_ONCE,
)
def _(lab: Lab) -> Seen:
    answer = lab.attempt(
        lab.consumers.functions.invoke, FunctionName=lab.consumers.echo(), Payload=b'{"Records":'
    )
    return equal("400 InvalidRequestContentException", f"{answer.status} {answer.said}")


area.untried(
    "lost-answer",
    assumed="An invocation whose answer is lost may have run.",
    source=lg("Understanding retry behavior in Lambda"),
    code="delivery/targets/fates.py, delivery/invoking.py, delivery/ledger.py",
    rests="Repeats, Every record",
    reason="the service gives no way to provoke it; tests cut the connection",
)
area.untried(
    "partial-failures",
    assumed="With ReportBatchItemFailures all from the lowest number on is delivered again; an empty list is success.",
    source=f"{lg('Using Lambda with DynamoDB: reporting batch item failures')}; {LOCALSTACK}",
    code="delivery/answers.py, delivery/rules.py",
    rests="Repeats, Order",
    reason=_JUDGED,
)
area.untried(
    "bisecting",
    assumed="A failed batch is cut in halves, or at the returned number, without using up a retry.",
    source=lg("Using Lambda with DynamoDB: error handling"),
    code="delivery/rules.py, delivery/batches.py",
    rests="Repeats",
    reason=_JUDGED,
)
area.untried(
    "failure-record",
    assumed="A batch that is given up goes to the destination as an invocation record with DDBStreamBatchInfo.",
    source=LOCALSTACK,
    code="delivery/sources/failures.py, delivery/sources/failed_batches.py",
    rests="Every record",
    reason=_JUDGED,
)


def _invoke(lab: Lab, event: Any, function: str | None = None, **parameters: Any) -> Answer:
    return lab.attempt(
        lab.consumers.functions.invoke,
        FunctionName=function or lab.consumers.echo(),
        Payload=json.dumps(event).encode(),
        **parameters,
    )


def _payload(answer: Answer) -> bytes:
    payload: bytes = answer.body["Payload"].read()
    return payload


def _alias(lab: Lab) -> str:
    """An alias of the first version of the function that returns its event."""

    def make() -> str:
        client, function = lab.consumers.functions, lab.consumers.echo()
        version = client.publish_version(FunctionName=function)["Version"]
        client.create_alias(FunctionName=function, Name="probe", FunctionVersion=version)
        return "probe"

    name: str = lab.once("alias", make)
    return name


def _refused(lab: Lab, function: str) -> Answer | None:
    answer = lab.attempt_once(lab.consumers.functions.invoke, FunctionName=function, Payload=b"{}")
    return answer if answer.code else None
