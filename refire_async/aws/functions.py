"""Lambda functions: what a delivery has to know about one before it invokes it."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from refire_async.aws.function_names import FunctionName
from refire_async.aws.http_backend import CALL_S
from refire_async.aws.other_services import TIMEOUT_S, Services, UnansweredError, reading
from refire_async.errors import RefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function, at one qualifier (Lambda API reference: FunctionConfiguration).

    `arn` has the qualifier where one was asked for. `version` is `$LATEST` or a number. `state` is `Active` for one
    that can be invoked at once; `Inactive` ones start with the first invocation. `memory_mb` is 128 to 10,240.
    """

    name: str
    arn: str
    version: str
    timeout_s: int
    memory_mb: int = 128
    state: str = "Active"
    state_reason: str = ""


async def ask_function(services: Services, function: FunctionName, timeout_s: float = CALL_S) -> Function:
    """The configuration of a function.

    Raises:
        RefusedError: there is no such function, no permission, or no answer.
    """
    qualifier = {"Qualifier": function.qualifier} if function.qualifier else {}
    try:
        async with services.open("lambda", timeout_s) as client:
            try:
                described = await client.get_function_configuration(
                    FunctionName=function.address, **qualifier
                )
            except ClientError as error:
                refused = _refusal(function, _code(error), client.meta.region_name)
                if refused is None:
                    raise
                raise refused from error
        with reading("lambda"):
            return parse_configuration(described)
    except UnansweredError as error:
        raise RefusedError(
            f"function {function} cannot be described: {error}",
            "check --region, the network and AWS_ENDPOINT_URL_LAMBDA",
        ) from error


async def ask_reserved_concurrency(
    services: Services, function: FunctionName, timeout_s: float = TIMEOUT_S
) -> int | None:
    """How many invocations of the function may run at once by its own setting; None: no such setting.

    Raises UnansweredError: it is advice only.
    """
    async with services.open("lambda", timeout_s) as client:
        answer = await client.get_function_concurrency(FunctionName=function.address)
    reserved: int | None = answer.get("ReservedConcurrentExecutions")
    return reserved


def parse_configuration(described: dict[str, Any]) -> Function:
    """A FunctionConfiguration of the Lambda API. Raises LookupError where it lacks what every function has."""
    return Function(
        name=described["FunctionName"],
        arn=described["FunctionArn"],
        version=described.get("Version") or "$LATEST",
        timeout_s=min(max(described.get("Timeout") or 3, 1), 900),
        memory_mb=min(max(described.get("MemorySize") or 128, 1), 10_240),
        state=described.get("State") or "Active",
        state_reason=" ".join((described.get("StateReason") or "").split()),
    )


def _refusal(function: FunctionName, code: str, region: str) -> RefusedError | None:
    """What a refusal of GetFunctionConfiguration says about the function, None where it is about something else."""
    match code:
        case "ResourceNotFoundException":
            return RefusedError(
                f"there is no function {function} in {region}",
                "check --function, --region, --profile and AWS_ENDPOINT_URL_LAMBDA",
            )
        case "AccessDeniedException" | "AccessDenied":
            return RefusedError(
                f"no permission to describe function {function} ({code})",
                "allow lambda:GetFunctionConfiguration on it (`refire iam-policy`)",
            )
        case _:
            return None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
